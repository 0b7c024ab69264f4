"""WebSocket APIs, scripted: OpenAI's realtime and responses, and Google's Live."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosedError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.clients.provider_answers import WORDS, response_events
from tests.clients.wire import Seen, as_seen
from tests.support.scripted_upstream import ReceivedRequest

MAX_MESSAGE_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class WebSocketProvider:
    """The server.

    Attributes:
        origin: the server's origin.
        handshakes: every arrived request head, other than probes.
        targets: the targets of all requests, probes as well.
        messages: the messages of clients, in order.
        close_codes: how each connection ended.
        extensions: which were negotiated.
        refuses: whether handshakes are answered with 403.
    """

    origin: str = ""
    handshakes: list[Request] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    close_codes: list[int | None] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)
    refuses: bool = False

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[WebSocketProvider]:
        """Start a server on a free port of 127.0.0.1."""
        provider = cls()
        protocols = [Subprotocol("realtime")]
        async with serve(
            provider._talk,
            "127.0.0.1",
            0,
            process_request=provider._judge,
            subprotocols=protocols,
            select_subprotocol=_realtime_if_offered,
            max_size=MAX_MESSAGE_BYTES,
        ) as server:
            provider.origin = f"http://127.0.0.1:{_port(server)}"
            yield provider

    def credentials(self) -> list[str]:
        """Give every credential of every handshake."""
        names = ("authorization", "x-api-key", "api-key", "cookie", "proxy-authorization")
        return [value for shake in self.handshakes for name in names for value in shake.headers.get_all(name)]

    def forget(self) -> None:
        """Forget every handshake and message so far."""
        self.handshakes.clear()
        self.messages.clear()

    def seen(self, base: str) -> list[Seen]:
        """Give each handshake without the endpoint's path, and each message, as requests to compare."""
        heads = [
            ReceivedRequest(
                b"",
                b"GET",
                shake.path.removeprefix(base).encode(),
                tuple((name.encode(), value.encode()) for name, value in shake.headers.raw_items()),
                b"",
                b"",
                0,
            )
            for shake in self.handshakes
        ]
        messages: list[Seen] = [
            (b"message", b"", [], json.dumps(message).encode()) for message in self.messages
        ]
        return [*as_seen(heads), *messages]

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        self.targets.append(request.path)
        if "Upgrade" not in request.headers:
            return connection.respond(HTTPStatus.OK, "{}")
        self.handshakes.append(request)
        return connection.respond(HTTPStatus.FORBIDDEN, "no WebSockets today") if self.refuses else None

    async def _talk(self, connection: ServerConnection) -> None:
        self.extensions += [extension.name for extension in connection.protocol.extensions]
        assert connection.request is not None
        is_realtime = "/realtime" in connection.request.path
        is_live = "BidiGenerateContent" in connection.request.path
        try:
            if is_realtime:
                session = {"type": "realtime", "model": "gpt-realtime"}
                created = {"type": "session.created", "event_id": "e0", "session": session}
                await connection.send(json.dumps(created))
            async for text in connection:
                message = json.loads(text)
                self.messages.append(message)
                answers = _realtime_answers if is_realtime else _live_answers if is_live else _turn
                for answer in answers(message):
                    await connection.send(json.dumps(answer, ensure_ascii=False))
        except ConnectionClosedError:
            pass  # a client that exits without a close frame; `close_codes` says so
        finally:
            await connection.wait_closed()
            self.close_codes.append(connection.close_code)


def _realtime_if_offered(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((protocol for protocol in offered if protocol == "realtime"), None)


def _realtime_answers(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer a realtime event: a session's update is confirmed, audio comes back unchanged."""
    match message["type"]:
        case "session.update":
            return [{"type": "session.updated", "event_id": "e1", "session": message["session"]}]
        case "input_audio_buffer.append":
            at = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0, "event_id": "e2"}
            return [{"type": "response.output_audio.delta", "delta": message["audio"], **at}]
        case other:
            return [{"type": "error", "event_id": "e3", "error": {"type": "invalid", "message": other}}]


def _live_answers(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer as Google's Live API does: a set-up is confirmed, and a turn is answered by a turn."""
    if "setup" in message:
        return [{"setupComplete": {}}]
    parts = [{"text": word} for word in WORDS]
    return [{"serverContent": {"modelTurn": {"parts": parts}}}, {"serverContent": {"turnComplete": True}}]


def _turn(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer `response.create` as the HTTP stream does, an event a message."""
    assert message["type"] == "response.create"
    return response_events()


def _port(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port
