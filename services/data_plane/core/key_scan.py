"""Watches an error body on its way to the box for the org's key, which a hostile endpoint may echo."""

from __future__ import annotations


class KeyFound(Exception):  # noqa: N818  # a finding about the provider's bytes
    """The next bytes would have carried the key. Carries nothing."""


class KeyScan:
    """Passes a stream through, holding back only what may be the beginning of the key."""

    __slots__ = ("_held", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Give the bytes that may leave now; raises `KeyFound` before the key is complete."""
        data = self._held + data
        if self._key in data:
            raise KeyFound
        held = _overlap(data, self._key)
        self._held = data[len(data) - held :] if held else b""
        return data[: len(data) - held] if held else data

    def finish(self) -> bytes:
        """Give what was held back: the stream ended, so it was no key."""
        held, self._held = self._held, b""
        return held


def _overlap(data: bytes, key: bytes) -> int:
    """How many of the last bytes of `data` are a beginning of `key`."""
    for size in range(min(len(data), len(key) - 1), 0, -1):
        if data.endswith(key[:size]):
            return size
    return 0
