"""Every alert in a real Prometheus: fires in a staged fault of running planes, and clears after the fault.

The faults of `SHORT` are staged together in `make test`, those of `LONG`, which take minutes, in `make
chart`.
A minute of a rule is a second here (`tests/support/servers/prometheus.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trustme
import yaml

from shared.config_feed import HEARTBEAT_FIELD, HEARTBEAT_KEY
from shared.tasks import TaskSet
from tests.chart.staged_provider import answer, key
from tests.support.control_plane import ControlPlane
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.scripted_upstream import Answer, ReceivedRequest, ScriptedUpstream
from tests.support.servers.fleet import Fleet, Plane
from tests.support.servers.process import free_port
from tests.support.servers.prometheus import PrometheusServer
from tests.support.servers.valkey import ValkeyServer
from tools.chart_pages import CHART

ALERTS: Final = CHART / "files" / "alerts.yaml"
DASHBOARD: Final = CHART / "files" / "dashboard.json"
SHORT: Final = frozenset(
    {
        "AigwConfigMissing",
        "AigwSecretsRefused",
        "AigwVaultFailing",
        "AigwVaultTokenLost",
        "AigwFeedForged",
        "AigwKeyRejected",
        "AigwProviderErrors",
        "AigwProviderUnreachable",
        "AigwGatewayErrors",
        "AigwIdentityRefused",
        "AigwSlowToSend",
        "AigwDescriptorsNearlyGone",
        "AigwBoxConnectionsRefused",
        "AigwLogLinesDropped",
    }
)
LONG: Final = frozenset(
    {
        "AigwConfigStale",
        "AigwConfigNearItsEnd",
        "AigwConfigLag",
        "AigwChangesNotPublished",
        "AigwKeyInABox",
    }
)
FIRES_SECONDS: Final = 240.0
"""A deadline on a busy machine; the rules need some 20 s, those with a threshold of a minute some 70."""
PANEL_SECONDS: Final = 60.0
REFUSE: Final = Weather("refuse")
SLOW_PIECE_SECONDS: Final = 0.3
BRIEF_ROLE: Final = "aigw-brief"
BODY: Final = {"model": "m", "messages": []}
REAL_LOOKING_KEY: Final = "sk-proj-" + "Ab1" * 24


def test_every_alert_is_staged_in_one_of_both_forms() -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    assert {rule["alert"] for group in groups for rule in group["rules"]} == SHORT | LONG
    assert not SHORT & LONG


@pytest.mark.timeout(900)
async def test_the_alerts_fire_in_their_faults_and_clear_and_every_panel_has_data(
    fleet: Fleet, valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with installation(fleet, tmp_path) as staging:
        await staging.fired({"AigwConfigMissing"})
        staging.reachable()
        await staging.set_up()
        async with staging.healthy_load():
            async with staging.faults(valkey):
                await staging.fired(SHORT - {"AigwConfigMissing"})
                await staging.panels_have_data()
            await staging.cleared(SHORT)


@pytest.mark.full_chart
@pytest.mark.timeout(1_800)
async def test_the_alerts_on_minutes_of_silence_fire_and_clear(fleet: Fleet, tmp_path: Path) -> None:
    async with installation(fleet, tmp_path) as staging:
        staging.reachable()
        await staging.set_up()
        async with staging.healthy_load():
            async with staging.silence():
                await staging.fired(LONG)
            await staging.cleared(LONG)


@dataclass
class Staging:
    """The running planes and what stands between them.

    Attributes:
        control: the control plane; `to_bus` carries it to Redis.
        good: a data plane without a fault of its own.
        remote: a data plane that reaches all others through `to_control`, `remote_bus` and `to_vault`.
        starved: a data plane for faults of its process.
        slow: delays the TLS handshake of a provider.
    """

    fleet: Fleet
    control: Plane
    good: Plane
    remote: Plane
    starved: Plane
    prometheus: PrometheusServer
    to_control: FaultProxy
    remote_bus: FaultProxy
    to_bus: FaultProxy
    to_vault: FaultProxy
    slow: FaultProxy
    upstream: ScriptedUpstream
    secure: ScriptedUpstream
    rest: ControlPlane
    release: asyncio.Event
    orgs: dict[str, str] = field(default_factory=dict)

    async def set_up(self) -> None:
        """Make an org for each way in which a provider answers."""
        plain = f"{self.upstream.origin}/v1"
        endpoints = {
            **dict.fromkeys(("good", "dead", "sick", "held"), plain),
            "gone": f"http://127.0.0.1:{free_port()}/v1",
            "slow": f"https://127.0.0.1:{self.slow.port}/v1",
        }
        for name, endpoint in endpoints.items():
            self.orgs[name] = org = await self.rest.new_org()
            await self.rest.set_up(org, "openai", key(name), endpoint)
        for plane in (self.good, self.remote, self.starved):
            await self.fleet.ready(plane)

    def reachable(self) -> None:
        """Let the remote data plane reach the control plane and Redis."""
        for proxy in (self.to_control, self.remote_bus):
            proxy.set(Weather())

    # What Prometheus says.

    async def fired(self, names: Iterable[str]) -> None:
        """Wait until each of these alerts has fired."""
        missing = set(names)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRES_SECONDS):
                while missing:
                    missing -= await asyncio.to_thread(self.prometheus.firing)
                    await asyncio.sleep(0.5)
        assert not missing, "these alerts did not fire"

    async def cleared(self, names: Iterable[str]) -> None:
        """Wait until none of these alerts fires any more."""
        firing = set(names)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRES_SECONDS):
                while firing:
                    firing = await asyncio.to_thread(self.prometheus.firing) & set(names)
                    await asyncio.sleep(0.5)
        assert not firing, "these alerts still fire"

    async def panels_have_data(self) -> None:
        """Ask every query of the dashboard, as Grafana does for its last minute."""
        lacking = set(_queries())
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRES_SECONDS):
                while lacking:
                    for query in sorted(lacking):
                        if await asyncio.to_thread(self.prometheus.has_data, query, PANEL_SECONDS):
                            lacking.discard(query)
        assert not lacking, "these queries give no data"

    # Load and faults.

    @asynccontextmanager
    async def healthy_load(self) -> AsyncIterator[None]:
        """Have boxes of a good org call all the time."""
        async with self.calls(self.good, "good"), self.calls(self.starved, "good"):
            yield

    @asynccontextmanager
    async def faults(self, valkey: ValkeyServer) -> AsyncIterator[None]:
        """Stage the short faults, all at once."""
        async with AsyncExitStack() as staged:
            for name in ("dead", "sick", "gone", "slow"):
                await staged.enter_async_context(self.calls(self.good, name))
            await staged.enter_async_context(self.calls(self.good, "good", identified=False))
            for plane, held in ((self.good, 2), (self.remote, 2)):
                for _ in range(held):
                    await staged.enter_async_context(self.calls(plane, "held"))
                await asyncio.sleep(1)  # the held ones first: they have their places then
                await staged.enter_async_context(self.calls(plane, "held", anew=True))
            await staged.enter_async_context(self.forged_feed(valkey))
            await staged.enter_async_context(self.without_vault())
            staged.enter_context(_scarce(self.starved))
            staged.callback(self.release.set)
            yield

    @asynccontextmanager
    async def silence(self) -> AsyncIterator[None]:
        """Cut the remote data plane off, and the control plane off Redis; a change and a leaked key come."""
        with ExitStack() as cut:
            for way in (self.to_bus, self.to_control, self.remote_bus):
                cut.enter_context(way.under(REFUSE))
            await self.rest.new_org()
            async with self.calls(self.good, "good", placeholder=REAL_LOOKING_KEY):
                yield

    @asynccontextmanager
    async def without_vault(self) -> AsyncIterator[None]:
        """Cut the remote data plane off from Vault, before a key comes that it has to read."""
        with self.to_vault.under(REFUSE):
            await self.rest.set_up(self.orgs["good"], "anthropic", key("late"), self.upstream.origin)
            yield

    @asynccontextmanager
    async def forged_feed(self, valkey: ValkeyServer) -> AsyncIterator[None]:
        """Write heartbeats that no control plane has signed."""

        async def forge() -> None:
            with valkey.client() as client:
                while True:
                    await asyncio.to_thread(client.xadd, HEARTBEAT_KEY, {HEARTBEAT_FIELD: b"forged"})
                    await asyncio.sleep(0.5)

        async with _running(forge()):
            yield

    @asynccontextmanager
    async def calls(
        self,
        plane: Plane,
        org: str,
        *,
        identified: bool = True,
        anew: bool = False,
        placeholder: str = "run9-placeholder",
    ) -> AsyncIterator[None]:
        """Have a box of an org call all the time, one request after the other; `anew` by new connections."""
        url = f"http://127.0.0.1:{plane.outer_port}/run9/ai/openai/v1/chat/completions"

        async def call(client: httpx.AsyncClient) -> None:
            head = self.fleet.box_headers(self.orgs[org]) if identified else {}
            head |= {
                "authorization": f"Bearer {placeholder}",
                "connection": "close" if anew else "keep-alive",
            }
            await client.post(url, json=BODY, headers=head)

        async def go_on() -> None:
            async with httpx.AsyncClient(trust_env=False, timeout=None) as client:  # held on purpose
                while True:
                    with suppress(httpx.HTTPError):
                        await call(client)
                    await asyncio.sleep(0.1)

        async with _running(go_on()):
            yield


@asynccontextmanager
async def installation(fleet: Fleet, folder: Path) -> AsyncIterator[Staging]:
    """Start all planes; the remote one reaches neither the control plane nor Redis yet."""
    release, ca_file, authority = asyncio.Event(), folder / "ca.pem", trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)

    def respond(request: ReceivedRequest) -> Answer:
        return answer(request, release)

    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream(respond=respond))
        secure = await stack.enter_async_context(ScriptedUpstream(respond=respond, tls=tls))
        stack.callback(release.set)
        redis_port = int(fleet.redis_url.rpartition(":")[2].partition("/")[0])
        ways = [
            stack.enter_context(FaultProxy(port))
            for port in (redis_port, redis_port, fleet.vault.server.port, secure.port)
        ]
        to_bus, remote_bus, to_vault, slow = ways
        slow.set(Weather(delay_seconds=SLOW_PIECE_SECONDS))
        control = await asyncio.to_thread(
            fleet.control_plane, AIGW_EVENT_BUS_URL=f"redis://127.0.0.1:{to_bus.port}/0"
        )
        to_control = stack.enter_context(FaultProxy(control.inner_port))
        for way in (to_control, remote_bus):
            way.set(REFUSE)
        common = {"AIGW_UPSTREAM_CA_FILE": str(ca_file), "AIGW_SNAPSHOT_POLL_SECONDS": "1"}
        limits = {"AIGW_MAX_REQUESTS_PER_BOX": "2"}
        good = await asyncio.to_thread(fleet.data_plane, control, **common, **limits)
        starved = await asyncio.to_thread(fleet.data_plane, control, **common)
        remote = await asyncio.to_thread(
            fleet.data_plane,
            replace(control, inner_port=to_control.port),
            **common,
            **_remote(fleet, remote_bus.port, to_vault.port),
        )
        planes = [good.inner_port, starved.inner_port, remote.inner_port, control.inner_port]
        prometheus = PrometheusServer(ALERTS.read_text(), planes)
        await asyncio.to_thread(stack.enter_context, prometheus)
        yield Staging(
            *(fleet, control, good, remote, starved, prometheus, to_control, remote_bus, to_bus, to_vault),
            *(slow, upstream, secure),
            await stack.enter_async_context(fleet.client(control)),
            release,
        )


def _remote(fleet: Fleet, bus_port: int, vault_port: int) -> dict[str, str]:
    """Give the settings of the remote data plane: all others through proxies, and a short login to Vault."""
    server = fleet.vault.server
    roles = server.root().auth.approle
    roles.create_or_update_approle(
        BRIEF_ROLE, token_policies=["aigw-data-plane"], token_ttl="10s", token_max_ttl="1h"
    )
    server.role_ids[BRIEF_ROLE] = roles.read_role_id(BRIEF_ROLE)["data"]["role_id"]
    url = server.url("approle", BRIEF_ROLE, prefix=fleet.vault.prefix)
    return {
        "AIGW_EVENT_BUS_URL": f"redis://127.0.0.1:{bus_port}/0",
        "AIGW_SECRET_STORE_URL": url.replace(f":{server.port}/", f":{vault_port}/"),
        "AIGW_VAULT_CREDENTIAL": server.secret_id(BRIEF_ROLE),
        "AIGW_MAX_CONNECTIONS_PER_BOX": "2",
        "AIGW_MAX_CONFIG_AGE_SECONDS": "30",
    }


@contextlib.contextmanager
def _scarce(plane: Plane) -> Iterator[None]:
    """Take a process's descriptors and the room for its log away."""
    pid = plane.process.pid
    open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    written = (plane.process.folder / "log").stat().st_size
    with ExitStack() as back:
        scarce = {resource.RLIMIT_NOFILE: open_now + open_now // 10, resource.RLIMIT_FSIZE: written}
        for limit, value in scarce.items():
            former = resource.prlimit(pid, limit)
            resource.prlimit(pid, limit, (value, former[1]))
            back.callback(resource.prlimit, pid, limit, former)
        yield


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = TaskSet()
    tasks.start(work, "staged")
    try:
        yield
    finally:
        await tasks.aclose()


def _queries() -> list[str]:
    """Give every query of the dashboard, with its variables filled in as Grafana does."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return [
        re.sub(r"\[1h\]", "[10s]", one.replace("$__rate_interval", "5s").replace("$namespace", ".*"))
        for one in found
    ]
