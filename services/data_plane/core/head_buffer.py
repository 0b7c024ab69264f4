"""Collects bytes until a head is whole. Nearly every head comes in a single piece: then nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

HEAD_END: Final = b"\r\n\r\n"


class HeadTooLarge(Exception):  # noqa: N818  # a finding about the peer's bytes
    """The limit was reached before the empty line."""


class HeadBuffer:
    """Holds the beginning of a head.

    Args:
        limit_bytes: a head must end within these.
        check: called with (the bytes so far, the number of checked bytes) while the end is missing; any
            exception passes through.
    """

    __slots__ = ("_check", "_limit_bytes", "_partial")

    def __init__(self, limit_bytes: int, check: Callable[[bytearray, int], None] | None = None) -> None:
        self._limit_bytes = limit_bytes
        self._check = check
        self._partial = bytearray()

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not self._partial

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Give (the head with its empty line, the rest) once whole; raises `HeadTooLarge`."""
        if not self._partial:
            end = data.find(HEAD_END, 0, self._limit_bytes) + len(HEAD_END)
            if end >= len(HEAD_END):
                return data[:end], data[end:]
        partial = self._partial
        seen = max(len(partial) - len(HEAD_END), 0)
        partial += data
        end = partial.find(HEAD_END, seen, self._limit_bytes) + len(HEAD_END)
        if end >= len(HEAD_END):
            whole, rest = bytes(partial[:end]), bytes(partial[end:])
            partial.clear()
            return whole, rest
        if len(partial) >= self._limit_bytes:
            raise HeadTooLarge
        if self._check is not None:
            self._check(partial, seen)
        return None

    def take(self) -> bytes:
        """Give up the held bytes."""
        held = bytes(self._partial)
        self._partial.clear()
        return held
