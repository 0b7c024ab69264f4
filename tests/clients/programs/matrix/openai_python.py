"""A program in a box: one call of Python's openai SDK, named by its argument. Prints the text it got."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai

TOOL: Any = {"type": "function", "name": "weather", "description": "tells the weather", "strict": False}
TOOL["parameters"] = {"type": "object", "properties": {"city": {"type": "string"}}}


def plain() -> str:
    return openai.OpenAI().responses.create(model="gpt-5", input="say ping").output_text


def stream() -> str:
    events = openai.OpenAI().responses.create(model="gpt-5", input="say ping", stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def tools() -> str:
    (item,) = openai.OpenAI().responses.create(model="gpt-5", input="weather?", tools=[TOOL]).output
    return getattr(item, "arguments", "")


def files() -> str:
    return openai.OpenAI().files.create(file=("f.jsonl", b"x" * 100_000), purpose="batch").id


def websocket() -> str:
    async def talk() -> str:
        async with openai.AsyncOpenAI().realtime.connect(model="gpt-realtime") as connection:
            return (await connection.recv()).type

    return asyncio.run(talk())


CALLS = {"plain": plain, "stream": stream, "tools": tools, "files": files, "websocket": websocket}
sys.stdout.write(CALLS[sys.argv[1]]())
