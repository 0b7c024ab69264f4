"""The messages let through by the limits to an application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.control_plane.api.limits import BodyLimit

MORE = {"type": "http.request", "body": b'{"enabled":', "more_body": True}
LAST = {"type": "http.request", "body": b"true}", "more_body": False}
GONE = {"type": "http.disconnect"}


@dataclass
class Application:
    """Reads one message of each request and answers 200."""

    bodies: list[Any] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        message = await receive()
        self.bodies.append((message["body"], message["more_body"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def sent_for(application: Application, *messages: dict[str, Any]) -> list[Message]:
    """Send these messages as one request; give the answer."""
    left = list(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "PUT", "path": "/", "headers": []}
    await BodyLimit(application, max_bytes=16)(scope, receive, send)
    return sent


async def test_a_body_in_pieces_arrives_whole() -> None:
    application = Application()
    await sent_for(application, MORE, LAST)
    assert application.bodies == [(b'{"enabled":true}', False)]


@pytest.mark.parametrize("begun", [(), (MORE,), (MORE, {**MORE, "body": b""})], ids=len)
async def test_a_body_whose_client_goes_away_reaches_nobody(begun: tuple[dict[str, Any], ...]) -> None:
    application = Application()
    assert await sent_for(application, *begun, GONE) == []
    assert application.bodies == []


async def test_a_body_above_the_limit_is_413_however_it_comes() -> None:
    application = Application()
    (start, _) = await sent_for(application, MORE, MORE, LAST)
    assert start["status"] == 413
    assert application.bodies == []
