"""The place where faults happen: real servers, two control planes, three data planes, 40 orgs, a provider.

Made once for all fault tests; each test leaves the site healed. Redis and Vault are reached through proxies.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from sqlmodel import col, select

from services.control_plane.store import migrate
from services.control_plane.store.audit import NO_REVISION
from services.control_plane.store.changes import counter
from services.control_plane.store.database import Database
from services.control_plane.store.integrations import integration
from services.control_plane.store.tables import AuditTable
from shared.config_feed import EVENT_FIELD, STREAM_KEY, decode_event
from shared.feed_signature import FeedKeys
from shared.secret import Secret
from tests.faults.boxes import Boxes
from tests.faults.provider import Keyring
from tests.faults.row import Row
from tests.support.control_plane import ControlPlane
from tests.support.fault_proxy import FaultProxy
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.servers.fleet import Fleet, Plane
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.valkey import ValkeyServer
from tests.support.servers.vault import VaultServer
from tests.support.servers.vault_store import VaultStore

LOADED_ORGS: Final = 20
MOVING_ORGS: Final = 20
CONTROL_PLANES: Final = 2
ANSWER_SECONDS: Final = 5.0
CAUGHT_UP_SECONDS: Final = 90.0
DATA_PLANES: Final = 3
OUTAGE_EXCEPTIONS: Final = {
    "psycopg.OperationalError",
    "psycopg.errors.AdminShutdown",
    "sqlalchemy.exc.OperationalError",
}
_EXCEPTION: Final = re.compile(r"^([\w.]+(?:Error|Exception|Timeout))\b", re.MULTILINE)
OFF: Final = "integration_disabled"


class ProxiedVaultStore(VaultStore):
    """A corner of a Vault, reached by the planes through a proxy."""

    proxy_port: int = 0

    def url(self, plane: str, auth: str = "approle", **options: str) -> str:
        """See `VaultStore.url`."""
        direct = super().url(plane, auth, **options)  # type: ignore[arg-type]  # one of the two planes
        return direct.replace(f":{self.server.port}/", f":{self.proxy_port}/", 1)


@dataclass(frozen=True, slots=True)
class Backends:
    """The servers, and the proxies before two of them."""

    valkey: ValkeyServer
    postgres: PostgresServer
    vault: VaultServer
    redis_proxy: FaultProxy
    vault_proxy: FaultProxy

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Backends]:
        """Start them all, and end them."""
        with ExitStack() as stack:
            valkey = stack.enter_context(ValkeyServer())
            postgres = stack.enter_context(PostgresServer())
            vault = stack.enter_context(VaultServer())
            redis_proxy = stack.enter_context(FaultProxy(valkey.port))
            vault_proxy = stack.enter_context(FaultProxy(vault.port))
            yield cls(valkey, postgres, vault, redis_proxy, vault_proxy)

    def new_fleet(self, folder: Path) -> Fleet:
        """A fleet with a database and a corner of Vault of its own."""
        url = self.postgres.new_database()
        database = Database(url)
        migrate.upgrade(database)
        database.close()
        made = VaultStore.new(self.vault)
        store = ProxiedVaultStore(made.server, made.prefix)
        store.proxy_port = self.vault_proxy.port
        return Fleet(folder, url, f"redis://127.0.0.1:{self.redis_proxy.port}/0", store)


@dataclass(slots=True)
class Mover:
    """A changing org: the label of its key, and whether the org is on."""

    label: str
    on: bool = True

    @property
    def expected(self) -> str:
        """The answer due to the org's boxes."""
        return self.label if self.on else OFF


