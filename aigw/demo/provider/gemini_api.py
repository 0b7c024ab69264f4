"""The Gemini-shaped part: models, content generation as JSON, event stream or array stream, and token counts.

Shapes: the Gemini API's reference, November 2026, and the fields read by the google-genai Python SDK.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, Response, StreamingResponse

from aigw.demo.provider.story import Story, count_tokens, paced, tell, text_of
from aigw.demo.provider.wire import EVENT_STREAM, Json, Refusal, data_event, json_object, random_id

if TYPE_CHECKING:
    from starlette.requests import Request

MODELS: Final = {"gemini-2.5-flash": "Gemini 2.5 Flash", "gemini-2.5-pro": "Gemini 2.5 Pro"}
ACTIONS: Final = ("generateContent", "streamGenerateContent", "countTokens")
INPUT_TOKEN_LIMIT: Final = 1_048_576
OUTPUT_TOKEN_LIMIT: Final = 65_536
_STATUSES: Final = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
_VERSIONS: Final = ("/v1beta/", "/v1alpha/")


def is_meant(request: Request) -> bool:
    """Tell a request for this API: by the key's header, or by a version that no other API has."""
    return "x-goog-api-key" in request.headers or request.url.path.startswith(_VERSIONS)


def check_key(request: Request, expected: str) -> None:
    """Raise Google's refusal unless the request carries the expected key in `x-goog-api-key`."""
    key = request.headers.get("x-goog-api-key")
    if not key:
        raise Refusal(403, "CREDENTIALS_MISSING", "Method doesn't allow unregistered callers.")
    if key != expected:
        raise Refusal(400, "API_KEY_INVALID", "API key not valid. Please pass a valid API key.")


def refusal_answer(refusal: Refusal) -> Response:
    """Write a refusal in Google's shape; its kind is the reason in the details."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": refusal.kind,
        "domain": "googleapis.com",
    }
    error = {
        "code": refusal.status,
        "message": refusal.message,
        "status": _STATUSES.get(refusal.status, "INVALID_ARGUMENT"),
        "details": [info],
    }
    return JSONResponse({"error": error}, refusal.status)


def no_such_route(status: int, _method: str, path: str) -> Refusal:
    """Refuse an unknown route in Google's words."""
    return Refusal(status, "NOT_FOUND", f"Requested entity was not found: {path}")


async def list_models(_request: Request, _pace_seconds: float) -> Response:
    """Answer `GET /v1beta/models`."""
    return JSONResponse({"models": [_model(name) for name in MODELS]})


async def get_model(request: Request, _pace_seconds: float) -> Response:
    """Answer `GET /v1beta/models/{model}`."""
    name = request.path_params["model"]
    if name not in MODELS:
        raise Refusal(404, "NOT_FOUND", f"models/{name} is not found for API version v1beta.")
    return JSONResponse(_model(name))


def _model(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": MODELS[name],
        "inputTokenLimit": INPUT_TOKEN_LIMIT,
        "outputTokenLimit": OUTPUT_TOKEN_LIMIT,
        "supportedGenerationMethods": list(ACTIONS),
    }


async def act(request: Request, pace_seconds: float) -> Response:
    """Answer `POST /v1beta/models/{model}:{action}`."""
    name, _, action = request.path_params["model"].partition(":")
    if action not in ACTIONS:
        raise no_such_route(404, request.method, request.url.path)
    body = await json_object(request)
    if action == "countTokens":
        asked = body.get("generateContentRequest", body)
        return JSONResponse({"totalTokens": count_tokens(_prompt(asked))})
    story = tell("Gemini", _prompt(body), _token_limit(body))
    if action == "generateContent":
        return JSONResponse(_answer(story, name, story.text, len(story.words), is_last=True))
    pieces = _pieces(story, name, pace_seconds)
    if request.query_params.get("alt") == "sse":
        return StreamingResponse(_events(pieces), media_type=EVENT_STREAM)
    return StreamingResponse(_array(pieces), media_type="application/json")


async def _pieces(story: Story, model: str, pace_seconds: float) -> AsyncIterator[Json]:
    last = len(story.words)
    written = 0
    async for word in paced(story.words, pace_seconds):
        written += 1
        yield _answer(story, model, word, written, is_last=written == last)


async def _events(pieces: AsyncIterator[Json]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield data_event(piece)


async def _array(pieces: AsyncIterator[Json]) -> AsyncIterator[bytes]:
    """Write the pieces as the elements of one JSON array, the form without `alt=sse`."""
    before = b"["
    async for piece in pieces:
        yield before + json.dumps(piece).encode()
        before = b",\n"
    yield b"]"


def _answer(story: Story, model: str, text: str, written: int, *, is_last: bool) -> Json:
    candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if is_last:
        candidate["finishReason"] = "MAX_TOKENS" if story.cut_short else "STOP"
    usage = {
        "promptTokenCount": story.prompt_tokens,
        "candidatesTokenCount": written,
        "totalTokenCount": story.prompt_tokens + written,
    }
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": model,
        "responseId": random_id("resp"),
    }


def _prompt(body: object) -> str:
    """Give the text of the last content, to be echoed by the answer."""
    contents = body.get("contents") if isinstance(body, dict) else None
    if not isinstance(contents, list) or not contents:
        raise Refusal(400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents: contents is not specified")
    last = contents[-1]
    return text_of(last.get("parts", "")) if isinstance(last, dict) else ""


def _token_limit(body: Json) -> int | None:
    config = body.get("generationConfig")
    limit = config.get("maxOutputTokens") if isinstance(config, dict) else None
    if limit is None:
        return None
    if type(limit) is not int or limit < 1:
        raise Refusal(400, "INVALID_ARGUMENT", "max_output_tokens must be positive.")
    return limit
