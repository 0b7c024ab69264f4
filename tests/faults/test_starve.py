"""A person attacks a control plane; how long another org's owner and the orchestrator wait meanwhile.

The control plane under attack has the limits of production and a name server without answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx
import pytest
import pytest_asyncio

from aigw.embedded.banner import OWNER
from shared.clock import unix_now
from tests.faults.form import FULL_ONLY, MARKS, Form
from tests.faults.site import Site
from tests.faults.trial import on_trial
from tests.support.servers.fleet import Plane

pytestmark = [*MARKS, pytest.mark.skipif(os.geteuid() != 0, reason="a name server of its own needs root")]
VICTIM = "victim@starve.test"
VICTIMS_ORG, ATTACKERS_ORG = "starve-victim", "starve-attacker"
NAME_SERVER = f"127.53.{1 + os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"
"""An address of this process alone: other runs of the tests may have a name server beside."""
MOUNT = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'
ATTACKERS = 64
SILENT_CONNECTIONS = 1_500
LOOK_EVERY_SECONDS = 0.02
MAX_TIMES_QUIET = 3
FLOOR_SECONDS = {"full": 0.02, "short": 1.0}
"""A shorter wait is noise: a look shares two cores with the fleet, the load and the attack. The short form
runs beside other tests, and shows only that no wait is as long as for a silent name server."""
LIMITS = {
    "AIGW_PERSON_CHANGES_PER_MINUTE": "120",
    "AIGW_ORG_CHANGES_PER_MINUTE": "60",
    "AIGW_PERSON_KEY_TESTS_PER_MINUTE": "20",
    "AIGW_ORG_KEY_TESTS_PER_MINUTE": "20",
    "AIGW_PERSON_READS_PER_MINUTE": "3000",
    "AIGW_ORG_READS_PER_MINUTE": "12000",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A control plane under attack, and the clients of its attacker and its victim."""

    plane: Plane
    attacker: httpx.AsyncClient
    victim: httpx.AsyncClient

    def url(self, path: str, *, fleet: bool = False) -> str:
        """Give an address of the REST listener, or of the fleet's."""
        port = self.plane.inner_port if fleet else self.plane.outer_port
        return f"http://127.0.0.1:{port}{path}"

    def card(self, org: str, rest: str = "") -> str:
        """Give the address of an org's integration."""
        return self.url(f"/api/v1/orgs/{org}/ai-integrations/openai{rest}")


