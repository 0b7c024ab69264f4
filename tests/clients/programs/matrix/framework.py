"""A program in a box: one call of a framework. Arguments: framework, provider, call. Prints the text."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

QUESTION = "say ping"
MODELS = {"openai": "gpt-5", "anthropic": "claude-sonnet-4-5"}


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
        case _:
            tool = {"type": "object", "properties": {"city": {"type": "string"}}}
            tools = [{"type": "function", "function": {"name": "weather", "parameters": tool}}]
            return str(completion(**request, tools=tools).choices[0].message.tool_calls[0].function.arguments)


def agents(_provider: str, call: str) -> str:
    module = import_module("agents")
    tools = [module.function_tool(weather)] if call == "tools" else []
    agent = module.Agent(name="helper", model=MODELS["openai"], tools=tools)
    if call != "stream":
        return str(module.Runner.run_sync(agent, QUESTION).final_output)

    async def streamed() -> str:
        run = module.Runner.run_streamed(agent, QUESTION)
        async for _ in run.stream_events():
            pass
        return str(run.final_output)

    return asyncio.run(streamed())


def pydantic_ai(provider: str, call: str) -> str:
    tools = [weather] if call == "tools" else []
    agent = import_module("pydantic_ai").Agent(f"{provider}:{MODELS[provider]}", tools=tools)
    if call != "stream":
        return str(agent.run_sync(QUESTION).output)

    async def streamed() -> str:
        async with agent.run_stream(QUESTION) as run:
            return str(await run.get_output())

    return asyncio.run(streamed())


def llama_index(provider: str, call: str) -> str:
    kind = {"openai": "OpenAI", "anthropic": "Anthropic"}[provider]
    model = getattr(import_module(f"llama_index.llms.{provider}"), kind)(model=MODELS[provider])
    match call:
        case "plain":
            return str(model.complete(QUESTION).text)
        case "stream":
            return "".join(part.delta or "" for part in model.stream_complete(QUESTION))
        case _:
            tool = import_module("llama_index.core.tools").FunctionTool.from_defaults(weather)
            calls = model.get_tool_calls_from_response(model.chat_with_tools([tool], user_msg=QUESTION))
            return json.dumps(calls[0].tool_kwargs)


def instructor(provider: str, _call: str) -> str:
    pydantic = import_module("pydantic")
    shape = pydantic.create_model("weather", city=(str, ...))
    client = import_module("instructor").from_provider(f"{provider}/{MODELS[provider]}")
    asked = [{"role": "user", "content": QUESTION}]
    return str(client.create(messages=asked, response_model=shape, max_tokens=100).city)


FRAMEWORKS: dict[str, Callable[[str, str], str]] = {
    one.__name__: one for one in (langchain, litellm, agents, pydantic_ai, llama_index, instructor)
}
sys.stdout.write(FRAMEWORKS[sys.argv[1]](sys.argv[2], sys.argv[3]))
