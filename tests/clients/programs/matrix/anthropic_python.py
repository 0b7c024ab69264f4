"""A program in a box: one call of Python's anthropic SDK, named by its argument. Prints the text it got."""

from __future__ import annotations

import sys
from typing import Any

import anthropic

REQUEST: Any = {
    "model": "claude-sonnet-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "say ping"}],
}
TOOL: Any = {"name": "weather", "description": "tells the weather"}
TOOL["input_schema"] = {"type": "object", "properties": {"city": {"type": "string"}}}


def plain() -> str:
    return str(anthropic.Anthropic().messages.create(**REQUEST).content[0].text)


def stream() -> str:
    with anthropic.Anthropic().messages.stream(**REQUEST) as events:
        return "".join(events.text_stream)


def tools() -> str:
    return str(anthropic.Anthropic().messages.create(**REQUEST, tools=[TOOL]).content[0].input)


def files() -> str:
    return anthropic.Anthropic().beta.files.upload(file=("f.txt", b"x" * 100_000, "text/plain")).id


def batch() -> str:
    results = anthropic.Anthropic(max_retries=0).messages.batches.results("msgbatch_1")
    return " ".join(result.custom_id for result in results)


CALLS = {"plain": plain, "stream": stream, "tools": tools, "files": files, "batch": batch}
sys.stdout.write(CALLS[sys.argv[1]]())
