"""The parts shared by both demo APIs on the wire: a bounded JSON body, errors, ids, server-sent events."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
Json = dict[str, Any]


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818  # an answer that a provider gives, not a failure of this program
    """A request to be refused by the provider; each API writes the refusal in its own shape.

    `kind` is the provider's `error.type`; `param` and `code` are OpenAI's further fields.
    """

    status: int
    kind: str
    message: str
    param: str | None = None
    code: str | None = None


def random_id(prefix: str) -> str:
    """Make an id as the providers do, e.g. `req_3f…`."""
    return f"{prefix}_{secrets.token_hex(12)}"


async def json_object(request: Request) -> Json:
    """Read the body as a JSON object; raises `Refusal` in words fit for both providers."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refusal(413, "request_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(
            400, "invalid_request_error", "We could not parse the JSON body of your request."
        ) from None
    if not isinstance(value, dict):
        raise Refusal(400, "invalid_request_error", "The body must be a JSON object.")
    return value


def data_event(value: Mapping[str, object] | Literal["[DONE]"]) -> bytes:
    """Write a nameless event, as in OpenAI's chat completions."""
    return b"data: " + (value.encode() if isinstance(value, str) else _compact(value)) + b"\n\n"


def named_event(value: Mapping[str, object]) -> bytes:
    """Write an event named by its own `type`, as in OpenAI's responses and Anthropic's messages."""
    return f"event: {value['type']}\n".encode() + data_event(value)


def _compact(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
