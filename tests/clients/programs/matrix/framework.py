"""A program in a box: one call of a framework. Arguments: framework, provider, call. Prints the text."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

QUESTION = "say ping"
MODELS = {"openai": "gpt-5", "anthropic": "claude-sonnet-4-5"}
PDF = b"%PDF-1.4\n" + b"x" * 99_000
"""The file that each framework puts into a message."""


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}"


def langchain(provider: str, call: str) -> str:
    kind = {"openai": "ChatOpenAI", "anthropic": "ChatAnthropic"}[provider]
    model = getattr(import_module(f"langchain_{provider}"), kind)(model=MODELS[provider])
    match call:
        case "plain":
            return str(model.invoke(QUESTION).text)
        case "stream":
            return "".join(chunk.text for chunk in model.stream(QUESTION))
        case "files":
            file = {
                "type": "file",
                "base64": _base64(PDF),
                "mime_type": "application/pdf",
                "filename": "f.pdf",
            }
            content = [{"type": "text", "text": QUESTION}, file]
            return str(model.invoke([{"role": "user", "content": content}]).text)
        case _:
            return json.dumps(model.bind_tools([weather]).invoke(QUESTION).tool_calls[0]["args"])


def litellm(provider: str, call: str) -> str:
    completion = import_module("litellm").completion
    request: dict[str, Any] = {"model": f"{provider}/{MODELS[provider]}"}
    request["messages"] = [{"role": "user", "content": QUESTION}]
    match call:
        case "plain":
            return str(completion(**request).choices[0].message.content)
        case "stream":
            return "".join(c.choices[0].delta.content or "" for c in completion(**request, stream=True))
        case "files":
            data = f"data:application/pdf;base64,{_base64(PDF)}"
            file = {"type": "file", "file": {"file_data": data, "filename": "f.pdf"}}
            request["messages"] = [{"role": "user", "content": [{"type": "text", "text": QUESTION}, file]}]
            return str(completion(**request).choices[0].message.content)
        case _:
            tool = {"type": "object", "properties": {"city": {"type": "string"}}}
            tools = [{"type": "function", "function": {"name": "weather", "parameters": tool}}]
            return str(completion(**request, tools=tools).choices[0].message.tool_calls[0].function.arguments)


def agents(_provider: str, call: str) -> str:
    module = import_module("agents")
    tools = [module.function_tool(weather)] if call == "tools" else []
    agent = module.Agent(name="helper", model=MODELS["openai"], tools=tools)
    if call == "websocket":
        module.set_default_openai_responses_transport("websocket")
    if call == "files":
        data = f"data:application/pdf;base64,{_base64(PDF)}"
        content = [{"type": "input_file", "file_data": data, "filename": "f.pdf"}]
        return str(module.Runner.run_sync(agent, [{"role": "user", "content": content}]).final_output)
    if call not in {"stream", "websocket"}:
        return str(module.Runner.run_sync(agent, QUESTION).final_output)

    async def streamed() -> str:
        run = module.Runner.run_streamed(agent, QUESTION)
        async for _ in run.stream_events():
            pass
        return str(run.final_output)

    return asyncio.run(streamed())


def pydantic_ai(provider: str, call: str) -> str:
    tools = [weather] if call == "tools" else []
    module = import_module("pydantic_ai")
    agent = module.Agent(f"{provider}:{MODELS[provider]}", tools=tools)
    if call == "websocket":
        return asyncio.run(_realtime_session(agent))
    if call == "files":
        file = module.BinaryContent(PDF, media_type="application/pdf")
        return str(agent.run_sync([QUESTION, file]).output)
    if call != "stream":
        return str(agent.run_sync(QUESTION).output)

    async def streamed() -> str:
        async with agent.run_stream(QUESTION) as run:
            return str(await run.get_output())

    return asyncio.run(streamed())


async def _realtime_session(agent: Any) -> str:
    """Open a session; the framework waits for the provider's first events."""
    model = import_module("pydantic_ai.realtime.openai").OpenAIRealtimeModel("gpt-realtime")
    async with agent.realtime(model).session():
        return "session.created"


def llama_index(provider: str, call: str) -> str:
    kind = {"openai": "OpenAI", "anthropic": "Anthropic"}[provider]
    model = getattr(import_module(f"llama_index.llms.{provider}"), kind)(model=MODELS[provider])
    match call:
        case "plain":
            return str(model.complete(QUESTION).text)
        case "stream":
            return "".join(part.delta or "" for part in model.stream_complete(QUESTION))
        case "files":
            types = import_module("llama_index.core.llms")
            file = types.DocumentBlock(data=PDF, document_mimetype="application/pdf", title="f.pdf")
            message = types.ChatMessage(role="user", blocks=[types.TextBlock(text=QUESTION), file])
            return str(model.chat([message]).message.content)
        case _:
            tool = import_module("llama_index.core.tools").FunctionTool.from_defaults(weather)
            calls = model.get_tool_calls_from_response(model.chat_with_tools([tool], user_msg=QUESTION))
            return json.dumps(calls[0].tool_kwargs)


def instructor(provider: str, call: str) -> str:
    pydantic = import_module("pydantic")
    shape = pydantic.create_model("weather", city=(str, ...))
    module = import_module("instructor")
    client = module.from_provider(f"{provider}/{MODELS[provider]}")
    content: Any = QUESTION
    if call == "files":
        kind = import_module("instructor.processing.multimodal").PDF
        file = kind.from_base64(f"data:application/pdf;base64,{_base64(PDF)}")
        content = [QUESTION, file]
    asked = [{"role": "user", "content": content}]
    return str(client.create(messages=asked, response_model=shape, max_tokens=100).city)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


FRAMEWORKS: dict[str, Callable[[str, str], str]] = {
    one.__name__: one for one in (langchain, litellm, agents, pydantic_ai, llama_index, instructor)
}
sys.stdout.write(FRAMEWORKS[sys.argv[1]](sys.argv[2], sys.argv[3]))
