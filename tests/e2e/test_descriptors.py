"""Boxes use up descriptors: another org is answered, and the process stays ready (threat 26)."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from shared.tasks import TaskSet
from tests.support.answers import json_answer, whole
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway
from tests.support.planes_apart import PlanesApart
from tests.support.polling import eventually
from tests.support.scripted_upstream import Answer, ReceivedRequest, ScriptedUpstream, WaitFor

KEY: Final = "sk-key-of-the-calm-org-00001"
SILENT: Final = 1_200
BOXES: Final = 9
CONNECTIONS_PER_BOX: Final = 450
"""Of a cap of 512."""
REQUESTS: Final = 40
AT_ONCE: Final = 100
AWAY_SECONDS: Final = 3.0
"""The pause before a closed connection comes again."""


@pytest.fixture(autouse=True)
def _enough_descriptors() -> Iterator[None]:
    """Let this process hold the attacker's ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 8_192 if hard == resource.RLIM_INFINITY else min(hard, 8_192)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def _calm_org(gateway: Gateway, upstream: ScriptedUpstream) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a box of an org whose provider answers; a new connection for each request."""
    async with ControlPlane.of(gateway) as control_plane:
        org = await control_plane.new_org()
        await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
    head = {"x-run9-box-token": gateway.box_token(org), "connection": "close"}
    url = f"{gateway.origin}/run9/ai/openai/v1/"
    async with httpx.AsyncClient(base_url=url, headers=head, trust_env=False, timeout=20) as client:

        async def answers() -> bool:
            return (await client.get("models")).is_success

        await eventually(answers, "the org's first request is answered")
        yield client


async def _statuses(client: httpx.AsyncClient, count: int = REQUESTS) -> list[int]:
    return [(await client.get("models")).status_code for _ in range(count)]


async def _status(url: str, head: dict[str, str] | None = None) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=20, headers=head) as client:
        return (await client.get(url)).status_code


def _cap_lines(gateway: Gateway) -> list[str]:
    return [line for line in gateway.log.splitlines() if "connections of boxes are at a cap" in line]


async def _metrics(gateway: Gateway) -> dict[str, float]:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{gateway.ready['admin_url']}/metrics")).text
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


