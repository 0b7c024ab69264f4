"""Where a body ends. The bytes pass unchanged; a framing only counts. this only counts them.

A framing takes each piece of the stream once and says at which index the body ended. No body byte is kept.
RFC 9112 §6 and §7.1.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, Protocol

from services.data_plane.core.field_lines import MAX_NAME_BYTES

MAX_DISCARDED_BODY_BYTES: Final = 1024 * 1024
MAX_CHUNK_LINE_BYTES: Final = 256
MAX_TRAILER_BYTES: Final = 8192
NOT_ENDED: Final = -1

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"  # RFC 9110 §5.6.2
_TEXT = rb"[\t\x20-\x7e\x80-\xff]"
# §7.1: 15 hex digits are below 2**60; more could be read modulo something by someone.
_SIZE = rb"([0-9A-Fa-f]{1,15}+)"
_CHUNK_LINE = re.compile(_SIZE + rb"\r\n")
# The size lines of a stream's events. A look-up reads one in half the time that a match takes.
_SMALL_SIZES: Final = {b"%x" % size: size for size in range(1, 0x1000)}
_SMALL_LINE_BYTES: Final = len(b"fff\r\n")
# §7.1.1, without the whitespace that the RFC allows and that llhttp refuses.
_EXTENDED_LINE = re.compile(
    _SIZE + rb"(?:;" + _TOKEN + rb"++(?:=(?:" + _TOKEN + rb'++|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\'
    + _TEXT + rb')*"))?)+\r\n'
)  # fmt: skip
# Servers have padded sizes with spaces for decades; from a provider that is harmless.
_PADDED_LINE = re.compile(_SIZE + rb"[ \t]*+(?:;" + _TEXT + rb"*+)?\r\n")
_TRAILER_LINE = re.compile(rb"(" + _TOKEN + rb"{1,%d}+):" % MAX_NAME_BYTES + _TEXT + rb"*+\r\n")
# What an unfinished line may be. It is passed on before its end is known, and so may hold nothing that
# anybody takes for the end of a line.
_LINE_BEGINNING = re.compile(_SIZE + rb"[ \t]*+(?:;" + _TEXT + rb"*+)?\r?")
_TRAILER_BEGINNING = re.compile(_TOKEN + rb"{1,%d}+(?::" % MAX_NAME_BYTES + _TEXT + rb"*+\r?)?|\r")


class BadFraming(ValueError):  # noqa: N818  # a finding about the peer's bytes
    """The bytes do not follow the framing; whatever comes after them cannot be told apart."""


class Framing(Protocol):
    """Finds the end of a body."""

    def feed(self, data: bytes, start: int = 0) -> int:
        """Take `data[start:]`; give the index after the body's last byte, or `NOT_ENDED`."""
        ...


