"""What the providers answer to the calls that real clients make here, in the providers' own shapes."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Iterable
from typing import Any, Final

from tests.support.answers import chunked, json_answer, whole
from tests.support.scripted_upstream import Answer, ReceivedRequest

WORDS: Final = ("Grüße", " — ", "日本", "語", " 🦜", " done", ".")
TEXT: Final = "".join(WORDS)
VECTOR: Final = [0.5, -0.5, 0.25]
HEAD: Final = (
    ("x-request-id", "req_of_the_provider"),
    ("request-id", "req_of_the_provider"),
    ("x-ratelimit-remaining-requests", "4711"),
    ("anthropic-ratelimit-requests-remaining", "4711"),
    ("openai-organization", "the-org-behind-the-key"),
    ("set-cookie", "session=1"),
)


def openai_answer(request: ReceivedRequest) -> Answer:
    """Answer as OpenAI does."""
    match _call(request):
        case "GET models":
            models = [{"id": "gpt-5", "object": "model", "created": 1, "owned_by": "openai"}]
            return _compressed({"object": "list", "data": models})
        case "POST chat/completions":
            return chunked([*_chat_events()]) if _wants_stream(request) else json_answer(_chat(), head=HEAD)
        case "POST responses":
            stream = _wants_stream(request)
            return chunked([*_named(response_events())]) if stream else json_answer(_response(), head=HEAD)
        case "POST embeddings":
            return json_answer(_embeddings(request), head=HEAD)
        case "POST files":
            size = len(request.body)
            file = {"id": "file-1", "object": "file", "bytes": size, "created_at": 1, "filename": "f.jsonl"}
            return json_answer(file | {"purpose": "batch", "status": "processed"}, head=HEAD)
        case call:
            error = {"message": f"Invalid URL ({call})", "type": "invalid_request_error", "param": None}
            return json_answer({"error": error | {"code": None}}, status="404 Not Found", head=HEAD)


def anthropic_answer(request: ReceivedRequest) -> Answer:
    """Answer as Anthropic does."""
    match _call(request):
        case "GET models":
            model = {"type": "model", "id": "claude-sonnet-5", "display_name": "Claude Sonnet 5"}
            page = {"data": [model | {"created_at": "2026-01-01T00:00:00Z"}], "has_more": False}
            return _compressed(page | {"first_id": None, "last_id": None})
        case "POST messages":
            stream = _wants_stream(request)
            return chunked([*_message_events()]) if stream else json_answer(_message(TEXT), head=HEAD)
        case "POST messages/count_tokens":
            return json_answer({"input_tokens": 3}, head=HEAD)
        case "POST files":
            file = {"type": "file", "id": "file_1", "created_at": "2026-01-01T00:00:00Z", "filename": "f.txt"}
            sizes = {"mime_type": "text/plain", "size_bytes": len(request.body), "downloadable": False}
            return json_answer(file | sizes, head=HEAD)
        case call:
            error = {"type": "not_found_error", "message": call}
            return json_answer({"type": "error", "error": error}, status="404 Not Found", head=HEAD)


def first_half(answer: Answer) -> Answer:
    """Give a streamed answer's head and the first of its chunks."""
    return answer[: len(answer) // 2]


def _compressed(value: object) -> Answer:
    """Answer as the providers do to clients that take gzip, which all of them do."""
    body = gzip.compress(json.dumps(value).encode(), mtime=0)
    return whole(body, head=[*HEAD, ("content-encoding", "gzip")])


def _call(request: ReceivedRequest) -> str:
    path = request.target.decode().partition("?")[0]
    return f"{request.method.decode()} {path.partition('/v1/')[2]}"


def _wants_stream(request: ReceivedRequest) -> bool:
    return bool(json.loads(request.body).get("stream"))


def _data(value: object) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _named(values: Iterable[dict[str, Any]]) -> Iterable[bytes]:
    return (f"event: {value['type']}\n".encode() + _data(value) for value in values)


def _embeddings(request: ReceivedRequest) -> dict[str, Any]:
    vector: object = VECTOR
    if json.loads(request.body).get("encoding_format") == "base64":
        # What the official SDKs ask for: 32-bit floats, little-endian.
        vector = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    return {"object": "list", "data": data, "model": "e", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def _chat() -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 7, "total_tokens": 8}
    common = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5"}
    return common | {"choices": [choice], "usage": usage}


def _chat_events() -> Iterable[bytes]:
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5"}
    deltas: list[dict[str, str]] = [
        {"role": "assistant", "content": ""},
        *({"content": w} for w in WORDS),
        {},
    ]
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
        yield _data(common | {"choices": [choice]})
    yield b"data: [DONE]\n\n"


_PART: Final = {"type": "output_text", "text": TEXT, "annotations": []}
_ITEM: Final = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}


def _response(status: str = "completed") -> dict[str, Any]:
    done = status == "completed"
    usage = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 8,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-5",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "output": [_ITEM | {"content": [_PART]}] if done else [],
        "usage": usage if done else None,
    }


def response_events() -> list[dict[str, Any]]:
    """Give the events of one streamed response, as JSON values."""
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"output_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response("in_progress")},
        {
            "type": "response.output_item.added",
            "item": _ITEM | {"status": "in_progress", "content": []},
            **item,
        },
        {"type": "response.content_part.added", "part": _PART | {"text": ""}, **at},
        *({"type": "response.output_text.delta", "delta": word, "logprobs": [], **at} for word in WORDS),
        {"type": "response.output_text.done", "text": TEXT, "logprobs": [], **at},
        {"type": "response.content_part.done", "part": _PART, **at},
        {"type": "response.output_item.done", "item": _ITEM | {"content": [_PART]}, **item},
        {"type": "response.completed", "response": _response()},
    ]
    return [{"sequence_number": number} | event for number, event in enumerate(events)]


def _message(text: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "end_turn" if text else None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 7 if text else 1},
    }


def _message_events() -> Iterable[bytes]:
    deltas = ({"type": "text_delta", "text": word} for word in WORDS)
    return _named(
        [
            {"type": "message_start", "message": _message("")},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 7},
            },
            {"type": "message_stop"},
        ]
    )
