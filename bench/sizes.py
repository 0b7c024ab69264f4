"""Memory and CPU of each part of an installation on real backends: `python -m bench.sizes [--orgs N]`.

Prints the table of "Sizes" in docs/production.md. Boxes call a node agent, the agent calls a data plane, and
all planes use a Postgres, a Valkey and a Vault, started here. The relay is compiled where PYTHONPATH leads to
the compiled modules (`make compiled`), as in the image.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from aigw.node_key import NodeKey
from bench.proc import anonymous_bytes, cpu_seconds, resident_bytes, tree
from bench.scale.at_once import fill
from bench.scale.crowd import crowd
from services.control_plane.store import migrate
from services.control_plane.store.database import Database
from shared.config_feed import Snapshot
from shared.providers import PROVIDERS
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.support.control_plane import ControlPlane
from tests.support.node_agent import Agent
from tests.support.polling import eventually
from tests.support.servers.fleet import Fleet, Plane
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import ServerProcess, free_port
from tests.support.servers.valkey import ValkeyServer
from tests.support.servers.vault import VaultServer
from tests.support.servers.vault_store import VaultStore

BOXES: Final = 10
CHUNK_SECONDS: Final = 0.5
"""Between two chunks of a stream: the pace of a model that writes a long answer."""
CHUNK: Final = b'{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"' + b"word " * 8 + b'"}}]}'
EMPTY_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
READY_SECONDS: Final = 120.0
BACKLOG: Final = 4_096
DESCRIPTORS: Final = 16_384
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Load:
    """The states that are measured, each after `settle_seconds` over `window_seconds`."""

    connections: int = 1_000
    streams: int = 500
    settle_seconds: float = 5.0
    window_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    """A part in a state. `resident` and `anonymous`: bytes; only anonymous memory cannot be read again."""

    state: str
    part: str
    resident: int
    anonymous: int
    cores: float


@dataclass(slots=True)
class Table:
    """The measurements: `rows` in their order, `starts` with the CPU seconds of each part until it served."""

    parts: dict[str, ServerProcess]
    load: Load
    rows: list[Row] = field(default_factory=list)
    starts: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        self.starts = {part: cpu_seconds(tree(process.pid)) for part, process in self.parts.items()}

    async def look(self, state: str) -> None:
        """Measure every part in this state."""
        await asyncio.sleep(self.load.settle_seconds)
        before = {part: cpu_seconds(tree(process.pid)) for part, process in self.parts.items()}
        began = time.monotonic()
        await asyncio.sleep(self.load.window_seconds)
        seconds = time.monotonic() - began
        for part, process in self.parts.items():
            stats = tree(process.pid)
            cores = (cpu_seconds(stats) - before[part]) / seconds
            anonymous = sum(anonymous_bytes(stat.pid) for stat in stats)
            self.rows.append(Row(state, part, resident_bytes(stats), anonymous, cores))

    def shown(self) -> str:
        """Give a table in Markdown: a line per state, a column per part; then a line about the starts."""
        lines = [f"| state | {' | '.join(self.parts)} |", "|---" * (1 + len(self.parts)) + "|"]
        for state in dict.fromkeys(row.state for row in self.rows):
            cells = [
                f"{row.resident / MIB:.0f} MiB ({row.anonymous / MIB:.0f}), {row.cores * 1_000:.0f}m"
                for row in self.rows
                if row.state == state
            ]
            lines.append(f"| {state} | {' | '.join(cells)} |")
        starts = (f"{seconds:.1f} s" for seconds in self.starts.values())
        return "\n".join([*lines, f"| CPU until the part served | {' | '.join(starts)} |"])


@dataclass(frozen=True, slots=True)
class Site:
    """A running installation: `control_plane`, `data_plane`, and `agent` with `BOXES` boxes of one org."""

    fleet: Fleet
    control_plane: Plane
    data_plane: Plane
    agent: Agent
    box_ports: tuple[int, ...]

    def table(self, load: Load) -> Table:
        """Give an empty table of the parts."""
        return Table(
            {
                "control plane": self.control_plane.process,
                "data plane": self.data_plane.process,
                "node agent": self.agent.process,
            },
            load,
        )

    @asynccontextmanager
    async def connections(self, number_of_them: int) -> AsyncIterator[None]:
        """Hold connections of boxes; each has had an answer and is idle."""
        async with AsyncExitStack() as stack:
            for number in range(number_of_them):
                reader, writer = await self._connected(stack, number)
                writer.write(_request("/run9/ai/openai/v1/models", b""))
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), head
                await reader.readexactly(2)
            yield

    @asynccontextmanager
    async def streams(self, number_of_them: int) -> AsyncIterator[None]:
        """Hold streams of boxes, each with a chunk every `CHUNK_SECONDS`, and read them."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as readers:
            tasks = []
            for number in range(number_of_them):
                reader, writer = await self._connected(stack, number)
                writer.write(_request("/run9/ai/openai/v1/chat/completions", b'{"model":"m","stream":true}'))
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), head
                tasks.append(readers.create_task(_read_on(reader)))  # the group holds the task
            yield
            for task in tasks:
                assert not task.done(), "a stream ended"
                task.cancel()

    async def _connected(
        self, stack: AsyncExitStack, number: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = self.box_ports[number % len(self.box_ports)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        stack.callback(writer.close)
        return reader, writer


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizes", description=__doc__)
    parser.add_argument("--orgs", type=int, default=1_000)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    print(asyncio.run(measure([1, options.orgs], Load())))


async def measure(orgs: Sequence[int], load: Load) -> str:
    """Measure an installation with each of these numbers of orgs; give the tables."""
    with _backends() as (postgres, valkey, vault), tempfile.TemporaryDirectory() as folder:
        async with _provider() as port:
            shown = []
            for count in orgs:
                fleet = Fleet(Path(folder) / str(count), postgres.new_database(), valkey.url, vault)
                fleet.folder.mkdir()
                valkey.client().flushall()
                _fill(fleet, vault, count - 1)
                async with _site(fleet, f"http://127.0.0.1:{port}/v1") as site:
                    table = site.table(load)
                    await _look(site, table, count)
                    shown.append(table)
    return "\n\n".join(table.shown() for table in shown)


async def _look(site: Site, table: Table, orgs: int) -> None:
    load = table.load
    await table.look(f"{orgs:,} org{'s' if orgs > 1 else ''}, no traffic")
    async with site.connections(load.connections):
        await table.look(f"{load.connections:,} idle connections")
    async with site.streams(load.streams):
        await table.look(f"{load.streams} streams, {load.streams / CHUNK_SECONDS:,.0f} chunks a second")


@contextmanager
def _backends() -> Iterator[tuple[PostgresServer, ValkeyServer, VaultStore]]:
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        valkey = stack.enter_context(ValkeyServer())
        yield postgres, valkey, VaultStore.new(stack.enter_context(VaultServer()))


def _fill(fleet: Fleet, vault: VaultStore, orgs: int) -> None:
    """Put orgs into the database with their keys in Vault, as if saved once each."""
    database = Database(fleet.database_url)
    migrate.upgrade(database)
    made = crowd(orgs)
    rows = tuple(dataclasses.replace(row, secret_version=1) for row in made.integrations)
    fill(database, Snapshot(made.epoch, made.revision, rows, made.orgs, ()))
    database.close()
    for row in rows:
        key = Secret(f"sk-{row.org}-{row.provider}".ljust(120, "x"))
        vault.put(1, SecretDocument(row.org, row.provider, PROVIDERS[row.provider].default_endpoint, key))


@asynccontextmanager
async def _site(fleet: Fleet, endpoint: str) -> AsyncIterator[Site]:
    """Start all parts, and one org with a key for `endpoint` and `BOXES` boxes."""
    with fleet.running():
        control_plane = await asyncio.to_thread(fleet.control_plane)
        data_plane = await asyncio.to_thread(
            lambda: fleet.data_plane(control_plane, AIGW_IDENTITY_MODE="proxy-tlv")
        )
        await fleet.ready(data_plane)
        async with fleet.client(control_plane) as rest:
            org = await _org(rest, endpoint)
        folder = fleet.folder / "agent"
        folder.mkdir()
        (folder / "node-key.pem").write_bytes((fleet.folder / "node-key.pem").read_bytes())
        NodeKey.read(folder / "node-key.pem")
        agent = Agent(folder, (f"tcp://127.0.0.1:{data_plane.outer_port}",))
        async with agent.running():
            ports = await _boxes(agent, org)
            yield Site(fleet, control_plane, data_plane, agent, ports)


async def _org(rest: ControlPlane, endpoint: str) -> str:
    org = await rest.new_org()
    await rest.set_up(org, "openai", "sk-key-of-the-measurement-0001", endpoint)

    async def is_live() -> bool:
        found = await rest.rollout(org, "openai")
        return bool(found["live"]) and found["live"] == found["total"]

    await eventually(is_live, "the org is live", deadline_seconds=READY_SECONDS)
    return org


async def _boxes(agent: Agent, org: str) -> tuple[int, ...]:
    ports = tuple(free_port() for _ in range(BOXES))
    transport = httpx.AsyncHTTPTransport(uds=str(agent.socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as rest:
        for number, port in enumerate(ports):
            body = {"org": org, "lifecycle_id": "1", "listen": {"address": f"127.0.0.1:{port}"}}
            (await rest.put(f"/v1/boxes/box-{number}", json=body)).raise_for_status()
    return ports


@asynccontextmanager
async def _provider() -> AsyncIterator[int]:
    """Serve as a provider: a POST streams until the caller goes away, any other request gets `{}`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"POST"):
                    await _stream(writer)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
                )
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=BACKLOG)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _stream(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    event = b"data: " + CHUNK + b"\n\n"
    while True:
        writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        await writer.drain()
        await asyncio.sleep(CHUNK_SECONDS)


async def _read_on(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


def _request(path: str, body: bytes) -> bytes:
    method = "POST" if body else "GET"
    head = f"{method} {path} HTTP/1.1\r\nhost: 10.0.2.2:1000\r\ncontent-type: application/json\r\n"
    length = f"content-length: {len(body)}\r\n" if body else ""
    return f"{head}{length}\r\n".encode() + body


if __name__ == "__main__":
    main()
