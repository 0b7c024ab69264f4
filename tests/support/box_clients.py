"""The type of the fixture `openai_in_box`."""

from __future__ import annotations

from collections.abc import Callable

import openai

OpenAIInBox = Callable[[str | None], openai.AsyncOpenAI]
"""Makes a box's client, from the box's token or without a token; the fixture closes the client."""
