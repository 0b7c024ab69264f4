"""The demo provider's words: their text, their number as tokens, and their pace. Knows neither API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

MAX_ECHO_CHARS: Final = 200
_WORD = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class Story:
    """An answer. `words` keep their white space: joined, the words give `text`.

    Attributes:
        words: the pieces in the order of sending; each counts as a token.
        prompt_tokens: the words of the prompt.
        cut_short: whether the caller's token limit ended the answer early.
    """

    words: tuple[str, ...]
    prompt_tokens: int
    cut_short: bool

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.words)


def count_tokens(text: str) -> int:
    """Count words, which is near enough to tokens for a demo; at least 1."""
    return max(1, len(text.split()))


def tell(api: str, prompt: str, max_tokens: int | None) -> Story:
    """Answer `prompt` as the demo's `api` (a title), in at most `max_tokens` words."""
    echo = " ".join(prompt.split())
    if len(echo) > MAX_ECHO_CHARS:
        echo = echo[:MAX_ECHO_CHARS] + " …"
    text = (
        f"Hello from the demo {api} API behind the run9 AI Gateway. Your placeholder credential was thrown "
        "away, the organization's own key was put in on the way, and these words reach you one by one, "
        f"exactly as they were sent. You wrote: {echo}"
    )
    words = tuple(_WORD.findall(text))
    kept = words if max_tokens is None else words[:max_tokens]
    return Story(kept, count_tokens(prompt), cut_short=len(kept) < len(words))


def text_of(content: object) -> str:
    """Gather the plain text of a message's content: a string, or a list of parts with `text`."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(text_of(part) for part in content)
    if isinstance(content, dict):
        return text_of(content.get("text", content.get("content", "")))
    return ""


async def paced(words: tuple[str, ...], pace_seconds: float) -> AsyncIterator[str]:
    """Give the words in turn, a pause before each but the first."""
    for number, word in enumerate(words):
        if number and pace_seconds > 0:
            await asyncio.sleep(pace_seconds)
        yield word
