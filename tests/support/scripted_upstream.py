"""A provider for tests, on a raw socket: keeps every received byte and answers exactly as told.

The provider checks the invariants of an end-to-end run: each request carries exactly one credential, of an
expected key, the target lies inside the endpoint, and no unplanned request comes. Broken invariants are
kept in `faults`, and leaving the context raises an error with all of them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from shared.tasks import TaskSet

CREDENTIAL_HEADERS: Final = (
    *(b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"proxy-authorization", b"cookie"),
)
MAX_HEAD_BYTES: Final = 256 * 1024
CLOSE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes in one go."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next step."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait until the test sets the event."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection cleanly."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Abort the connection: the peer sees a reset, not an end."""


Step = Send | Pause | WaitFor | Close | Reset
Answer = Sequence[Step]


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as received.

    Attributes:
        head: every byte up to and with the empty line.
        method, target: of the request line.
        headers: names and values in their order, names as received.
        raw_body: with its framing; `body` without.
        connection: number of the connection, from 0 in the order of accepting.
    """

    head: bytes
    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    raw_body: bytes
    body: bytes
    connection: int

    def values(self, name: str) -> list[bytes]:
        """Give all values of a header, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]

    @property
    def credentials(self) -> list[bytes]:
        """Give every credential of the request, with any `Bearer` in front taken off."""
        found = [value for key, value in self.headers if key.lower() in CREDENTIAL_HEADERS]
        return [value.removeprefix(b"Bearer ") for value in found]


@dataclass(slots=True)
class ScriptedUpstream:
    """The server. Use it as `async with ScriptedUpstream(keys=…) as upstream`.

    Attributes:
        keys: the only credentials that may arrive; None turns the credential checks off.
        base_path: the start of every allowed target.
        respond: makes the answer of a request without a queued answer; None makes such a request a fault.
        tls: a server context, for an https endpoint.
        requests: all requests received whole, in order.
        faults: the broken invariants.
        closed: how many connections the other side has ended or reset.
    """

    keys: frozenset[bytes] | None = None
    base_path: bytes = b"/"
    respond: Callable[[ReceivedRequest], Answer] | None = None
    tls: ssl.SSLContext | None = None
    requests: list[ReceivedRequest] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    accepted: int = 0
    closed: int = 0
    _queue: deque[Answer] = field(default_factory=deque)
    _server: asyncio.Server | None = None
    _tasks: TaskSet = field(default_factory=TaskSet)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def port(self) -> int:
        """The provider's port, on 127.0.0.1."""
        assert self._server is not None, "not started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def origin(self) -> str:
        """Scheme and authority, e.g. `http://127.0.0.1:40123`."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def queue(self, *answers: Answer) -> None:
        """Plan the answers of the next requests, in order."""
        self._queue.extend(answers)

    async def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until `condition` holds, looked at whenever a request or a close is seen."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(condition), seconds)

    def check(self) -> None:
        """Raise `AssertionError` with every broken invariant and every planned request that never came."""
        unasked = [f"{len(self._queue)} planned answers were never asked for"] if self._queue else []
        assert not self.faults + unasked, "; ".join(self.faults + unasked)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self.tls, limit=MAX_HEAD_BYTES
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._server is not None
        async with asyncio.timeout(CLOSE_SECONDS), asyncio.TaskGroup() as group:
            # Asked for first: only so does Python 3.11 wait for connections that no handler knows of yet,
            # because their handshake is not over.
            group.create_task(self._server.wait_closed())
            await asyncio.sleep(0)
            self._server.close()
            await self._tasks.aclose()
        if kind is None:
            self.check()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.accepted
        self.accepted += 1
        self._tasks.start(self._serve(number, reader, writer), f"upstream connection {number}")

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                request = await _read_request(number, reader)
                answer = self._book(request)
                await self._tell()
                for step in answer:
                    await _do(step, writer)
        except (EOFError, ConnectionError):
            pass  # the other side left; `closed` says so
        except asyncio.CancelledError:
            writer.transport.abort()  # what waits for a reader that may never read must not outlive the test
            raise
        finally:
            writer.close()
            self.closed += 1
            await asyncio.shield(self._tell())

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _book(self, request: ReceivedRequest) -> Answer:
        self.requests.append(request)
        self.faults.extend(self._broken_by(request))
        if self._queue:
            return self._queue.popleft()
        if self.respond is not None:
            return self.respond(request)
        self.faults.append(f"one request too many: {request.method.decode()} {request.target.decode()}")
        return (Reset(),)

    def _broken_by(self, request: ReceivedRequest) -> Iterable[str]:
        # A fault never quotes a credential: a failing test must not print one.
        if not request.target.startswith(self.base_path):
            yield f"the target {request.target!r} is outside {self.base_path!r}"
        if self.keys is None:
            return
        if len(request.credentials) != 1:
            yield f"{len(request.credentials)} credentials arrived, not exactly one"
        elif request.credentials[0] not in self.keys:
            yield "a credential arrived that is not an expected key"


async def _do(step: Step, writer: asyncio.StreamWriter) -> None:
    match step:
        case Send(data):
            writer.write(data)
            await writer.drain()
        case Pause(seconds):
            await asyncio.sleep(seconds)
        case WaitFor(event):
            await event.wait()
        case Close():
            writer.close()
        case Reset():
            writer.transport.abort()


async def _read_request(number: int, reader: asyncio.StreamReader) -> ReceivedRequest:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    method, target, _ = first.split(b" ", 2)
    pairs = [line.partition(b":") for line in lines]
    headers = tuple((name, value.strip()) for name, _, value in pairs)
    length = next((value for name, value in headers if name.lower() == b"content-length"), None)
    if any(name.lower() == b"transfer-encoding" for name, _ in headers):
        raw_body, body = await _read_chunked(reader)
    else:
        raw_body = body = await reader.readexactly(int(length or 0))
    return ReceivedRequest(head, method, target, headers, raw_body, body, number)


async def _read_chunked(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    raw, body = bytearray(), bytearray()
    while True:
        size_line = await reader.readuntil(b"\r\n")
        raw += size_line
        size = int(size_line.split(b";")[0], 16)
        if size == 0:
            break
        data = await reader.readexactly(size + 2)
        raw += data
        body += data[:-2]
    while True:  # trailers, up to the empty line
        line = await reader.readuntil(b"\r\n")
        raw += line
        if line == b"\r\n":
            return bytes(raw), bytes(body)
