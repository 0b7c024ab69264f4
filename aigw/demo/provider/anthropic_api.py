"""The Anthropic-shaped half: models, messages and count_tokens, with Anthropic's headers and errors.

Shapes: Anthropic's API reference, November 2026, and the fields read strictly by the anthropic Python SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response, StreamingResponse

from aigw.demo.provider.story import Story, count_tokens, paced, tell, text_of
from aigw.demo.provider.wire import EVENT_STREAM, Json, Refusal, json_object, named_event, random_id

if TYPE_CHECKING:
    from starlette.requests import Request

MODELS: Final = {"claude-opus-4-6": "Claude Opus 4.6", "claude-sonnet-4-6": "Claude Sonnet 4.6"}
CREATED: Final = "2026-01-01T00:00:00Z"
RATE_RESET: Final = "2026-01-01T00:01:00Z"
_RATE_LIMITS: Final = {
    "requests": 4000,
    "input-tokens": 2_000_000,
    "output-tokens": 400_000,
    "tokens": 2_400_000,
}


def check_key(request: Request, expected: str) -> None:
    """Raise Anthropic's refusal unless the request carries the expected key, in either of its two headers."""
    key = request.headers.get("x-api-key")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if key is None and scheme.lower() == "bearer":
        if token != expected:
            raise Refusal(401, "authentication_error", "Invalid bearer token")
        return
    if key is None:
        raise Refusal(401, "authentication_error", "x-api-key header is required")
    if key != expected:
        raise Refusal(401, "authentication_error", "invalid x-api-key")


def headers() -> dict[str, str]:
    """Give the headers of every Anthropic answer."""
    rates = {}
    for name, limit in _RATE_LIMITS.items():
        rates[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        rates[f"anthropic-ratelimit-{name}-remaining"] = str(limit - 1)
        rates[f"anthropic-ratelimit-{name}-reset"] = RATE_RESET
    return {"request-id": random_id("req"), "anthropic-organization-id": "run9-demo", **rates}


def refusal_answer(refusal: Refusal) -> Response:
    """Write a refusal in Anthropic's shape."""
    head = headers()
    error = {"type": refusal.kind, "message": refusal.message}
    return JSONResponse(
        {"type": "error", "error": error, "request_id": head["request-id"]}, refusal.status, head
    )


def no_such_route(status: int, _method: str, _path: str) -> Refusal:
    """Refuse an unknown route in Anthropic's words."""
    return Refusal(status, "not_found_error", "Not Found")


def is_meant(request: Request) -> bool:
    """Tell a request for this API: Anthropic's clients always send their version."""
    return request.url.path.startswith("/v1/messages") or "anthropic-version" in request.headers


async def list_models(_request: Request, _pace_seconds: float) -> Response:
    """Answer `GET /v1/models`."""
    data = [_model(name) for name in MODELS]
    page = {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
    return JSONResponse(page, headers=headers())


async def get_model(request: Request, _pace_seconds: float) -> Response:
    """Answer `GET /v1/models/{model}`."""
    name = request.path_params["model"]
    if name not in MODELS:
        raise Refusal(404, "not_found_error", f"model: {name}")
    return JSONResponse(_model(name), headers=headers())


def _model(name: str) -> Json:
    title = MODELS[name]
    return {"type": "model", "id": name, "display_name": title, "created_at": CREATED, "lifecycle": "active"}


async def count_message_tokens(request: Request, _pace_seconds: float) -> Response:
    """Answer `POST /v1/messages/count_tokens`."""
    body = await _body(request)
    _required(body, "model", str)
    return JSONResponse({"input_tokens": count_tokens(_prompt(body))}, headers=headers())


async def messages(request: Request, pace_seconds: float) -> Response:
    """Answer `POST /v1/messages`, whole or as typed events."""
    body = await _body(request)
    model = _required(body, "model", str)
    limit = _required(body, "max_tokens", int)
    if limit < 1:
        raise Refusal(400, "invalid_request_error", "max_tokens: must be greater than or equal to 1")
    story = tell("Anthropic messages", _prompt(body), limit)
    if body.get("stream"):
        events = _events(story, model, pace_seconds)
        return StreamingResponse(events, media_type=EVENT_STREAM, headers=headers())
    end = {
        "content": [{"type": "text", "text": story.text}],
        "stop_reason": _stop_reason(story),
        "usage": _usage(story, len(story.words)),
    }
    return JSONResponse(_empty_message(story, model) | end, headers=headers())


async def _events(story: Story, model: str, pace_seconds: float) -> AsyncIterator[bytes]:
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    yield named_event({"type": "message_start", "message": _empty_message(story, model)})
    yield named_event({"type": "content_block_start"} | block)
    yield named_event({"type": "ping"})
    async for word in paced(story.words, pace_seconds):
        delta = {"index": 0, "delta": {"type": "text_delta", "text": word}}
        yield named_event({"type": "content_block_delta"} | delta)
    yield named_event({"type": "content_block_stop", "index": 0})
    end = {
        "delta": {"stop_reason": _stop_reason(story), "stop_sequence": None},
        "usage": {"output_tokens": len(story.words)},
    }
    yield named_event({"type": "message_delta"} | end)
    yield named_event({"type": "message_stop"})


def _empty_message(story: Story, model: str) -> Json:
    return {
        "id": random_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(story, 1),
    }


def _usage(story: Story, output_tokens: int) -> Json:
    cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": story.prompt_tokens, "output_tokens": output_tokens, **cache}


def _stop_reason(story: Story) -> str:
    return "max_tokens" if story.cut_short else "end_turn"


async def _body(request: Request) -> Json:
    if "anthropic-version" not in request.headers:
        raise Refusal(400, "invalid_request_error", "anthropic-version: header is required")
    return await json_object(request)


def _prompt(body: Json) -> str:
    """Give the text of the last message, to be echoed by the answer."""
    conversation = _required(body, "messages", list)
    if not conversation:
        raise Refusal(400, "invalid_request_error", "messages: at least one message is required")
    return text_of(conversation[-1])


def _required(body: Json, name: str, kind: type) -> Any:
    if name not in body:
        raise Refusal(400, "invalid_request_error", f"{name}: Field required")
    if not isinstance(body[name], kind):
        raise Refusal(400, "invalid_request_error", f"{name}: Input should be a valid {kind.__name__}")
    return body[name]
