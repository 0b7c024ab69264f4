"""Runs in a guest: both real SDKs, set up by their environment variables alone. Prints one line of JSON."""

from __future__ import annotations

import json
from typing import Final

import anthropic
import openai

QUESTION: Final = "Do you know me?"

if __name__ == "__main__":
    with openai.OpenAI(max_retries=0) as one, anthropic.Anthropic(max_retries=0) as other:
        chat = one.chat.completions.create(model="demo", messages=[{"role": "user", "content": QUESTION}])
        message = other.messages.create(
            model="demo", max_tokens=100, messages=[{"role": "user", "content": QUESTION}]
        )
        events = [event.type for event in one.responses.create(model="demo", input=QUESTION, stream=True)]
    found = {
        "openai": QUESTION in (chat.choices[0].message.content or ""),
        "anthropic": any(QUESTION in block.text for block in message.content if block.type == "text"),
        "streamed": events[-1] == "response.completed",
    }
    print(json.dumps(found))  # noqa: T201  # its result