@dataclass(slots=True)
class Site:
    """The servers, planes and orgs of the fault tests.

    Attributes:
        labels: of each org under load, the label of its key.
        movers: the orgs changed by tests, in their state after the last acknowledged change.
    """

    backends: Backends
    fleet: Fleet
    boxes: Boxes
    upstream: ScriptedUpstream
    keyring: Keyring
    control_planes: list[Plane] = field(default_factory=list)
    data_planes: list[Plane] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    movers: dict[str, Mover] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, backends: Backends) -> AsyncIterator[Site]:
        """Start the processes and set the orgs up."""
        async with AsyncExitStack() as stack:
            keyring = Keyring()
            upstream = await stack.enter_async_context(
                ScriptedUpstream(base_path=b"/v1/", respond=keyring.answer)
            )
            fleet = await asyncio.to_thread(backends.new_fleet, folder)
            stack.enter_context(fleet.running())
            await _start_control_planes(fleet)
            boxes = await stack.enter_async_context(Boxes(fleet._node_key))
            site = cls(backends, fleet, boxes, upstream, keyring, list(fleet.planes))
            await site._set_up_orgs()
            await site._start_data_planes()
            yield site

    @property
    def endpoint(self) -> str:
        """Where the provider is."""
        return f"{self.upstream.origin}/v1"

    @asynccontextmanager
    async def rest(self, index: int = 0) -> AsyncIterator[ControlPlane]:
        """The REST interface of a control plane."""
        async with self.fleet.client(self.control_planes[index]) as client:
            yield client

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The database, for a test's looks and acts behind the gateway's back."""
        opened = Database(self.fleet.database_url)
        try:
            yield opened
        finally:
            opened.close()

    async def move_control_planes(self, database_url: str) -> None:
        """Start the control planes again, in sequence, with another way to the database."""
        for plane in self.control_planes:
            await asyncio.to_thread(plane.process.stop)
            plane.environment["AIGW_DATABASE_URL"] = database_url
            await asyncio.to_thread(plane.start)

    async def position(self, plane: Plane) -> tuple[str, int]:
        """Where a data plane is: (epoch, revision); raises `httpx.HTTPError`."""
        url = f"http://127.0.0.1:{plane.inner_port}/debug/config"
        found = (await self.boxes.client.get(url, timeout=ANSWER_SECONDS)).json()
        return str(found["epoch"]), int(found["revision"] or 0)

    def truth(self) -> tuple[str, int]:
        """Where the database is: (epoch, revision)."""
        with self.database() as database, database.read() as session:
            at = counter(session)
        return at.epoch, at.revision

    async def caught_up(self, plane: Plane) -> None:
        """Wait until a data plane is where the database is."""
        async with asyncio.timeout(CAUGHT_UP_SECONDS):
            while await self._position_or_none(plane) != await asyncio.to_thread(self.truth):  # noqa: ASYNC110  # another process changes
                await asyncio.sleep(0.05)

    async def _position_or_none(self, plane: Plane) -> tuple[str, int] | None:
        try:
            return await self.position(plane)
        except httpx.HTTPError:
            return None

    def repeated_revisions(self) -> int:
        """Count revisions found twice in the audit or the stream; fails on a gap in the audit."""
        with self.database() as database, database.read() as session:
            changes = select(AuditTable.revision).where(col(AuditTable.revision) != NO_REVISION)
            audited = list(session.exec(changes.order_by(col(AuditTable.revision))))
            last = counter(session).revision
        assert set(audited) == set(range(1, last + 1)), "the audit has a gap"
        with self.backends.valkey.client() as redis:
            entries: Any = redis.xrange(STREAM_KEY)
        keys = FeedKeys(Secret(self.fleet.feed_key))
        told = [
            decode_event(keys.open("event", fields[EVENT_FIELD.encode()], place=_revision_of(place))).revision
            for place, fields in entries
        ]
        return len(audited) - len(set(audited)) + len(told) - len(set(told))

    async def switch_all_on(self) -> None:
        """Switch on whatever an earlier test left off, by the database's word."""
        with self.database() as database, database.read() as session:
            off = [org for org in self.movers if integration(session, org, "openai").state != "enabled"]
        async with self.rest() as client:
            await asyncio.gather(*(client.switch(org, "openai", enabled=True) for org in off))
        for mover in self.movers.values():
            mover.on = True

    def check_logs(self) -> None:
        """Raise `AssertionError` when a log shows a key, or an exception not explained by an outage."""
        for plane in self.fleet.planes:
            log = plane.process.log
            assert not any(key.decode() in log for key in self.keyring.labels), "a key is in a log"
            unforeseen = set(_EXCEPTION.findall(log)) - OUTAGE_EXCEPTIONS
            assert not unforeseen, f"{unforeseen} in:\n{log}"

    async def _set_up_orgs(self) -> None:
        async with self.rest(0) as one, self.rest(1) as other:
            clients = (one, other)
            made = await asyncio.gather(
                *(self.new_org(clients[number % 2]) for number in range(LOADED_ORGS + MOVING_ORGS))
            )
        self.labels = dict(made[:LOADED_ORGS])
        self.movers = {org: Mover(label) for org, label in made[LOADED_ORGS:]}

    async def new_org(self, client: ControlPlane) -> tuple[str, str]:
        """Make an org with OpenAI on; give its name and the label of its key."""
        org = await client.new_org()
        key, label = self.keyring.new_key(org)
        await client.set_up(org, "openai", key, self.endpoint)
        return org, label

    async def _start_data_planes(self) -> None:
        starts = [
            asyncio.to_thread(self.fleet.data_plane, self.control_planes[number % CONTROL_PLANES])
            for number in range(DATA_PLANES)
        ]
        self.data_planes = list(await asyncio.gather(*starts))
        for plane in self.data_planes:
            await self.fleet.ready(plane)


def _revision_of(place: bytes) -> int:
    return int(place.partition(b"-")[0])


async def _start_control_planes(fleet: Fleet) -> None:
    for _ in range(CONTROL_PLANES):
        plane = await asyncio.to_thread(fleet.control_plane)
        # A process that is started again must be found where it was.
        plane.environment |= {
            "AIGW_CONTROL_PLANE_PORT": str(plane.outer_port),
            "AIGW_INTERNAL_PORT": str(plane.inner_port),
        }
