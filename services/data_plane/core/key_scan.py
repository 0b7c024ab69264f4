"""Watches an error body on its way to the box for the org's key, which a hostile endpoint may echo.

Reads what the body carries, so that a key cut over two chunks is found, and the wire too, so that a chunk
extension hides none. Holds back only what may be the beginning of the key. A compressed body is not read:
nothing here decompresses.
"""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[int, int]


class KeyFound(Exception):  # noqa: N818  # a finding about the provider's bytes
    """The next bytes would have carried the key. Carries nothing."""


class KeyScan:
    """Passes a stream through and raises before the key is complete."""

    __slots__ = ("_held", "_held_spans", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._held = b""
        self._held_spans: list[Span] = []

    def feed(self, data: bytes, spans: Sequence[Span] | None = None) -> bytes:
        """Give the bytes that may leave now.

        Args:
            data: the next bytes of the wire.
            spans: which (start, end) of them are payload, in order; None when all of them are.

        Raises:
            KeyFound: the payload or the wire so far holds the key.
        """
        shift = len(self._held)
        data = self._held + data
        new = (
            [(start + shift, end + shift) for start, end in spans]
            if spans is not None
            else [(shift, len(data))]
        )
        spans = self._held_spans + new
        payload = b"".join([data[start:end] for start, end in spans])
        if self._key in payload or self._key in data:
            raise KeyFound
        cut = _position(len(payload) - _overlap(payload, self._key), spans, len(data))
        cut = min(cut, len(data) - _overlap(data, self._key))
        self._held = data[cut:]
        self._held_spans = [(max(start, cut) - cut, end - cut) for start, end in spans if end > cut]
        return data[:cut]

    def finish(self) -> bytes:
        """Give what was held back: the stream ended, so it was no key."""
        held, self._held, self._held_spans = self._held, b"", []
        return held


def _overlap(data: bytes, key: bytes) -> int:
    """How many of the last bytes of `data` are a beginning of `key`."""
    for size in range(min(len(data), len(key) - 1), 0, -1):
        if data.endswith(key[:size]):
            return size
    return 0


def _position(offset: int, spans: Sequence[Span], size: int) -> int:
    """Where on the wire the payload's byte `offset` stands; `size` when it is still to come."""
    for start, end in spans:
        if offset < end - start:
            return start + offset
        offset -= end - start
    return size
