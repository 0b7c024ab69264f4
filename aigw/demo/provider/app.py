"""The demo provider's ASGI application: both APIs below `/v1`, each behind its own key.

An OpenAI endpoint of `http://host:port/v1` and an Anthropic endpoint of `http://host:port` both lead here, as
with the real providers. The provider is for trying the gateway out and for tests; nothing is kept or logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aigw.demo.provider import anthropic_api, openai_api, openai_responses
from aigw.demo.provider.wire import Refusal

if TYPE_CHECKING:
    from starlette.responses import Response

    from shared.secret import Secret

Answer = Callable[[Request], Awaitable["Response"]]


@dataclass(frozen=True, slots=True)
class DemoKeys:
    """The key accepted by each API."""

    openai: Secret
    anthropic: Secret


def build_app(keys: DemoKeys, *, pace_seconds: float) -> FastAPI:
    """Build the application; a stream pauses `pace_seconds` between two words (0: not at all)."""
    app = FastAPI(title="run9 demo provider", openapi_url=None)
    gate = _Gate(keys)

    async def chat_completions(request: Request) -> Response:
        return await openai_api.chat_completions(request, pace_seconds)

    async def responses(request: Request) -> Response:
        return await openai_responses.responses(request, pace_seconds)

    async def messages(request: Request) -> Response:
        return await anthropic_api.messages(request, pace_seconds)

    app.add_route("/v1/chat/completions", gate.openai(chat_completions), methods=["POST"])
    app.add_route("/v1/responses", gate.openai(responses), methods=["POST"])
    app.add_route("/v1/embeddings", gate.openai(openai_api.embeddings), methods=["POST"])
    app.add_route("/v1/messages", gate.anthropic(messages), methods=["POST"])
    count = gate.anthropic(anthropic_api.count_message_tokens)
    app.add_route("/v1/messages/count_tokens", count, methods=["POST"])
    app.add_route("/v1/models", gate.either(_list_models), methods=["GET"])
    app.add_route("/v1/models/{model}", gate.either(_get_model), methods=["GET"])
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _no_such_route)
    return app


class _Gate:
    """Lets a request reach its answer only with the right key."""

    def __init__(self, keys: DemoKeys) -> None:
        self._keys = keys

    def openai(self, answer: Answer) -> Answer:
        async def checked(request: Request) -> Response:
            openai_api.check_key(request, self._keys.openai.reveal())
            return await answer(request)

        return checked

    def anthropic(self, answer: Answer) -> Answer:
        async def checked(request: Request) -> Response:
            anthropic_api.check_key(request, self._keys.anthropic.reveal())
            return await answer(request)

        return checked

    def either(self, answer: Answer) -> Answer:
        as_openai, as_anthropic = self.openai(answer), self.anthropic(answer)

        async def checked(request: Request) -> Response:
            return await (as_anthropic if _is_anthropic(request) else as_openai)(request)

        return checked


async def _list_models(request: Request) -> Response:
    return anthropic_api.list_models() if _is_anthropic(request) else openai_api.list_models()


async def _get_model(request: Request) -> Response:
    name = request.path_params["model"]
    return anthropic_api.get_model(name) if _is_anthropic(request) else openai_api.get_model(name)


def _is_anthropic(request: Request) -> bool:
    """Tell which API is meant on a path of both: Anthropic's clients always send their version."""
    return request.url.path.startswith("/v1/messages") or "anthropic-version" in request.headers


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    answer = anthropic_api.refusal_answer if _is_anthropic(request) else openai_api.refusal_answer
    return answer(error)


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if _is_anthropic(request):
        return anthropic_api.refusal_answer(Refusal(error.status_code, "not_found_error", "Not Found"))
    message = f"Invalid URL ({request.method} {request.url.path})"
    return openai_api.refusal_answer(Refusal(error.status_code, "invalid_request_error", message))
