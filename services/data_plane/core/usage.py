"""What an answer says of the tokens that it cost: kept aside as the answer passes, read when it is over.

A provider says it at the end of an answer, and at the beginning of Anthropic's streams. So a tap keeps these
two, a few KiB, and nothing here changes or delays what is forwarded. What cannot be read is unknown, never
guessed. No text of an answer leaves this file: only numbers do.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from services.data_plane.core.framing import BadFraming, ChunkedFraming

KIB: Final = 1024
HEAD_BYTES: Final = KIB
TAIL_BYTES: Final = KIB
TRIM_BYTES: Final = KIB
"""So much may come before the tail is cut again."""
WHOLE_BYTES: Final = 1536
"""Up to here an answer is kept whole, compressed ones up to the next limit."""
MAX_COMPRESSED_BYTES: Final = 64 * KIB
MAX_INFLATED_BYTES: Final = 256 * KIB
MAX_USAGE_BYTES: Final = 2 * KIB
MAX_TOKENS: Final = 10**12
TELLING_BYTES: Final = 128
"""So much of the beginning tells whether an answer is text."""
MAX_LOOKS: Final = 4
MAX_BORDERS: Final = 8

_USAGE: Final = b'"usage"'  # a quote inside a JSON string is escaped, so no text of a model reads like this
_OBJECT: Final = re.compile(rb'"usage"[ \t\r\n]{0,8}:[ \t\r\n]{0,8}(?=\{)')
# OpenAI's chat, compact and in any other spelling; anything else is read as JSON.
_COMPACT: Final = re.compile(
    rb""""usage":{"prompt_tokens":(\d{1,12}+),"completion_tokens":(\d{1,12}+),"total_tokens":\d{1,13}+,"""
    rb""""prompt_tokens_details":{"cached_tokens":(\d{1,12}+)(?:,"audio_tokens":\d{1,12}+)?},"""
    rb""""completion_tokens_details":{"reasoning_tokens":(\d{1,12}+)[,}]"""
)
_COMMON: Final = re.compile(
    rb""""usage":\s?{\s*+"prompt_tokens":\s?(\d{1,12}+),\s*+(?:"completion_tokens":\s?(\d{1,12}+),\s*+)?"""
    rb""""total_tokens":\s?\d{1,13}+(?:,\s*+"prompt_tokens_details":\s?{\s*+"cached_tokens":\s?(\d{1,12}+)"""
    rb"""(?:,\s*+"audio_tokens":\s?\d{1,12}+)?\s*+})?"""
    # Nothing behind the reasoning is of interest; where it does not come next, the end must.
    rb"""(?:\s*+}|,\s*+"completion_tokens_details":\s?{\s*+"reasoning_tokens":\s?(\d{1,12}+)[,}\s])"""
)
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*+(?:;[^\r\n]*+)?\r\n")
_CHUNK_BORDER: Final = re.compile(rb"\r\n(?=[0-9A-Fa-f]{1,15}[ \t]*+(?:;[^\r\n]*+)?\r\n)")
_CONTROLS: Final = bytes({*range(0x20)} - {*b"\t\r\n\f\v"})
_GZIP: Final = b"\x1f\x8b"
_GZIP_OR_ZLIB: Final = 47  # what zlib calls its automatic choice, with the largest window
_NUMBERS: Final = frozenset({"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"})
_DECODER: Final = json.JSONDecoder()


class Usage(NamedTuple):
    """Tokens of one answer, counted alike for both providers. A tuple, for what it costs to make one.

    Attributes:
        input_tokens: everything that was read, cached or not.
        cached_input_tokens: of these, what came from the provider's cache.
        cache_write_tokens: of these, what was written to it.
        output_tokens: everything that was written, reasoning included.
        reasoning_tokens: of these, what was never shown.
    """

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int


StatedUsage = tuple[bytes, ...]
"""Input, output, cached input and reasoning tokens of one answer, in its own digits: numbers are made of them
when many are at hand. Its length is not in the type, because the compiler would take such a tuple apart."""


def sum_of(stated: Sequence[StatedUsage]) -> Usage:
    """Add up what any number of answers stated."""
    if not stated:
        return Usage(0, 0, 0, 0, 0)
    read, output, cached, reasoning = map(_sum_of_digits, zip(*stated, strict=True))
    return Usage(read, cached, 0, output, reasoning)


def _sum_of_digits(column: tuple[bytes, ...]) -> int:
    """Add up one kind of tokens. Most answers have none from the cache, and few have any for reasoning."""
    return 0 if column.count(b"0") == len(column) else sum(map(int, column))


class NoUsage(Enum):
    """Why there is none."""

    ABSENT = "absent"  # the answer says nothing of it, or not where it is looked for
    UNREADABLE = "unreadable"  # compressed in another way or too large, or no text at all


_ABSENT: Final = NoUsage.ABSENT  # bound once: a look-up on an enum class costs as much as a call


class UsageTap:
    """What is kept of one answer. The relay gives it every piece; most cost one append and one comparison."""

    __slots__ = ("_compressed", "_head", "_pieces", "_seen_bytes", "_trim_at")

    def __init__(self, first: bytes = b"") -> None:
        self._pieces: list[bytes] = []
        self._seen_bytes = 0
        self._trim_at = WHOLE_BYTES
        self._head: bytes | None = None  # None while everything is kept
        self._compressed = False
        self.take(first)

    @property
    def held_bytes(self) -> int:
        """How much is kept now."""
        return sum(map(len, self._pieces)) + len(self._head or b"")

    def take(self, piece: bytes) -> None:
        """Keep the next piece, and what belongs to the beginning or may be the end of what came before it."""
        self._pieces.append(piece)
        self._seen_bytes += len(piece)
        if self._seen_bytes >= self._trim_at:
            self._trim()

    def _trim(self) -> None:
        """Keep the beginning and the end; of what is compressed, all or nothing."""
        kept = b"".join(self._pieces)
        if self._head is None:
            if not self._compressed and _is_compressed(kept):
                self._compressed = True
                self._trim_at = MAX_COMPRESSED_BYTES
                if self._seen_bytes < MAX_COMPRESSED_BYTES:
                    self._pieces = [kept]
                    return
            self._head = _telling(kept[:HEAD_BYTES])
        self._pieces = [] if self._compressed else [kept[-TAIL_BYTES:]]
        self._trim_at = self._seen_bytes + TRIM_BYTES

    def read(self) -> Usage | NoUsage:
        """Read what was kept. Does not raise, whatever the provider sent."""
        kept = b"".join(self._pieces)
        if self._head is None:
            stated = stated_by(kept)
            return _read_whole(kept) if stated is None else sum_of((stated,))
        if self._compressed:
            return NoUsage.UNREADABLE
        head, tail = self._head, kept[-TAIL_BYTES:]
        if _CHUNK_LINE.match(head):
            tail = _payload_of_end(tail)
            if len(head) > TELLING_BYTES:
                head = _unchunked(head, 0) or head
        return _usage_of(_last_counts(tail), _counts_at(head, head.find(_USAGE)), head)


Tapped = UsageTap | bytes
"""What is kept of one answer: of a short one that came in one piece, nothing but that piece."""


def stated_by(answer: bytes) -> StatedUsage | None:
    """Give what a whole answer states, uncompressed, in the commonest way; None otherwise.

    Costs a fraction of what JSON does, so that nothing is gained by putting it off as `UsageTap.read` is.
    """
    at = answer.rfind(_USAGE)
    if at < 0:
        return None
    # Spaces may be a chunk's border, which only a document has none of.
    match: Any = _COMPACT.match(answer, at) or (answer[:1] == b"{" and _COMMON.match(answer, at))
    if not match:
        return None
    stated: StatedUsage = match.groups(b"0")
    return stated


def _telling(head: bytes) -> bytes:
    """Give the beginning up to where it can say something; chunks that are tiny may hide what it says."""
    line = _CHUNK_LINE.match(head)
    is_cut = line is not None and int(line[1], 16) < TELLING_BYTES
    return head if is_cut or _USAGE in head else head[:TELLING_BYTES]


def _read_whole(data: bytes) -> Usage | NoUsage:
    if _CHUNK_LINE.match(data):
        payload = _unchunked(data, 0)
        data = data if payload is None else payload
    if _is_compressed(data):
        inflated = _inflate(data)
        if inflated is None:
            return NoUsage.UNREADABLE
        data = inflated
    return _usage_of(_last_counts(data), _counts_at(data, data.find(_USAGE)), data)


# From the wire to what it carries.


def _is_compressed(data: bytes) -> bool:
    """Whether it begins as gzip (RFC 1952 §2.3.1) or zlib (RFC 1950 §2.2), which no JSON or event does."""
    line = _CHUNK_LINE.match(data)
    first = data[line.end() if line else 0 :][:2]
    return first == _GZIP or (first[:1] == b"x" and len(first) > 1 and int.from_bytes(first) % 31 == 0)


def _inflate(data: bytes) -> bytes | None:
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        inflated = inflater.decompress(data, MAX_INFLATED_BYTES)
    except zlib.error:
        return None
    return None if inflater.unconsumed_tail else inflated


def _unchunked(data: bytes, start: int) -> bytes | None:
    """Give the payload of the chunks in `data[start:]`, the last maybe unfinished; None if they are none."""
    framing = ChunkedFraming(padded=True)
    framing.spans = []
    try:
        framing.feed(data, start)
    except BadFraming:
        return None
    return b"".join([data[begin:end] for begin, end in framing.spans])


def _payload_of_end(tail: bytes) -> bytes:
    """Give the payload of what begins anywhere in a chunked answer: all chunks fit from some border on."""
    for number, border in enumerate(_CHUNK_BORDER.finditer(tail)):
        if number == MAX_BORDERS:
            break
        payload = _unchunked(tail, border.end())
        if payload is not None:
            return tail[: border.start()] + payload
    return tail


# From what it carries to numbers.


def _last_counts(data: bytes) -> dict[str, Any] | None:
    """The last usage that holds any number: where a stream says it more than once, the last is the sum."""
    end = len(data)
    for _ in range(MAX_LOOKS):
        at = data.rfind(_USAGE, 0, end)
        counts = _counts_at(data, at)
        if counts is not None or at < 0:
            return counts
        end = at
    return None


def _counts_at(data: bytes, at: int) -> dict[str, Any] | None:
    match = _OBJECT.match(data, at) if at >= 0 else None
    if match is None:
        return None
    text = data[match.end() : match.end() + MAX_USAGE_BYTES].decode("latin-1")
    try:
        found = _DECODER.raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None
    return None if _NUMBERS.isdisjoint(found) else found


def _usage_of(last: dict[str, Any] | None, first: dict[str, Any] | None, data: bytes) -> Usage | NoUsage:
    """Anthropic's streams say some numbers at the beginning only, and repeat others: what came last holds."""
    if last is None and first is None:
        beginning = data[:TELLING_BYTES]
        return _ABSENT if beginning == beginning.translate(None, _CONTROLS) else NoUsage.UNREADABLE
    said = last or {}
    if first is not None and first is not last:
        said = {**first, **{name: value for name, value in said.items() if value is not None}}
    cached = _number(said, "cache_read_input_tokens")
    written = _number(said, "cache_creation_input_tokens")
    # Anthropic counts beside its input tokens what the cache gave and took; OpenAI counts it in.
    read = _number(said, "prompt_tokens", "input_tokens") + cached + written
    output = _number(said, "completion_tokens", "output_tokens")
    cached += _detail(said, "cached_tokens", "prompt_tokens_details", "input_tokens_details")
    reasoning = _detail(said, "reasoning_tokens", "completion_tokens_details", "output_tokens_details")
    return Usage(read, cached, written, output, reasoning)


def _number(said: dict[str, Any], *names: str) -> int:
    for name in names:
        value = said.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS:
            return value
    return 0


def _detail(said: dict[str, Any], name: str, *places: str) -> int:
    for place in places:
        details = said.get(place)
        if isinstance(details, dict):
            return _number(details, name)
    return 0
