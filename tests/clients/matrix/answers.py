"""The provider's answers for the matrix: plain ones, tool calls, errors, and a stream that breaks off."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from shared.providers import ProviderName
from tests.clients.gemini_answers import gemini_answer
from tests.clients.matrix.tool_calls import CITY, chosen, tool_call, was_called
from tests.clients.provider_answers import anthropic_answer, first_half, openai_answer
from tests.support.answers import json_answer, whole
from tests.support.scripted_upstream import Answer, Close, ReceivedRequest, Send

AFTER_TOOL: Final = "Moss"
"""A word of the answer that follows a tool's right result."""
_REASONS: Final = {
    401: "Unauthorized",
    429: "Too Many Requests",
    500: "Internal Server Error",
    529: "Overloaded",
}
_GOOGLE_STATUS: Final = {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 529: "UNAVAILABLE"}
_PLAIN: Final[Mapping[ProviderName, Callable[[ReceivedRequest], Answer]]] = {
    "openai": openai_answer,
    "anthropic": anthropic_answer,
    "gemini": gemini_answer,
}

Works = Literal["works", "tools", "files"]
Failing = Literal["off", "401", "429", "500", "529", "cut"]


def provider_sentence(status: int) -> str:
    """Give the words of the provider's error."""
    return f"The provider itself says {status}."


def answer_of(
    provider: ProviderName, case: Works | Failing, home: Path
) -> Callable[[ReceivedRequest], Answer]:
    """Give how a provider answers in a case to a box whose home folder is `home`."""
    plain = _PLAIN[provider]

    def respond(request: ReceivedRequest) -> Answer:
        if request.values("upgrade"):
            return whole(b"{}", status="426 Upgrade Required")
        if request.method != b"POST":
            return whole(b"") if request.method == b"HEAD" else plain(request)
        if case.isdigit():
            return _error(provider, int(case))
        body = json.loads(request.body) if request.body[:1] == b"{" else {}
        is_stream = bool(body.get("stream")) or b":stream" in request.target
        if case == "cut":
            return (*first_half(plain(request)), Close()) if is_stream else plain(request)
        if was_called(request):
            answer = plain(request)
            return _after_tool(answer) if CITY.encode() in request.body else answer
        call = chosen(case, body, home) if case in get_args(Works) else None  # type: ignore[arg-type]  # looked at beside
        return plain(request) if call is None else tool_call(provider, request, body, *call)

    return respond


def _after_tool(answer: Answer) -> Answer:
    """Put another word of the same length into an answer."""
    word = f" {AFTER_TOOL}".encode()
    return [Send(step.data.replace(b" done", word)) if isinstance(step, Send) else step for step in answer]


def _error(provider: ProviderName, status: int) -> Answer:
    message, kind = provider_sentence(status), "rate_limit_error" if status == 429 else "api_error"
    error: dict[str, Any]
    if provider == "gemini":
        error = {
            "error": {"code": status, "message": message, "status": _GOOGLE_STATUS.get(status, "UNKNOWN")}
        }
        if status == 401:
            detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            error["error"] |= {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid."}
            error["error"]["details"] = [detail | {"domain": "googleapis.com"}]
            return json_answer(error, status="400 Bad Request")
        return json_answer(error, status=f"{status} {_REASONS[status]}")
    if status == 401:
        kind, message = "authentication_error", "invalid x-api-key"
    error = {"type": "error", "error": {"type": kind, "message": message}}
    if provider == "openai":
        code = "invalid_api_key" if status == 401 else None
        error = {"error": {"message": message, "type": kind, "code": code, "param": None}}
    return json_answer(error, status=f"{status} {_REASONS[status]}")
