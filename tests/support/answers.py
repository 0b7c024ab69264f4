"""Answers for the scripted upstream: whole JSON, server-sent events in chunks, and providers' errors."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.support.scripted_upstream import Answer, Send


def whole(body: bytes, *, status: str = "200 OK", head: Sequence[tuple[str, str]] = ()) -> Answer:
    """Answer with a body of known length, head and body in one write."""
    fields = [("content-type", "application/json"), ("content-length", str(len(body))), *head]
    return (Send(head_bytes(status, fields) + body),)


def json_answer(value: object, *, status: str = "200 OK", head: Sequence[tuple[str, str]] = ()) -> Answer:
    """Answer with JSON."""
    return whole(json.dumps(value).encode(), status=status, head=head)


def chunked(chunks: Sequence[bytes], *, status: str = "200 OK") -> Answer:
    """Answer with an event stream, each chunk in a write of its own."""
    fields = [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked")]
    return (
        Send(head_bytes(status, fields)),
        *(Send(chunk_bytes(chunk)) for chunk in chunks),
        Send(LAST_CHUNK),
    )


LAST_CHUNK = b"0\r\n\r\n"


def chunk_bytes(data: bytes) -> bytes:
    """Frame one chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def head_bytes(status: str, fields: Sequence[tuple[str, str]]) -> bytes:
    """Write a response head."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chat_completion(text: str) -> dict[str, object]:
    """Make the smallest chat completion that the openai SDK reads."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
