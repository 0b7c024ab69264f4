"""A node agent as a process, and data planes in its place reading prefaces and naming the proved boxes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from aigw.node_key import NodeKey
from shared.box_token import Box, read_public_key, verify
from shared.clock import unix_now
from shared.proxy_preface import COMMAND_LOCAL, FIXED_HEADER_BYTES, SIGNATURE, TLV_BOX_TOKEN, VERSION
from tests.support.commands import AIGW
from tests.support.gateway import clean_environment
from tests.support.servers.process import START_SECONDS, ServerProcess
from tests.support.service_manager import ServiceManager

KID: Final = "node-1-key"
STOP_SECONDS: Final = 20.0
_TLV_HEAD: Final = 3
_SERVES: Final = re.compile(r"^Node agent on .*, process (\d+)$", re.MULTILINE)


@dataclass(slots=True)
class Agent:
    """A process of `aigw node-agent`. `async with agent.running()` starts the agent and waits until ready.

    Attributes:
        manager: keeps its sockets; set before the start.
        descriptors: soft and hard limit on open descriptors, as `ulimit` sets them.
    """

    folder: Path
    targets: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    manager: ServiceManager | None = None
    descriptors: tuple[int, int] | None = None
    process: ServerProcess = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = ServerProcess(self.folder)
        if not self.key_file.exists():
            NodeKey.create(self.key_file)

    @property
    def key_file(self) -> Path:
        """The node's private key."""
        return self.folder / "node-key.pem"

    @property
    def public_keys(self) -> dict[str, Ed25519PublicKey]:
        """The node's public keys, as a data plane knows them."""
        return {KID: read_public_key(NodeKey.read(self.key_file).public_text)}

    @property
    def socket(self) -> Path:
        """The REST socket."""
        return self.folder / "agent.sock"

    def settings(self) -> dict[str, str]:
        """Give the environment of the process."""
        values = {
            "AIGW_AGENT_SOCKET": str(self.socket),
            "AIGW_AGENT_FOLDER": str(self.folder / "state"),
            "AIGW_AGENT_TARGETS": ",".join(self.targets),
            "AIGW_AGENT_NODE_KEY_FILE": str(self.key_file),
            "AIGW_AGENT_KID": KID,
            "AIGW_AGENT_HEALTH_SECONDS": "0.3",
        }
        return clean_environment(**{**values, **self.environment})

    def start(self) -> None:
        """Start the agent; again after `process.stop` or `process.kill`."""
        (self.folder / "log").unlink(missing_ok=True)
        command, passed = [*AIGW, "node-agent"], list[int]()
        settings = self.settings()
        if self.descriptors is not None:
            soft, hard = self.descriptors
            command = [
                "bash",
                "-c",
                f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"',
                "agent",
                *command,
            ]
        if self.manager is not None:
            command, passed = self.manager.start_command(command)
            settings |= self.manager.environment
        self.process.start(command, lambda: self.starts == 1, settings, passed)

    @property
    def starts(self) -> int:
        """How often this process or a successor has reported to serve."""
        return self.process.log.count("Node agent on ")

    @property
    def pid(self) -> int:
        """The process serving now: the started process, or its latest successor."""
        return int(_SERVES.findall(self.process.log)[-1])

    def upgrade(self) -> None:
        """Have the agent start its successor."""
        os.kill(self.pid, signal.SIGHUP)

    async def replaced(self, starts: int) -> None:
        """Wait until so many processes have served in turn, and the last but the newest accepts no more."""
        deadline = time.monotonic() + START_SECONDS
        while self.starts < starts or self.process.log.count("has taken over") < starts - 1:
            assert time.monotonic() < deadline, f"no successor has taken over:\n{self.process.log}"
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Agent]:
        """Start the agent, and end the agent with every successor.

        The event loop goes on meanwhile, as data planes in this process must answer the first health checks.
        """
        await asyncio.to_thread(self.start)
        try:
            yield self
        finally:
            self._stop_successor()
            self.process.stop()

    def _stop_successor(self) -> None:
        successor = self.pid
        if successor != self.process.pid:
            os.kill(successor, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while Path(f"/proc/{successor}/cwd").exists() and time.monotonic() < deadline:
                time.sleep(0.05)

    @asynccontextmanager
    async def rest(self) -> AsyncIterator[Rest]:
        """Its REST interface."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=30) as client:
            yield Rest(client)


@dataclass(frozen=True, slots=True)
class Rest:
    """The platform's side of the agent's REST interface."""

    client: httpx.AsyncClient

    async def attach(self, box: str, org: str, listen: dict[str, str], life: str = "1") -> httpx.Response:
        """Attach a box."""
        body = {"org": org, "lifecycle_id": life, "listen": listen}
        return await self.client.put(f"/v1/boxes/{box}", json=body)

    async def attached(self, box: str, org: str, listen: dict[str, str], life: str = "1") -> dict[str, Any]:
        """Attach a box, which must succeed; give the attached box."""
        answer = await self.attach(box, org, listen, life)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def detach(self, box: str, life: str = "1") -> int:
        """Detach a box; give the status."""
        return (await self.client.delete(f"/v1/boxes/{box}", params={"lifecycle_id": life})).status_code

    async def box(self, box: str) -> dict[str, Any]:
        """Give the attached box."""
        found: dict[str, Any] = (await self.client.get(f"/v1/boxes/{box}")).json()
        return found


@dataclass(slots=True)
class PrefacedServer:
    """Stands for a data plane: reads and verifies the preface of each connection, and answers by path.

    A request is answered with the box as JSON. `/stream` sends a line every 20 ms until the box leaves,
    `/reset` resets the connection, `/early` answers and closes while the body still comes.
    """

    keys: Mapping[str, Ed25519PublicKey]
    port: int = 0
    admin_port: int = 0
    ready: bool = True
    tls: ssl.SSLContext | None = None
    served: Counter[Box] = field(default_factory=Counter)
    refused: int = 0
    open_connections: int = 0
    _servers: list[asyncio.Server] = field(default_factory=list)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        """Listen; on the same ports again after `stop`."""
        boxes = await asyncio.start_server(self._box, "127.0.0.1", self.port, backlog=1024, ssl=self.tls)
        admin = await asyncio.start_server(self._admin, "127.0.0.1", self.admin_port)
        self._servers = [boxes, admin]
        self.port = boxes.sockets[0].getsockname()[1]
        self.admin_port = admin.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and reset the open connections, as a crash would."""
        for server in self._servers:
            server.close()
        for writer in list(self._writers):
            _reset(writer)
        serving = list(self._serving)
        if serving:
            _, late = await asyncio.wait(serving, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.sleep(0)  # the transports that were reset end in the next turn

    @property
    def target(self) -> str:
        """The agent's setting for this server."""
        return f"{'tls' if self.tls else 'tcp'}://127.0.0.1:{self.port}=http://127.0.0.1:{self.admin_port}"

    @contextlib.contextmanager
    def _served_here(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """Have `stop` reset this connection, and wait for its handler."""
        task = asyncio.current_task()
        assert task is not None
        self._writers.add(writer)
        self._serving.add(task)
        try:
            yield
        finally:
            self._writers.discard(writer)
            self._serving.discard(task)

    async def _box(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._served_here(writer):
            await self._box_connection(reader, writer)

    async def _box_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            box = await self._proved(reader, writer)
            if box is not None:
                await self._serve(box, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _proved(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Box | None:
        """Give the box of the preface; None for a health check, which is answered."""
        head = await reader.readexactly(FIXED_HEADER_BYTES)
        rest = await reader.readexactly(int.from_bytes(head[14:16]))
        if head[12] == (VERSION | COMMAND_LOCAL):
            writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % self._status)
            await writer.drain()
            return None
        try:
            assert head[:12] == SIGNATURE
            assert (head[12], head[13], rest[0]) == (0x21, 0, TLV_BOX_TOKEN)
            assert int.from_bytes(rest[1:_TLV_HEAD]) == len(rest) - _TLV_HEAD
            return verify(rest[_TLV_HEAD:], self.keys, unix_now())
        except (AssertionError, ValueError):
            self.refused += 1
            raise ConnectionResetError from None

    async def _serve(self, box: Box, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.served[Box(box.org, box.box, box.lifecycle, 0)] += 1
            match head.split(b" ")[1]:
                case b"/stream":
                    await self._stream(writer)
                case b"/identities":
                    await self._identities(box, reader, writer)
                case b"/socket":
                    await self._socket(box, reader, writer)
                case b"/reset":
                    _reset(writer)
                    raise ConnectionResetError
                case b"/early":
                    writer.write(_answer(box, b"413 Content Too Large"))
                    await writer.drain()
                    return
                case _:
                    writer.write(_answer(box, b"200 OK"))
                    await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        number = 0
        while True:
            writer.write(b"data: %d\n\n" % number)
            await writer.drain()
            number += 1
            await asyncio.sleep(0.02)

    async def _identities(self, box: Box, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send the identity as event after event, until the box leaves."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        while not reader.at_eof():
            writer.write(b"data: %b\n\n" % _identity(box))
            await writer.drain()
            await asyncio.sleep(0.02)
        raise ConnectionResetError

    async def _socket(self, box: Box, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Switch protocols, then answer each line with the identity."""
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        while await reader.readuntil(b"\n"):
            writer.write(_identity(box) + b"\n")
            await writer.drain()

    @property
    def _status(self) -> bytes:
        return b"200 OK" if self.ready else b"503 Service Unavailable"

    async def _admin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._served_here(writer):
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await reader.readuntil(b"\r\n\r\n"):
                    writer.write(b"HTTP/1.1 " + self._status + b"\r\ncontent-length: 0\r\n\r\n")
                    await writer.drain()
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    if writer.is_closing():
        return
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _identity(box: Box) -> bytes:
    return json.dumps({"org": box.org, "box": box.box, "life": box.lifecycle}).encode()


def _answer(box: Box, status: bytes) -> bytes:
    body = _identity(box)
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )
