"""A program in a box: the anthropic SDK, set up by its environment alone. Prints what it got as JSON."""

from __future__ import annotations

import json
import sys

import anthropic
from anthropic.types import MessageParam


def main() -> None:
    client = anthropic.Anthropic()
    messages: list[MessageParam] = [{"role": "user", "content": "say ping"}]
    plain = client.messages.create(model="m", max_tokens=100, messages=messages)
    with client.messages.stream(model="m", max_tokens=100, messages=messages) as stream:
        words = list(stream.text_stream)
    found = {
        "plain": "".join(block.text for block in plain.content if block.type == "text"),
        "chunks": words,
        "tokens": client.messages.count_tokens(model="m", messages=messages).input_tokens,
        "models": [model.id for model in client.models.list()],
    }
    json.dump(found, sys.stdout)


main()
