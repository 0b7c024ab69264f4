"""Tool calls in each provider's shape, and the tools offered by the agents.

The programs of the SDKs offer `weather`. An agent offers a tool to run a command and a tool to read a file;
either has to send back the word `Oslo`, which no request holds before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from shared.providers import ProviderName
from tests.clients.gemini_answers import MODEL
from tests.clients.provider_answers import response_events
from tests.support.answers import chunked, json_answer
from tests.support.scripted_upstream import Answer, ReceivedRequest

CITY: Final = "Oslo"
SHELL: Final = "printf 'Os''lo'"
NOTE: Final = "note.txt"
_RESULTS: Final = (
    b'"type":"tool_result"',
    b'"type":"function_call_output"',
    b'"type":"custom_tool_call_output"',
    b'"role":"tool"',
    b'"functionResponse"',
)

Offered = dict[str, Any]


def was_called(request: ReceivedRequest) -> bool:
    """Tell whether a request brings the result of a tool."""
    body = request.body.replace(b'": ', b'":')
    return any(result in body for result in _RESULTS)


def chosen(case: Literal["works", "tools", "files"], body: Offered, home: Path) -> tuple[str, Any] | None:
    """Choose the tool of a case among the offered tools: its name and its arguments."""
    choices: dict[str, Any] = {"weather": {"city": CITY}}
    run, read = {"command": SHELL, "description": "print a city"}, str(home / NOTE)
    if case == "tools":
        choices |= {"Bash": run, "bash": run, "run_shell_command": run | {"is_background": False}}
        choices |= {"exec": f"text(await tools.exec_command({{cmd: {json.dumps(SHELL)}}}))"}
    if case == "files":
        choices |= {"Read": {"file_path": read}, "read": {"filePath": read}, "view": {"path": read}}
        choices |= {"read_file": {"file_path": read}}
    offered = list(_names(body.get("tools", []))) + list(_names(body.get("input", [])))
    name = next((name for name in choices if name in offered), None)
    return None if name is None else (name, choices[name])


def _names(found: Any) -> Iterator[str]:
    """Give the names of offered tools, in groups and namespaces too."""
    for tool in found if isinstance(found, list) else []:
        if not isinstance(tool, dict):
            continue
        yield from _names(tool.get("tools", []))
        yield from _names(tool.get("functionDeclarations", tool.get("function_declarations", [])))
        name = tool.get("name") or tool.get("function", {}).get("name")
        if isinstance(name, str):
            yield name


def tool_call(
    provider: ProviderName, request: ReceivedRequest, body: Offered, name: str, given: Any
) -> Answer:
    """Answer a request by the call of a tool, streamed when the request asks for a stream."""
    match provider:
        case "anthropic":
            return _anthropic(name, given, stream=bool(body.get("stream")))
        case "gemini":
            return _gemini(name, given, stream=b":stream" in request.target)
        case _ if b"/chat/" in request.target:
            return _chat(name, json.dumps(given), stream=bool(body.get("stream")))
        case _:
            return _responses(name, given, stream=bool(body.get("stream")))


def _anthropic(name: str, given: Any, *, stream: bool) -> Answer:
    use: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": name, "input": given}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5"}
    end = {"stop_reason": "tool_use", "stop_sequence": None}
    if not stream:
        usage = {"usage": {"input_tokens": 1, "output_tokens": 7}}
        return json_answer(message | {"content": [use]} | end | usage)
    begun: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None}
    usage = {"usage": {"input_tokens": 1, "output_tokens": 1}}
    delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | begun | usage},
        {"type": "content_block_start", "index": 0, "content_block": use | {"input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]
    return chunked([_event(event) for event in events])


def _chat(name: str, arguments: str, *, stream: bool) -> Answer:
    call: dict[str, Any] = {"id": "call_1", "type": "function"}
    call |= {"function": {"name": name, "arguments": arguments}}
    said: dict[str, Any] = {"role": "assistant", "content": None}
    common: dict[str, Any] = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5"}
    if not stream:
        choice = {"index": 0, "message": said | {"tool_calls": [call]}, "finish_reason": "tool_calls"}
        usage = {"prompt_tokens": 1, "completion_tokens": 7, "total_tokens": 8}
        return json_answer(common | {"object": "chat.completion", "choices": [choice], "usage": usage})
    begun = {"index": 0, "delta": said | {"tool_calls": [{"index": 0} | call]}, "finish_reason": None}
    ended: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    common["object"] = "chat.completion.chunk"
    chunks = [b"data: " + json.dumps(common | {"choices": [choice]}).encode() for choice in (begun, ended)]
    return chunked([chunk + b"\n\n" for chunk in (*chunks, b"data: [DONE]")])


def _responses(name: str, given: Any, *, stream: bool) -> Answer:
    """Call a function, or a custom tool when the argument is text."""
    item: dict[str, Any] = {"id": "fc_1", "call_id": "call_1", "name": name, "status": "completed"}
    custom = isinstance(given, str)
    item |= {"type": "custom_tool_call", "input": given} if custom else {"type": "function_call"}
    if custom:
        item["id"] = "ctc_1"
        item["namespace"] = "functions"
    else:
        item["arguments"] = json.dumps(given)
    first, *_, last = response_events()
    ended = last | {"response": last["response"] | {"output": [item]}}
    if not stream:
        return json_answer(ended["response"])
    at = {"output_index": 0, "item": item}
    added = {"type": "response.output_item.added", "sequence_number": 1} | at
    done = {"type": "response.output_item.done", "sequence_number": 2} | at
    return chunked([_event(event) for event in (first, added, done, ended)])


def _gemini(name: str, given: Any, *, stream: bool) -> Answer:
    content = {"role": "model", "parts": [{"functionCall": {"name": name, "args": given}}]}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 7, "totalTokenCount": 10}
    candidate = {"content": content, "index": 0, "finishReason": "STOP"}
    answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "r-1"}
    return chunked([b"data: " + json.dumps(answer).encode() + b"\r\n\r\n"]) if stream else json_answer(answer)


def _event(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
