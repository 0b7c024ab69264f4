"""Searches a provider's response for the org's key, which an endpoint may echo.

A head is searched whole, before any part of the head is kept, logged or passed. A body is searched on its way
to the box: the payload, so a key split over two chunks is found, and the wire too, so a chunk extension hides
no key. A body is held back only where its last bytes may be the beginning of the key. A compressed body is
not read: nothing here decompresses.

The key is searched for in the spellings of an innocent server: the plain key, and the key as spelled in a
URL, in JSON, in HTML, in base64 (an echoed `Basic` credential) and in hexadecimal digits. A malicious server
can spell the key in a thousand other ways. No search stops such a server.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from services.data_plane.core.attribution import NOT_IN_A_LABEL, Attribution

Span = tuple[int, int]

MAX_CLEAN_NAMES: Final = 32
TELLING_START_BYTES: Final = 8
"""So many bytes of a key's beginning in a label are taken for the key."""

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class KeyFound(Exception):  # noqa: N818  # a finding about the provider's bytes
    """The next bytes would have carried the key. Carries nothing."""


class KeySearch:
    """Finds a key in whole pieces of a response. The other spellings are written when first needed."""

    __slots__ = ("_clean_names", "_key", "_spellings", "_start")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._spellings: tuple[bytes, ...] = ()
        self._clean_names: set[str] = set()
        self._start = NOT_IN_A_LABEL.sub(b"_", key[:TELLING_START_BYTES]).decode("ascii")

    @property
    def spellings(self) -> tuple[bytes, ...]:
        """Every searched spelling, the key itself first. None is shorter than the key."""
        if not self._spellings:
            self._spellings = _spellings_of(self._key)
        return self._spellings

    def finds(self, data: bytes) -> bool:
        """Whether `data` holds the key in a known spelling, or percent-encoded in any way."""
        for spelling in self.spellings:
            if data.find(spelling) >= 0:
                return True
        return data.find(b"%") >= 0 and unquote_to_bytes(data).find(self._key) >= 0

    def clean_name(self, name: str) -> str:
        """Give a name out of a response, e.g. a model's; empty for a name that holds the key.

        Some clean names are remembered: a provider states the same ones in response after response.
        """
        if name in self._clean_names:
            return name
        if self.finds(name.encode()):
            return ""
        if len(self._clean_names) >= MAX_CLEAN_NAMES:
            self._clean_names.clear()
        self._clean_names.add(name)
        return name

    def clean_labels(self, labels: Attribution) -> Attribution:
        """Give a request's labels without those that show the key.

        A label may be a cut header, so the start of the key is enough, behind whatever letters.
        """
        if not any(self._start in label for label in labels):
            return labels
        return Attribution(*("" if self._start in label else label for label in labels))


def _spellings_of(key: bytes) -> tuple[bytes, ...]:
    text = key.decode("latin-1")
    spellings = [
        key,
        quote(text, safe="", encoding="latin-1").encode(),
        quote(text, safe="", encoding="latin-1").lower().encode(),
        json.dumps(text)[1:-1].encode(),
        text.replace("/", "\\/").encode("latin-1"),
        html.escape(text).encode("latin-1"),
        key.hex().encode(),
        key.hex().upper().encode(),
    ]
    for shift in range(3):
        spelling = _base64_core(key, shift)
        spellings += [spelling, spelling.translate(_URL_SAFE)]
    return tuple(dict.fromkeys(spellings))


def _base64_core(key: bytes, shift: int) -> bytes:
    """Give the base64 digits determined by the key alone, after `shift` other bytes."""
    encoded = b64encode(b"\0" * shift + key)
    first = -(-shift * 8 // 6)  # the first digit without a bit of what precedes the key
    return encoded[first : (shift + len(key)) * 8 // 6]


class KeyScan:
    """Passes a body through and raises before the key is complete.

    Args:
        spellings: of the key.
    """

    __slots__ = ("_held", "_held_spans", "_spellings")

    def __init__(self, spellings: Sequence[bytes]) -> None:
        self._spellings = spellings
        self._held = b""
        self._held_spans: list[Span] = []

    def feed(self, data: bytes, spans: Sequence[Span] | None = None) -> bytes:
        """Give the bytes free to leave now.

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
        for spelling in self._spellings:
            if payload.find(spelling) >= 0 or data.find(spelling) >= 0:
                raise KeyFound
        cut = _position(len(payload) - _longest_overlap(payload, self._spellings), spans, len(data))
        cut = min(cut, len(data) - _longest_overlap(data, self._spellings))
        self._held = data[cut:]
        self._held_spans = [(max(start, cut) - cut, end - cut) for start, end in spans if end > cut]
        return data[:cut]

    def finish(self) -> bytes:
        """Give the held bytes: the stream ended, so the bytes were no key."""
        held, self._held, self._held_spans = self._held, b"", []
        return held


def _longest_overlap(data: bytes, spellings: Sequence[bytes]) -> int:
    return max([_overlap(data, spelling) for spelling in spellings])


def _overlap(data: bytes, spelling: bytes) -> int:
    """How many of the last bytes of `data` are a beginning of `spelling`."""
    start = max(len(data) - len(spelling) + 1, 0)
    while (start := data.find(spelling[:1], start)) >= 0:
        if spelling.startswith(data[start:]):
            return len(data) - start
        start += 1
    return 0


def _position(offset: int, spans: Sequence[Span], size: int) -> int:
    """Where on the wire the payload's byte `offset` stands; `size` for a byte still to come."""
    for start, end in spans:
        if offset < end - start:
            return start + offset
        offset -= end - start
    return size
