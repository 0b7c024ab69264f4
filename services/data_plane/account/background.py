"""A provider's answers made in the background: which of them are counted already.

A box asks for such an answer by POST and polls by GET. Only the poll with the finished answer states its
tokens, and a box may ask again, so each counted answer is remembered for a while. Another process of the
fleet, polled for the same answer later, does not know about the count.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_REMEMBERED_ANSWERS: Final = 10_000

AnswerKey = tuple[str, str, str]
"""Organization, provider, and the provider's id of the answer."""


class BackgroundAnswers:
    """Remembers the counted answers; the least recently requested answer goes first."""

    def __init__(self, max_answers: int = MAX_REMEMBERED_ANSWERS) -> None:
        self._max_answers = max_answers
        self._counted: OrderedDict[AnswerKey, None] = OrderedDict()

    def count(self, key: AnswerKey) -> bool:
        """Whether a finished answer is to be counted now: only the first time that its tokens are seen."""
        is_new = key not in self._counted
        self._counted[key] = None
        self._counted.move_to_end(key)
        if len(self._counted) > self._max_answers:
            self._counted.popitem(last=False)
        return is_new
