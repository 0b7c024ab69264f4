"""The commonest answer, read by a single pattern: a whole chat completion of OpenAI, written without spaces.

The pattern costs a fraction of a JSON parser, so such an answer is read at once. Every other answer is read
by `tap.py` after being written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from services.data_plane.core.usage.tokens import NOTHING, Usage

StatedUsage = tuple[bytes, ...]
"""Input, output, cached input, cache write and reasoning tokens of an answer, in its own digits: numbers are
made of many at a time. The length is not in the type, because the compiler would take such a tuple apart.
"""

MAX_KNOWN_ENDS: Final = 256
MAX_END_BYTES: Final = 512
_DETAILED: Final = 5  # the group that only details of the output fill

_BEGINNING: Final = b',"usage":{"prompt_tokens":'
_USAGE: Final = re.compile(
    rb""","usage":{"prompt_tokens":(\d{1,12}+),"completion_tokens":(\d{1,12}+),"total_tokens":\d{1,13}+"""
    rb"""(?:,"prompt_tokens_details":{"cached_tokens":(\d{1,12}+)(?:,"cache_write_tokens":(\d{1,12}+))?"""
    rb"""(?:,"audio_tokens":\d{1,12}+)?})?(?:,"completion_tokens_details":{"reasoning_tokens":(\d{1,12}+)(?=[,}])|(?=}))"""
)
# Nothing but single values may follow up to the end of the document: then the usage is the document's own
# member, and no object that the model wrote. The same ends come again and again, and are remembered.
_MEMBERS: Final = rb"""(?:,"[a-z_]{1,40}+":(?:"[^"\\]{0,99}+"|null|\d{1,12}+))*}\s*+"""
_END: Final = re.compile(rb"}" + _MEMBERS)
_END_OF_DETAILS: Final = re.compile(rb"""(?:,"[a-z_]{1,40}+":\d{1,12}+)*}}""" + _MEMBERS)
_MODEL: Final = re.compile(
    rb"""{(?:"(?:id|object)":"[^"\\]{0,99}+",|"created":\d{1,12}+,)*"model":"([^"\\]{1,99}+)","""
)


def stated_by(answer: bytes) -> StatedUsage | None:
    """Give the usage stated by a whole, uncompressed answer in the commonest form; None otherwise."""
    at = answer.rfind(_BEGINNING)
    match = _USAGE.match(answer, at) if at > 0 and answer[:1] == b"{" else None
    if match is None:
        return None
    end = answer[match.end() :]
    known = _KNOWN if match.lastindex == _DETAILED else _KNOWN_BARE
    if end not in known.ends and not known.judge(end):
        return None
    stated: StatedUsage = match.groups(b"0")
    return stated


def stated_model(answer: bytes) -> str:
    """Give the model named among such an answer's first members, or an empty string."""
    match = _MODEL.match(answer)
    return match[1].decode("latin-1") if match else ""


class _KnownEnds:
    """Already judged ends of documents; bounded, because providers choose them."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.ends: set[bytes] = set()
        self._pattern = pattern

    def judge(self, end: bytes) -> bool:
        # A second usage or model among the members that follow would be the one that a JSON parser takes.
        if (
            len(end) > MAX_END_BYTES
            or self._pattern.fullmatch(end) is None
            or b'"usage"' in end
            or b'"model"' in end
        ):
            return False
        if len(self.ends) < MAX_KNOWN_ENDS:
            self.ends.add(end)
        return True


_KNOWN: Final = _KnownEnds(_END_OF_DETAILS)
_KNOWN_BARE: Final = _KnownEnds(_END)


def sum_of(stated: Sequence[StatedUsage]) -> Usage:
    """Add up the usages stated by any number of answers."""
    if not stated:
        return NOTHING
    read, output, cached, written, reasoning = map(_sum_of_digits, zip(*stated, strict=True))
    return Usage(read, cached, written, output, reasoning)


def _sum_of_digits(column: tuple[bytes, ...]) -> int:
    """Add up a single kind of tokens. Most answers state zero for most kinds."""
    return 0 if column.count(b"0") == len(column) else sum(map(int, column))
