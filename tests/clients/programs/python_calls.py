"""A program in a box: both official Python SDKs, set up by their environment alone. Prints JSON."""

from __future__ import annotations

import json
import sys

import anthropic
import openai


def main() -> None:
    messages = [{"role": "user", "content": "say ping"}]
    by_openai = openai.OpenAI().responses.create(model="gpt-5", input="say ping")
    by_anthropic = anthropic.Anthropic().messages.create(
        model="claude-sonnet-5",
        max_tokens=100,
        messages=messages,  # type: ignore[arg-type]  # the SDK's own type is a TypedDict; this is how people write it
    )
    found = {"openai": by_openai.output_text, "anthropic": by_anthropic.content[0].text}  # type: ignore[union-attr]  # the provider answers with text
    json.dump(found, sys.stdout, ensure_ascii=False)


main()