class _Crowd:
    """An attacker's connections: each says `first`, then nothing, and comes again when closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks = TaskSet()
        self.arrived = 0

    def add(self, first: bytes, *, comes_again: bool) -> None:
        """Begin a connection."""
        self._tasks.start(self._hold(first, comes_again=comes_again), "an attacker's connection")

    async def _hold(self, first: bytes, *, comes_again: bool) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.5)
                continue
            writer.write(first)
            self.arrived += 1
            try:
                while await reader.read(65_536):
                    pass
            except OSError:
                pass
            finally:
                writer.close()
            if not comes_again:
                return
            await asyncio.sleep(AWAY_SECONDS)

    async def has_arrived(self, count: int) -> None:
        """Wait until so many connections were made."""

        async def has() -> bool:
            return self.arrived >= count

        await eventually(has, f"{count} connections were made", deadline_seconds=60)

    async def aclose(self) -> None:
        """Leave."""
        await self._tasks.aclose()


@pytest.mark.parametrize("comes_again", [False, True])
async def test_silent_connections_beyond_the_limit_leave_the_gateway_ready_and_others_answered(
    tmp_path: Path, *, comes_again: bool
) -> None:
    options = ("--identity-mode", "header")
    with Gateway(tmp_path, options, descriptors=1_024) as gateway:
        crowd = _Crowd(gateway.box_port)
        async with (
            ScriptedUpstream(keys=None, respond=lambda _: json_answer({})) as upstream,
            _calm_org(gateway, upstream) as calm,
        ):
            try:
                for _ in range(SILENT):
                    crowd.add(b"", comes_again=comes_again)
                during = await _statuses(calm)
                await crowd.has_arrived(SILENT)
                after = await _statuses(calm)
                ready, portal = await asyncio.gather(
                    _status(f"{gateway.ready['admin_url']}/readyz"),
                    _status(f"{gateway.ready['control_plane_url']}/sign-in"),
                )
                metrics = await _metrics(gateway)
            finally:
                await crowd.aclose()
        assert during + after == [200] * 2 * REQUESTS
        assert (ready, portal) == (200, 200)
        assert len(_cap_lines(gateway)) == 1
        assert metrics["aigw_box_connections"] <= metrics["aigw_max_box_connections"] < 512
        caps = ("all", "unidentified")
        evicted = sum(metrics[f'aigw_box_connections_evicted_total{{cap="{cap}"}}'] for cap in caps)
        assert evicted >= SILENT - 512


@pytest.mark.parametrize("held", [False, True], ids=["idle", "busy"])
async def test_nine_boxes_of_one_org_each_within_its_cap_leave_another_org_answered(
    tmp_path: Path, *, held: bool
) -> None:
    never = asyncio.Event()

    def respond(request: ReceivedRequest) -> Answer:
        return json_answer({}) if KEY.encode() in request.credentials else (WaitFor(never), *whole(b"late"))

    options = ("--identity-mode", "header")
    with Gateway(tmp_path, options, descriptors=4_096) as gateway:
        crowd = _Crowd(gateway.box_port)
        async with (
            ScriptedUpstream(keys=None, respond=respond) as upstream,
            _calm_org(gateway, upstream) as calm,
        ):
            greedy = await _greedy_org(gateway, upstream if held else None)
            try:
                requests = [_request(gateway.box_token(greedy, box=f"box-{box}")) for box in range(BOXES)]
                for arrived in range(0, BOXES * CONNECTIONS_PER_BOX, AT_ONCE):
                    for number in range(AT_ONCE):
                        crowd.add(requests[number % BOXES], comes_again=False)
                    await crowd.has_arrived(arrived + AT_ONCE)
                    await asyncio.sleep(0.02)  # the gateway reads the heads
                answered = await _statuses(calm)
                ready = await _status(f"{gateway.ready['admin_url']}/readyz")
                metrics = await _metrics(gateway)
            finally:
                never.set()
                await crowd.aclose()
        assert answered == [200] * REQUESTS
        assert ready == 200
        assert len(_cap_lines(gateway)) in {1, 2}  # a second one when a minute has passed
        assert metrics["aigw_box_connections"] <= metrics["aigw_max_box_connections"]
        fate = "refused" if held else "evicted"
        assert metrics[f'aigw_box_connections_{fate}_total{{cap="org"}}'] > 0


@pytest.mark.parametrize("listener", ["control_plane_port", "internal_port"])
async def test_silent_connections_to_a_control_plane_leave_it_ready_and_its_owners_answered(
    tmp_path: Path, listener: str
) -> None:
    planes = PlanesApart.in_folder(tmp_path)
    planes.descriptors = 1_024
    head = {"authorization": f"Bearer {planes.owner_token}", "connection": "close"}
    rest = f"http://127.0.0.1:{planes.ports['control_plane_port']}/api/v1/me"
    ready = f"http://127.0.0.1:{planes.ports['internal_port']}/readyz"
    with planes.plane("control-plane") as log:
        crowd = _Crowd(planes.ports[listener])
        seen: set[tuple[int, int]] = set()
        async with planes.rest():
            try:
                for arrived in range(0, SILENT, AT_ONCE):
                    for _ in range(AT_ONCE):
                        crowd.add(b"", comes_again=False)
                    await crowd.has_arrived(arrived + AT_ONCE)
                    seen.add((await _status(rest, head), await _status(ready)))
                for _ in range(REQUESTS):
                    seen.add((await _status(rest, head), await _status(ready)))
            finally:
                await crowd.aclose()
        lines = [line for line in log.read_text().splitlines() if "connections are at a cap" in line]
    await asyncio.to_thread(planes.data.close)
    assert seen == {(200, 200)}
    assert len(lines) in {1, 2}  # a second one when a minute has passed
    assert "evicted" in lines[0]


async def _greedy_org(gateway: Gateway, upstream: ScriptedUpstream | None) -> str:
    """Make an org whose provider never answers; without an upstream, an org without an integration."""
    async with ControlPlane.of(gateway) as control_plane:
        org = await control_plane.new_org()
        if upstream is not None:
            await control_plane.set_up(org, "openai", "sk-key-of-the-greedy-org-01", f"{upstream.origin}/v1")
    return org


def _request(token: str) -> bytes:
    lines = ["GET /run9/ai/openai/v1/models HTTP/1.1", "host: 10.0.2.2:1000", f"x-run9-box-token: {token}"]
    return "\r\n".join([*lines, "", ""]).encode()
