"""Where a body ends. The bytes are passed as they came; this only counts them.

A framing takes each piece of the stream once and says at which index the body ended. It keeps no body byte.
RFC 9112 §6 and §7.1.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, Protocol

MAX_CHUNK_LINE_BYTES: Final = 256
MAX_TRAILER_BYTES: Final = 8192
NOT_ENDED: Final = -1

# §7.1: 15 hex digits are below 2**60; more could be read modulo something by someone.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
# Servers have padded sizes with spaces for decades; from a provider that is harmless.
_PADDED_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*+(?:;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
_TRAILER_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[\t\x20-\x7e\x80-\xff]*+\r\n")


class BadFraming(ValueError):  # noqa: N818  # a finding about the peer's bytes
    """The bytes do not follow the framing; whatever comes after them cannot be told apart."""


class Framing(Protocol):
    """What finds the end of one body."""

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


class UntilCloseFraming:
    """A body that ends with the connection."""

    __slots__ = ()

    def feed(self, data: bytes, start: int = 0) -> int:  # noqa: ARG002  # no byte ends it
        """Never ended by a byte."""
        return NOT_ENDED


class _Part(Enum):
    LINE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class ChunkedFraming:
    """A body in chunks, of any size, with extensions and trailers.

    `forbidden_trailers` are names (lower case) that may not come after a body, because they would have been
    dropped before it.
    """

    __slots__ = ("_carry", "_forbids", "_left", "_line", "_part", "_trailer_bytes")

    def __init__(self, *, padded: bool = False, forbids: TrailerJudge | None = None) -> None:
        self._line = _PADDED_CHUNK_LINE if padded else _CHUNK_LINE
        self._forbids = forbids
        self._part = _Part.LINE
        self._left = 0
        self._carry = b""
        self._trailer_bytes = 0

    def feed(self, data: bytes, start: int = 0) -> int:
        """Walk from chunk to chunk; raises `BadFraming`."""
        if self._carry:
            # Only a line, or the CR of a data end, is ever carried: at most MAX_CHUNK_LINE_BYTES.
            carried = len(self._carry)
            data = self._carry + data[start:]
            self._carry = b""
            end = self._walk(data, 0)
            return end if end == NOT_ENDED else end - carried + start
        return self._walk(data, start)

    def _walk(self, data: bytes, at: int) -> int:
        size = len(data)
        while at < size:
            if self._part is _Part.DATA:
                here = size - at
                if here < self._left:
                    self._left -= here
                    return NOT_ENDED
                at += self._left
                self._part = _Part.DATA_END
            elif self._part is _Part.LINE:
                match = self._line.match(data, at)
                if match is None:
                    return self._hold(data, at, MAX_CHUNK_LINE_BYTES)
                at = match.end()
                self._left = int(match[1], 16)
                self._part = _Part.DATA if self._left else _Part.TRAILER
            elif data.startswith(b"\r\n", at):
                at += 2
                if self._part is _Part.TRAILER:
                    return at
                self._part = _Part.LINE
            elif self._part is _Part.DATA_END:
                return self._hold_data_end(data, at)
            else:
                match = _TRAILER_LINE.match(data, at)
                if match is None:
                    return self._hold(data, at, MAX_TRAILER_BYTES - self._trailer_bytes)
                self._take_trailer(match)
                at = match.end()
        return NOT_ENDED

    def _hold_data_end(self, data: bytes, at: int) -> int:
        """Keep a CR whose LF is still to come."""
        if data[at:] != b"\r":
            raise BadFraming("a chunk is longer than its size says")
        self._carry = b"\r"
        return NOT_ENDED

    def _hold(self, data: bytes, at: int, limit: int) -> int:
        """Keep the beginning of a line for the next piece, unless it can never become one."""
        rest = data[at:]
        if b"\n" in rest or len(rest) > limit:
            raise BadFraming("a chunk's size line or a trailer is malformed")
        self._carry = rest
        return NOT_ENDED

    def _take_trailer(self, match: re.Match[bytes]) -> None:
        self._trailer_bytes += match.end() - match.start()
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise BadFraming("the trailers are too large")
        if self._forbids is not None and self._forbids(match[1]):
            raise BadFraming("a trailer carries what belongs into the head")


class TrailerJudge(Protocol):
    """Tells whether a trailer of this raw name may not pass."""

    def __call__(self, name: bytes, /) -> bool:
        """True to refuse it."""
        ...
