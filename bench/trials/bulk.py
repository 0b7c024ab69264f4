"""The bytes of a large body, and the pace of a slow taker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

PIECE_BYTES: Final = 64 * 1024
_PERIOD: Final = 65_521
"""Prime, so that a piece lost or sent twice does not look right."""
_PATTERN: Final = (bytes(range(256)) * (_PERIOD // 256 + 1))[:_PERIOD]
_ROLL: Final = _PATTERN * 3


def bulk(start: int, length: int) -> bytes:
    """Give `length` bytes, at most `PIECE_BYTES`, of the endless body from `start` on."""
    at = start % _PERIOD
    return _ROLL[at : at + length]


@dataclass(frozen=True, slots=True)
class Pace:
    """Takes a bunch as fast as it comes, then nothing for the rest of the turn.

    Attributes:
        bytes_per_turn: how many bytes are taken at once.
        turn_seconds: from the start of a bunch to the start of the next.
    """

    bytes_per_turn: int = 50_000_000
    turn_seconds: float = 1.0

    def pause(self, taken: int, elapsed: float) -> float:
        """Give how many seconds to take nothing, `taken` bytes and `elapsed` seconds after the start."""
        return max(0.0, taken // self.bytes_per_turn * self.turn_seconds - elapsed)


@dataclass(slots=True)
class SlowTaker:
    """Reads a large body at a pace and compares every byte.

    Attributes:
        read_into: fills a part of a buffer, tells how much; 0 at the end.
        pace: how slowly.
    """

    read_into: Callable[[memoryview], int]
    pace: Pace
    _buffer: bytearray = field(default_factory=lambda: bytearray(PIECE_BYTES))

    def take(self, length: int) -> int:
        """Take `length` bytes; gives how many came right before the end or the first wrong byte."""
        taken, began = 0, time.monotonic()
        view = memoryview(self._buffer)
        while taken < length:
            count = self.read_into(view[: min(PIECE_BYTES, length - taken)])
            if not count or view[:count] != bulk(taken, count):
                break
            taken += count
            if taken < length and (pause := self.pace.pause(taken, time.monotonic() - began)):
                time.sleep(pause)
        return taken
