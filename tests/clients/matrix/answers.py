"""The provider's answers for the matrix: plain ones, tool calls, errors, and a stream that breaks off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from shared.providers import ProviderName
from tests.clients.provider_answers import anthropic_answer, first_half, openai_answer, response_events
from tests.support.answers import json_answer, whole
from tests.support.scripted_upstream import Answer, Close, ReceivedRequest

CITY: Final = "Oslo"
_REASONS: Final = {
    401: "Unauthorized",
    429: "Too Many Requests",
    500: "Internal Server Error",
    529: "Overloaded",
}
_ARGUMENTS: Final = json.dumps({"city": CITY})


def provider_sentence(status: int) -> str:
    """Give the words of the provider's error."""
    return f"The provider itself says {status}."


def answer_of(provider: ProviderName, case: str) -> Callable[[ReceivedRequest], Answer]:
    """Give how a provider answers in a case: `works`, `off`, `401`, `429`, `500`, `529` or `cut`."""
    plain = openai_answer if provider == "openai" else anthropic_answer

    def respond(request: ReceivedRequest) -> Answer:
        if request.values("upgrade"):
            return whole(b"{}", status="426 Upgrade Required")
        if request.method != b"POST":
            return whole(b"") if request.method == b"HEAD" else plain(request)
        if case.isdigit():
            return _error(provider, int(case))
        body = json.loads(request.body) if request.body[:1] == b"{" else {}
        if case == "cut" and body.get("stream"):
            return (*first_half(plain(request)), Close())
        return _tool_call(provider, request, body) or plain(request)

    return respond


def _error(provider: ProviderName, status: int) -> Answer:
    message, kind = provider_sentence(status), "rate_limit_error" if status == 429 else "api_error"
    if status == 401:
        kind, message = "authentication_error", "invalid x-api-key"
    error: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": message}}
    if provider == "openai":
        code = "invalid_api_key" if status == 401 else None
        error = {"error": {"message": message, "type": kind, "code": code, "param": None}}
    return json_answer(error, status=f"{status} {_REASONS[status]}")


def _tool_call(provider: ProviderName, request: ReceivedRequest, body: dict[str, Any]) -> Answer | None:
    """Answer a question that offers the tool `weather` by a call of it, once."""
    offered = [tool.get("name") or tool.get("function", {}).get("name") for tool in body.get("tools", [])]
    results = ("function_call_output", '"tool_result"', '"role":"tool"', '"role": "tool"')
    was_called = any(result.encode() in request.body for result in results)
    if "weather" not in offered or was_called or body.get("stream"):
        return None
    if provider == "anthropic":
        use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": CITY}}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5"}
        end = {"content": [use], "stop_reason": "tool_use", "stop_sequence": None}
        return json_answer(message | end | {"usage": {"input_tokens": 1, "output_tokens": 7}})
    if b"/chat/" in request.target:
        function = {"name": "weather", "arguments": _ARGUMENTS}
        said = {"role": "assistant", "content": None}
        said |= {"tool_calls": [{"id": "call_1", "type": "function", "function": function}]}  # type: ignore[dict-item]  # a message is of both
        choice = {"index": 0, "message": said, "finish_reason": "tool_calls"}
        usage = {"prompt_tokens": 1, "completion_tokens": 7, "total_tokens": 8}
        common = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5"}
        return json_answer(common | {"choices": [choice], "usage": usage})
    called = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather"}
    response = response_events()[-1]["response"]
    return json_answer(response | {"output": [called | {"arguments": _ARGUMENTS, "status": "completed"}]})
