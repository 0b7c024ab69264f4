"""What the fixture `openai_in_box` gives, as a type."""

from __future__ import annotations

from collections.abc import Callable

import openai

OpenAIInBox = Callable[[str | None], openai.AsyncOpenAI]
"""Makes a client as a box has it, from the box's token or without one; the fixture closes it."""
