"""The commonest answer, read by a single pattern: a whole chat completion of OpenAI, written without spaces.

The pattern costs a fraction of a JSON parser, so such an answer is read at once. Every other answer is read
by `tap.py` after being written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from services.data_plane.core.usage.counts import name_of
from services.data_plane.core.usage.tokens import Usage

StatedUsage = tuple[bytes, ...]
"""Input, output, cached input, cache write and reasoning tokens of an answer, in its own digits, and the text
behind: numbers are made of many at a time. The length is not in the type, because the compiler would take
such a tuple apart.
"""

PARTS: Final = 6
"""The length of a `StatedUsage`."""
TAIL_BYTES: Final = 384
"""The usage and the rest of such an answer are no longer."""
MAX_KNOWN_ENDS: Final = 256
MAX_KNOWN_MODELS: Final = 256

_OPENING_BRACE: Final = 0x7B

_COUNTS: Final = (
    rb""","usage":{"prompt_tokens":(\d{1,12}+),"completion_tokens":(\d{1,12}+),"total_tokens":\d{1,13}+"""
)
_INPUT_DETAILS: Final = (
    rb""","prompt_tokens_details":{"cached_tokens":(\d{1,12}+)(?:,"cache_write_tokens":(\d{1,12}+)|)"""
    rb"""(?:,"audio_tokens":\d{1,12}+|)}"""
)
_OUTPUT_DETAILS: Final = rb""","completion_tokens_details":{"reasoning_tokens":(\d{1,12}+)"""
_NO_OUTPUT_DETAILS: Final = rb"""(?:(?!)(\d)|)"""  # a group that matches nothing
_OTHER_DETAILS: Final = rb"""(?:,"(?!reasoning_tokens")[a-z_]{1,40}+":\d{1,12}+)*}"""
# Nothing but single values may follow up to the end of the document: then the usage is the document's own
# member, and no object that the model wrote. A second usage or model would be the one that a parser takes.
_MEMBERS: Final = rb"""(?:,"(?!usage"|model")[a-z_]{1,40}+":(?:"[^"\\]{0,99}+"|null|\d{1,12}+))*}\s*+"""
_TIER: Final = re.compile(rb""".*,"service_tier":"([^"\\]{0,99}+)\"""", re.DOTALL)
_MODEL: Final = b'"model"'
_MODEL_BEGINNING: Final = b'"model":"'


def stated_by(answer: bytes) -> tuple[StatedUsage, str]:
    """Give the usage and the service tier stated by a whole, uncompressed answer in the commonest form.

    The usage of any other answer is an empty tuple.
    """
    for form in _FORMS:
        match = form.search(answer, len(answer) - TAIL_BYTES)
        if match is not None:
            stated: StatedUsage = match.groups(b"0")
            tier = form.tier_of(stated[-1])
            return (stated, tier) if tier is not None and answer[0] == _OPENING_BRACE else ((), "")
    return (), ""


class _Form:
    """A way of stating the usage, and the ends of documents already seen with it.

    The same ends come again and again. Their number is bounded, because providers choose them.

    Args:
        usage: the pattern of the usage.
        end: the pattern of the rest of the document.
    """

    __slots__ = ("_end", "search", "tiers")

    def __init__(self, usage: bytes, end: bytes) -> None:
        self.search: Final = re.compile(usage + b"(.*)", re.DOTALL).search
        self.tiers: Final[dict[bytes, str]] = {}
        self._end: Final = re.compile(end)

    def tier_of(self, end: bytes) -> str | None:
        """Give the service tier named by a document's end; None for anything but such an end."""
        tier = self.tiers.get(end)
        if tier is not None or not self._end.fullmatch(end):
            return tier
        match = _TIER.match(end)
        tier = name_of({"tier": match[1].decode("utf-8", "replace")}, "tier") if match else ""
        if len(self.tiers) < MAX_KNOWN_ENDS:
            self.tiers[end] = tier
        return tier


_FORMS: Final = (
    _Form(_COUNTS + b"(?:" + _INPUT_DETAILS + b"|)" + _OUTPUT_DETAILS, _OTHER_DETAILS + b"}" + _MEMBERS),
    _Form(_COUNTS + b"(?:" + _INPUT_DETAILS + b"|)" + _NO_OUTPUT_DETAILS, b"}" + _MEMBERS),
)


def stated_model(answer: bytes) -> str | None:
    """Give the model named by such an answer: empty for no model, None where a parser must look."""
    at = answer.find(_MODEL)
    if at < 0:
        return ""
    begin = at + len(_MODEL_BEGINNING)
    if answer[at:begin] != _MODEL_BEGINNING or answer.find(b"{", 1, at) >= 0:
        return None
    name = answer[begin : answer.find(b'"', begin)]
    known = _MODELS.get(name)
    return known if known is not None else _learned_model(name)


_MODELS: Final[dict[bytes, str]] = {}


def _learned_model(name: bytes) -> str | None:
    if b"\\" in name:
        return None
    model = name_of({"model": name.decode("utf-8", "replace")}, "model")
    if len(_MODELS) < MAX_KNOWN_MODELS:
        _MODELS[name] = model
    return model


def sum_of(stated: Sequence[bytes]) -> Usage:
    """Add up the usages stated by any number of answers, given part after part."""
    read, output, cached, written, reasoning = (
        _sum_of_digits(stated[kind::PARTS]) for kind in range(PARTS - 1)
    )
    return Usage(read, cached, written, output, reasoning)


def _sum_of_digits(column: Sequence[bytes]) -> int:
    """Add up a single kind of tokens. Most answers state zero for most kinds."""
    return 0 if column.count(b"0") == len(column) else sum(map(int, column))
