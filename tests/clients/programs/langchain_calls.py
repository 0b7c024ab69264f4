"""A program in a box: LangChain with both providers, set up by its environment alone. Prints JSON."""

from __future__ import annotations

import json
import sys

from langchain_anthropic import ChatAnthropic  # type: ignore[import-not-found]  # has an environment of its own
from langchain_openai import ChatOpenAI  # type: ignore[import-not-found]  # same

MODELS = {
    "chat": ChatOpenAI(model="gpt-5"),
    "responses": ChatOpenAI(model="gpt-5", use_responses_api=True),
    "anthropic": ChatAnthropic(model="claude-sonnet-5"),
}
found = {
    name: [model.invoke("say ping").text, "".join(chunk.text for chunk in model.stream("say ping"))]
    for name, model in MODELS.items()
}
json.dump(found, sys.stdout, ensure_ascii=False)
