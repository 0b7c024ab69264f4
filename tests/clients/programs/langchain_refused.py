"""A program in a box: LangChain is refused, and the exception is not caught."""

from __future__ import annotations

from langchain_openai import ChatOpenAI  # type: ignore[import-not-found]  # has an environment of its own

ChatOpenAI(model="gpt-5").invoke("say ping")
