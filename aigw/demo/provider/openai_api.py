"""The OpenAI-shaped half: models, chat completions and embeddings, with OpenAI's headers and errors.

The responses API has a file of its own. Shapes: OpenAI's API reference, November 2026, and the fields read
strictly by the openai Python SDK.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response, StreamingResponse

from aigw.demo.provider.story import Story, count_tokens, paced, tell, text_of
from aigw.demo.provider.wire import EVENT_STREAM, Json, Refusal, data_event, json_object, random_id

if TYPE_CHECKING:
    from starlette.requests import Request

MODELS: Final = ("gpt-5.2", "gpt-5.2-mini", "text-embedding-3-small")
CREATED: Final = 1_762_000_000
"""Unix seconds, the same for every model and answer: a demo has no history."""
DEFAULT_DIMENSIONS: Final = 1536
MAX_DIMENSIONS: Final = 4096
MAX_INPUTS: Final = 2048


def check_key(request: Request, expected: str) -> None:
    """Raise OpenAI's refusal unless the request carries the expected key as a bearer token."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Refusal(401, "invalid_request_error", "You didn't provide an API key.")
    if key != expected:
        # As the real one: the body shows the ends of the key, which is why a gateway must replace it.
        shown = f"{key[:8]}{'*' * 8}{key[-4:]}"
        message = f"Incorrect API key provided: {shown}. Find yours at https://platform.openai.com/api-keys."
        raise Refusal(401, "invalid_request_error", message, code="invalid_api_key")


def headers() -> dict[str, str]:
    """Give the headers of every OpenAI answer."""
    return {
        "x-request-id": random_id("req"),
        "openai-organization": "run9-demo",
        "openai-processing-ms": "12",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "1999950",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "1ms",
    }


def refusal_answer(refusal: Refusal) -> Response:
    """Write a refusal in OpenAI's shape."""
    error = {
        "message": refusal.message,
        "type": refusal.kind,
        "param": refusal.param,
        "code": refusal.code,
    }
    return JSONResponse({"error": error}, refusal.status, headers())


def no_such_route(status: int, method: str, path: str) -> Refusal:
    """Refuse an unknown route in OpenAI's words."""
    return Refusal(status, "invalid_request_error", f"Invalid URL ({method} {path})")


async def list_models(_request: Request, _pace_seconds: float) -> Response:
    """Answer `GET /v1/models`."""
    return JSONResponse({"object": "list", "data": [_model(name) for name in MODELS]}, headers=headers())


async def get_model(request: Request, _pace_seconds: float) -> Response:
    """Answer `GET /v1/models/{model}`."""
    name = request.path_params["model"]
    if name not in MODELS:
        message = f"The model '{name}' does not exist"
        raise Refusal(404, "invalid_request_error", message, param="model", code="model_not_found")
    return JSONResponse(_model(name), headers=headers())


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "run9-demo"}


async def chat_completions(request: Request, pace_seconds: float) -> Response:
    """Answer `POST /v1/chat/completions`, whole or as a stream of chunks."""
    body = await json_object(request)
    model = required(body, "model", str)
    messages = required(body, "messages", list)
    if not messages:
        raise Refusal(400, "invalid_request_error", "'messages' must not be empty.", param="messages")
    prompt = text_of(messages[-1])
    limit = token_limit(body, "max_completion_tokens", "max_tokens")
    story = tell("OpenAI chat completions", prompt, limit)
    common = {"id": random_id("chatcmpl"), "created": CREATED, "model": model, "service_tier": "default"}
    if body.get("stream"):
        options = body.get("stream_options")
        with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        chunks = _chat_chunks(story, common, pace_seconds, with_usage=with_usage)
        return StreamingResponse(chunks, media_type=EVENT_STREAM, headers=headers())
    message: Json = {"role": "assistant", "content": story.text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(story)}
    answer = common | {"object": "chat.completion", "choices": [choice], "usage": _chat_usage(story)}
    return JSONResponse(answer, headers=headers())


async def _chat_chunks(
    story: Story, common: Json, pace_seconds: float, *, with_usage: bool
) -> AsyncIterator[bytes]:
    def chunk(delta: Json, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if with_usage else {}
        return data_event(common | {"object": "chat.completion.chunk", "choices": [choice]} | usage)

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    async for word in paced(story.words, pace_seconds):
        yield chunk({"content": word})
    yield chunk({}, _finish_reason(story))
    if with_usage:
        last = {"object": "chat.completion.chunk", "choices": [], "usage": _chat_usage(story)}
        yield data_event(common | last)
    yield data_event("[DONE]")


def _finish_reason(story: Story) -> str:
    return "length" if story.cut_short else "stop"


def _chat_usage(story: Story) -> Json:
    completion = len(story.words)
    return {
        "prompt_tokens": story.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": story.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


async def embeddings(request: Request, _pace_seconds: float) -> Response:
    """Answer `POST /v1/embeddings` with unit vectors determined by the input alone."""
    body = await json_object(request)
    model = required(body, "model", str)
    inputs = _embedding_inputs(required(body, "input", (str, list)))
    dimensions = body.get("dimensions", DEFAULT_DIMENSIONS)
    if type(dimensions) is not int or not 1 <= dimensions <= MAX_DIMENSIONS:
        raise Refusal(400, "invalid_request_error", "Invalid value for 'dimensions'.", param="dimensions")
    encode = _base64_floats if body.get("encoding_format") == "base64" else list
    data = [
        {"object": "embedding", "index": number, "embedding": encode(_unit_vector(text, dimensions))}
        for number, text in enumerate(inputs)
    ]
    tokens = sum(map(count_tokens, inputs))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": model, "usage": usage}, headers=headers())


def _embedding_inputs(value: str | list[object]) -> list[str]:
    """Read the four forms of `input`: a text, texts, token numbers, lists of token numbers."""
    if isinstance(value, str):
        return [value]
    if not value or len(value) > MAX_INPUTS:
        raise Refusal(400, "invalid_request_error", "'input' has an invalid length.", param="input")
    if all(isinstance(item, int) for item in value):
        return [" ".join(map(str, value))]
    return [item if isinstance(item, str) else str(item) for item in value]


def _unit_vector(text: str, dimensions: int) -> list[float]:
    noise = hashlib.shake_256(text.encode()).digest(dimensions)
    raw = [byte - 127.5 for byte in noise]  # never 0, so the length is never 0 either
    length = math.sqrt(sum(number * number for number in raw))
    return [number / length for number in raw]


def _base64_floats(vector: list[float]) -> str:
    """Write 32-bit little-endian floats in base64, the form asked for by the openai SDKs."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def required(body: Json, name: str, kind: type | tuple[type, ...]) -> Any:
    """Give a required field of the type `kind`, or raise OpenAI's refusal."""
    if name not in body:
        message = f"Missing required parameter: '{name}'."
        raise Refusal(400, "invalid_request_error", message, param=name, code="missing_required_parameter")
    value = body[name]
    if not isinstance(value, kind):
        message = f"Invalid type for '{name}'."
        raise Refusal(400, "invalid_request_error", message, param=name, code="invalid_type")
    return value


def token_limit(body: Json, *names: str) -> int | None:
    """Give the first token limit present, or None; raises OpenAI's refusal for a value other than a count."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if type(value) is not int or value < 1:
            message = f"Invalid value for '{name}': expected a whole number of at least 1."
            raise Refusal(400, "invalid_request_error", message, param=name, code="invalid_value")
        return value
    return None
