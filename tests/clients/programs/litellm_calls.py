"""A program in a box: litellm with both providers, set up by its environment alone. Prints JSON."""

from __future__ import annotations

import json
import sys

import litellm  # type: ignore[import-not-found]  # has an environment of its own


def told(model: str) -> list[str]:
    messages = [{"role": "user", "content": "say ping"}]
    plain = litellm.completion(model=model, messages=messages)
    chunks = litellm.completion(model=model, messages=messages, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    return [plain.choices[0].message.content, streamed]


found = {
    name: told(model) for name, model in {"chat": "openai/gpt-5", "anthropic": "anthropic/claude-5"}.items()
}
json.dump(found, sys.stdout, ensure_ascii=False)
