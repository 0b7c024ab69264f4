"""A provider that answers each org in its own way, which the org's key names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.answers import LAST_CHUNK, chunk_bytes, head_bytes, json_answer
from tests.support.scripted_upstream import Close, Send, WaitFor

if TYPE_CHECKING:
    import asyncio

    from tests.support.scripted_upstream import Answer, ReceivedRequest


def key(name: str) -> str:
    """Give the key of an org, which says how the provider answers."""
    return f"sk-key-of-{name}-0000000001"


def answer(request: ReceivedRequest, release: asyncio.Event) -> Answer:
    """Answer as the org of the key is to see it."""
    name = request.credentials[0].split(b"-")[3].decode()
    match name:
        case "dead":
            error = {"message": "Incorrect API key provided", "code": "invalid_api_key"}
            return json_answer({"error": error}, status="401 Unauthorized")
        case "sick":
            return json_answer({"error": {"message": "The server had an error"}}, status="500 Oops")
        case "held":
            fields = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
            begun = head_bytes("200 OK", fields) + chunk_bytes(b": held\n\n")
            return (Send(begun), WaitFor(release), Send(LAST_CHUNK))
        case "slow":
            return (*json_answer({}, head=[("connection", "close")]), Close())
        case _:
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
            return json_answer({"id": "c1", "object": "chat.completion", "model": "m", "usage": usage})