class LengthFraming:
    """A body of a known number of bytes; `left` of them are still to come."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def feed(self, data: bytes, start: int = 0) -> int:
        """Count down."""
        here = len(data) - start
        if here < self.left:
            self.left -= here
            return NOT_ENDED
        end = start + self.left
        self.left = 0
        return end


def discardable(framing: Framing) -> bool:
    """Whether the rest of a body is small enough to be read only to keep the connection."""
    return isinstance(framing, LengthFraming) and framing.left <= MAX_DISCARDED_BODY_BYTES


class UntilCloseFraming:
    """A body ended by the connection."""

    __slots__ = ()

    def feed(self, data: bytes, start: int = 0) -> int:  # noqa: ARG002  # no byte ends it
        """Never ended by a byte."""
        return NOT_ENDED


def is_whole_chunk(data: bytes) -> bool:
    """Whether this is exactly a whole chunk of a common kind, if a chunk begins here."""
    line_end = data.find(b"\r\n", 0, _SMALL_LINE_BYTES)
    return (
        line_end > 0
        and _SMALL_SIZES.get(data[:line_end]) == len(data) - line_end - 4
        and data.endswith(b"\r\n")
    )


class _Part(Enum):
    LINE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    ENDED = auto()


# Bound once: on Python 3.11 a look-up on an enum class costs as much as a call.
_LINE: Final = _Part.LINE
_DATA: Final = _Part.DATA
_DATA_END: Final = _Part.DATA_END
_TRAILER: Final = _Part.TRAILER
_ENDED: Final = _Part.ENDED


class ChunkedFraming:
    """A body in chunks, of any size, with extensions and trailers.

    Args:
        padded: whether blanks after a chunk's size are taken.
        forbids: names the trailers to refuse, because such headers would have been dropped from the head.

    Attributes:
        spans: if set to a list, the list receives the (start, end) of payload and trailers in the data of the
            latest `feed`; for readers of the chunks' content.
    """

    __slots__ = ("_carry", "_extended_line", "_forbids", "_left", "_part", "_trailer_bytes", "spans")

    def __init__(self, *, padded: bool = False, forbids: TrailerJudge | None = None) -> None:
        self._extended_line = _PADDED_LINE if padded else _EXTENDED_LINE
        self._forbids = forbids
        self._part = _LINE
        self._left = 0
        self._carry = b""
        self._trailer_bytes = 0
        self.spans: list[tuple[int, int]] | None = None

    @property
    def at_border(self) -> bool:
        """Whether the next byte begins a chunk, so a whole chunk leaves the state unchanged."""
        return self._part is _LINE and not self._carry

    def feed(self, data: bytes, start: int = 0) -> int:
        """Walk from chunk to chunk; raises `BadFraming`."""
        if self._carry:
            return self._feed_joined(data, start)
        if self.spans is not None:
            self.spans.clear()
        at, size = start, len(data)
        while at < size:
            if self._part is not _LINE:
                at = self._go_on(data, at)
                if self._part is _ENDED:
                    return at
                continue
            line_end = data.find(b"\r\n", at, at + _SMALL_LINE_BYTES)
            left = _SMALL_SIZES.get(data[at:line_end], 0) if line_end > 0 else 0
            if left:
                at = line_end + 2
            else:
                match = _CHUNK_LINE.match(data, at) or self._match_extended(data, at)
                if match is None:
                    self._hold(data, at, _LINE_BEGINNING, MAX_CHUNK_LINE_BYTES)
                    break
                at = match.end()
                left = int(match[1], 16)
            if left and data.startswith(b"\r\n", at + left):
                # Nearly always the whole chunk is here: past it at once, and on to the next line.
                if self.spans is not None:
                    self.spans.append((at, at + left))
                at += left + 2
            else:
                self._left = left
                self._part = _DATA if left else _TRAILER
        return NOT_ENDED

    def _feed_joined(self, data: bytes, start: int) -> int:
        """Walk from the carried beginning: a line, or the CR of a data end, at most MAX_CHUNK_LINE_BYTES."""
        shift = start - len(self._carry)
        joined = self._carry + data[start:]
        self._carry = b""
        end = self.feed(joined)
        if self.spans is not None:
            self.spans[:] = [(max(a + shift, start), b + shift) for a, b in self.spans]
        return end if end == NOT_ENDED else end + shift

    def _go_on(self, data: bytes, at: int) -> int:
        """Go on within a chunk or the trailers; give the index reached."""
        part = self._part
        if part is _DATA:
            end = min(at + self._left, len(data))
            if self.spans is not None:
                self.spans.append((at, end))
            self._left -= end - at
            if not self._left:
                self._part = _DATA_END
            return end
        if data.startswith(b"\r\n", at):
            self._part = _LINE if part is _DATA_END else _ENDED
            return at + 2
        return self._hold_data_end(data, at) if part is _DATA_END else self._take_trailer(data, at)

    def _match_extended(self, data: bytes, at: int) -> re.Match[bytes] | None:
        match = self._extended_line.match(data, at)
        if match is not None and match.end() - at > MAX_CHUNK_LINE_BYTES:
            raise BadFraming("a chunk's size line is too long")
        return match

    def _hold_data_end(self, data: bytes, at: int) -> int:
        """Keep a CR whose LF is still to come."""
        if data[at:] != b"\r":
            raise BadFraming("a chunk is longer than its size says")
        self._carry = b"\r"
        return len(data)

    def _hold(self, data: bytes, at: int, beginning: re.Pattern[bytes], limit: int) -> None:
        """Keep the beginning of a line for the next piece, unless no valid line can begin so."""
        rest = data[at:]
        if len(rest) >= limit or not beginning.fullmatch(rest):
            raise BadFraming("a chunk's size line or a trailer is malformed")
        self._carry = rest

    def _take_trailer(self, data: bytes, at: int) -> int:
        match = _TRAILER_LINE.match(data, at)
        if match is None:
            self._hold(data, at, _TRAILER_BEGINNING, MAX_TRAILER_BYTES - self._trailer_bytes)
            return len(data)
        self._trailer_bytes += match.end() - at
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise BadFraming("the trailers are too large")
        if self._forbids is not None and self._forbids(match[1]):
            raise BadFraming("a trailer carries what belongs into the head")
        if self.spans is not None:
            self.spans.append(match.span())
        return match.end()


class TrailerJudge(Protocol):
    """Tells whether a trailer of this raw name may not pass."""

    def __call__(self, name: bytes, /) -> bool:
        """True for a trailer to refuse."""
        ...