@pytest.fixture(scope="session")
def silent_name_server() -> Iterator[str]:
    """Takes every question and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((NAME_SERVER, 53))
        yield NAME_SERVER


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene(
    site: Site, silent_name_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """Another control plane of the site, with its orgs."""
    resolver = tmp_path_factory.mktemp("starve") / "resolv.conf"
    resolver.write_text(f"nameserver {silent_name_server}\n")
    prefix = ["unshare", "--mount", "sh", "-ec", MOUNT, "sh", str(resolver)]
    plane = await asyncio.to_thread(site.fleet.control_plane, prefix=prefix, **LIMITS)
    async with site.fleet.client(plane) as client:
        platform = {"authorization": f"Bearer {client.platform_token}"}
        for org, owner in ((VICTIMS_ORG, VICTIM), (ATTACKERS_ORG, OWNER)):
            member = f"/orgs/{org}/members/{owner}"
            for path, body in ((f"/orgs/{org}", {"name": org}), (member, {"role": "owner"})):
                (await client.client.put(path, json=body, headers=platform)).raise_for_status()
        key, _ = site.keyring.new_key(ATTACKERS_ORG)
        await client.set_up(ATTACKERS_ORG, "openai", key, site.endpoint)
        attacker = client.owner_token
    victim = site.fleet._issuer.mint(VICTIM, "Victim", unix_now()).reveal()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(new_client(token)) for token in (attacker, victim)]
        yield Scene(plane, *clients)
    await asyncio.to_thread(plane.process.stop)


def new_client(token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        headers={"authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=60,
        limits=httpx.Limits(max_connections=4 * ATTACKERS, max_keepalive_connections=4 * ATTACKERS),
    )


Strike = Callable[[Scene, int], Awaitable[object]]
Attack = Callable[[Scene], AbstractAsyncContextManager[None]]


async def toggle(scene: Scene, number: int) -> None:
    body = {"enabled": bool(number % 2)}
    await scene.attacker.patch(scene.card(ATTACKERS_ORG), json=body, headers={"if-match": "*"})


async def name_nobody_answers_for(scene: Scene, number: int) -> None:
    endpoint = f"https://silent-{number}.example.com/v1"
    body = {"api_key": "sk-starve-0123456789", "endpoint": endpoint, "enabled": True}
    if number % 2:
        await scene.attacker.put(scene.card(ATTACKERS_ORG), json=body, headers={"if-match": "*"})
    else:
        del body["enabled"]
        await scene.attacker.post(scene.card(ATTACKERS_ORG, "/test"), json=body)


async def try_a_key(scene: Scene, _: int) -> None:
    await scene.attacker.post(scene.card(ATTACKERS_ORG, "/test"), json={"api_key": "sk-starve-0123456789"})


async def read_history(scene: Scene, number: int) -> None:
    path = "/audit" if number % 2 else "/members"
    await scene.attacker.get(scene.url(f"/api/v1/orgs/{ATTACKERS_ORG}{path}?limit=200"))


@asynccontextmanager
async def by_many(scene: Scene, strike: Strike) -> AsyncIterator[None]:
    """Strike from many connections at once, each again as soon as answered."""
    stop, numbers = asyncio.Event(), count()

    async def again_and_again() -> None:
        while not stop.is_set():
            with contextlib.suppress(httpx.TransportError):  # a connection that was reset is an answer
                await strike(scene, next(numbers))

    async with asyncio.TaskGroup() as group:
        for _ in range(ATTACKERS):
            group.create_task(again_and_again())
        await asyncio.sleep(1)
        try:
            yield
        finally:
            stop.set()


@asynccontextmanager
async def silent_connections(scene: Scene) -> AsyncIterator[None]:
    """Open more connections to both listeners than each takes; half say nothing, half begin a request."""
    opened = []
    for number in range(SILENT_CONNECTIONS):
        port = scene.plane.inner_port if number % 3 == 0 else scene.plane.outer_port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n" * (number % 2))
        opened.append(writer)
    try:
        yield
    finally:
        for writer in opened:
            writer.transport.abort()


ATTACKS: dict[str, Attack] = {
    "64 connections that toggle": lambda scene: by_many(scene, toggle),
    "names that a silent name server does not answer": lambda scene: by_many(scene, name_nobody_answers_for),
    "silent connections": silent_connections,
    "key tests": lambda scene: by_many(scene, try_a_key),
    "history and members, page by page": lambda scene: by_many(scene, read_history),
}
IN_SHORT = {"64 connections that toggle", "names that a silent name server does not answer"}


@pytest.mark.parametrize(
    "name", [name if name in IN_SHORT else pytest.param(name, marks=FULL_ONLY) for name in ATTACKS]
)
async def test_one_persons_attack_is_hardly_noticed_by_another_org_and_the_orchestrator(
    site: Site, form: Form, scene: Scene, name: str
) -> None:
    done = f"{name}, of one person, for {form.starved_seconds:g} s at one control plane"
    async with on_trial(site, "starve", done) as trial:
        quiet, attacked = await in_turns(scene, ATTACKS[name], form)
        times = {what: attacked[what] / quiet[what] for what in quiet}
        trial.row.note = "; ".join(
            f"{what} {1000 * quiet[what]:.1f} → {1000 * attacked[what]:.1f} ms ({times[what]:.1f} times)"
            for what in quiet
        )
        floor = FLOOR_SECONDS[form.name]
        for what in quiet:
            assert attacked[what] <= max(MAX_TIMES_QUIET * quiet[what], floor), trial.row.note


async def in_turns(scene: Scene, attack: Attack, form: Form) -> tuple[dict[str, float], dict[str, float]]:
    """Give the median waits without and under an attack.

    Quiet and attacked times take turns, so that the machine's other work falls on both alike.
    """
    seconds = form.starved_seconds / form.starved_turns
    quiet, attacked = Waits(), Waits()
    for _ in range(form.starved_turns):
        await look(scene, seconds, quiet)
        async with attack(scene):
            await look(scene, seconds, attacked)
    return quiet.medians(), attacked.medians()


@dataclass(frozen=True, slots=True)
class Waits:
    """How long each look took, in seconds, by the request."""

    found: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def medians(self) -> dict[str, float]:
        """Give the median of each."""
        return {what: statistics.median(samples) for what, samples in self.found.items()}


async def look(scene: Scene, seconds: float, waits: Waits) -> None:
    """Look for some time as another org's owner, and as an orchestrator."""
    looks = {
        "REST": scene.card(VICTIMS_ORG),
        "/readyz": scene.url("/readyz"),
        "/readyz of the fleet's listener": scene.url("/readyz", fleet=True),
    }
    stop_at = time.monotonic() + seconds
    async with httpx.AsyncClient(trust_env=False, timeout=60) as probe:
        while time.monotonic() < stop_at:
            for what, url in looks.items():
                client = scene.victim if what == "REST" else probe
                # A probe comes by a connection of its own.
                headers = {} if what == "REST" else {"connection": "close"}
                began = time.monotonic()
                answer = await client.get(url, headers=headers)
                waits.found[what].append(time.monotonic() - began)
                assert answer.is_success, answer.text
            await asyncio.sleep(LOOK_EVERY_SECONDS)
