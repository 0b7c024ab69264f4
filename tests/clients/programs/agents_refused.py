"""A program in a box: an agent of openai-agents is refused, and the exception is not caught."""

from __future__ import annotations

from agents import Agent, Runner  # type: ignore[import-not-found]  # has an environment of its own

Runner.run_sync(Agent(name="helper", model="gpt-5"), "say ping")
