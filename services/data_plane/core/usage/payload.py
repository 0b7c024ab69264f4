"""From the wire to the content: an answer's body without its chunks and its compression."""

from __future__ import annotations

import re
from itertools import repeat
from typing import Final

from services.data_plane.core.framing import NOT_ENDED, BadFraming, ChunkedFraming
from services.data_plane.core.usage.codings import BadCoding, Bomb, BoundedInflater
from services.data_plane.core.usage.kept import BYTE_ORDER_MARK, Evidence, Keeper, keeper_of
from services.data_plane.core.usage.tokens import NoUsage

TELLING_BYTES: Final = 64
"""The number of bytes of a body for telling its framing, and of its content for telling the coding."""
EMPTY_LINES: Final = b" \t\r\n"
SLICE_BYTES: Final = 16 * 1024
"""The size of a step in inflating; a short answer is inflated after being written."""

_CHUNK_LINE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}[ \t]*+(?:;[^\r\n]*+)?\r\n")

_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class Payload:
    """Takes a passing body, in any pieces, and keeps the parts with its usage."""

    __slots__ = (
        "_chunks",
        "_failed",
        "_inflater",
        "_is_over",
        "_keeper",
        "_packed",
        "_packed_bytes",
        "_unsniffed",
        "_untold",
    )

    def __init__(self) -> None:
        self._chunks: ChunkedFraming | None = None
        self._is_over = False  # behind the last chunk
        self._unsniffed: bytes | None = b""  # the first bytes, until they have told the framing
        self._untold = b""  # the first bytes of the content, until they have told the coding
        self._inflater: BoundedInflater | None = None
        self._packed: list[bytes] = []
        self._packed_bytes = 0
        self._keeper: Keeper | None = None
        self._failed: NoUsage | None = None

    @property
    def held_bytes(self) -> int:
        """How much is kept now."""
        kept = self._keeper.held_bytes if self._keeper is not None else 0
        return kept + self._packed_bytes + len(self._unsniffed or b"") + len(self._untold)

    def feed(self, raw: bytes) -> None:
        """Take the next bytes of the wire."""
        if self._failed is not None:
            return
        if self._unsniffed is not None:
            raw = self._unsniffed + raw
            if len(raw) < TELLING_BYTES:
                self._unsniffed = raw
                return
            self._begin(raw)
        self._pass(raw)

    def _begin(self, raw: bytes) -> None:
        self._unsniffed = None
        if _CHUNK_LINE.match(raw):
            self._chunks = ChunkedFraming(padded=True)
            self._chunks.spans = []

    def _pass(self, raw: bytes) -> None:
        payload = raw if self._chunks is None else self._unchunked(self._chunks, raw)
        if payload:
            self._pass_payload(payload)

    def _pass_payload(self, payload: bytes) -> None:
        if self._inflater is not None:
            self._packed.append(payload)
            self._packed_bytes += len(payload)
            if self._packed_bytes >= SLICE_BYTES:
                self._inflate(self._inflater)
        elif self._keeper is not None:
            self._keeper.feed(payload)
        else:
            self._untold += payload
            if len(self._untold) >= TELLING_BYTES:
                self._tell()

    def _tell(self) -> None:
        """Tell by its first bytes whether a payload is text, and which kind of text."""
        beginning, self._untold = self._untold, b""
        if not beginning.strip(EMPTY_LINES) or self._begin_text(beginning):
            return  # empty lines keep a connection open while a model still thinks
        if _is_plain(beginning[:TELLING_BYTES]):
            self._fail(NoUsage.ABSENT)
            return
        try:
            self._inflater = BoundedInflater(beginning)
        except ImportError:  # the library is not installed
            self._fail(NoUsage.UNREADABLE)
            return
        self._pass_payload(beginning)

    def _begin_text(self, text: bytes) -> bool:
        """Begin keeping a text; False for bytes unlike any provider's text."""
        self._keeper = keeper_of(text)
        if self._keeper is None:
            return False
        self._keeper.feed(text.removeprefix(BYTE_ORDER_MARK))
        return True

    def _unchunked(self, chunks: ChunkedFraming, raw: bytes) -> bytes:
        if self._is_over:
            return b""
        if chunks.at_border and (whole := _whole_chunks(raw)) is not None:
            return whole
        try:
            self._is_over = chunks.feed(raw) != NOT_ENDED
        except BadFraming:
            self._fail(NoUsage.UNREADABLE)
            return b""
        return b"".join([raw[start:end] for start, end in chunks.spans or ()])

    def _inflate(self, inflater: BoundedInflater) -> None:
        packed = b"".join(self._packed)
        self._packed, self._packed_bytes = [], 0
        try:
            for text in inflater.inflate(packed):
                if self._keeper is not None:
                    self._keeper.feed(text)
                elif text.strip(EMPTY_LINES) and not self._begin_text(text):
                    self._fail(NoUsage.UNREADABLE)
                    return
        except BadCoding:
            self._fail(NoUsage.UNREADABLE)
        except Bomb:
            self._fail(NoUsage.TOO_LONG)

    def _fail(self, why: NoUsage) -> None:
        self._failed = why
        self._keeper = self._inflater = None
        self._packed, self._packed_bytes = [], 0

    def evidence(self, *, is_whole: bool) -> Evidence:
        """Give the kept parts of a finished answer."""
        if self._unsniffed is not None:
            beginning = self._unsniffed
            self._begin(beginning)
            self._pass(beginning)
        if self._untold:
            self._tell()
        if self._inflater is not None and self._packed:
            self._inflate(self._inflater)
        if self._failed is not None:
            return Evidence(self._failed)
        if self._keeper is not None:
            return self._keeper.evidence(is_whole=is_whole)
        return Evidence(NoUsage.ABSENT if is_whole else NoUsage.CUT)


def _whole_chunks(raw: bytes) -> bytes | None:
    """Give the content of whole chunks without line ends of their own; None for anything else.

    A stream of events is nearly always such chunks. A few calls for all of them cost a fifth of a walk from
    chunk to chunk.
    """
    parts = raw.split(b"\r\n")
    if parts[-1] or not len(parts) % 2:
        return None
    payloads = parts[1::2]
    try:
        sizes = list(map(int, parts[:-1:2], repeat(16)))
    except ValueError:
        return None
    if 0 in sizes or sizes != list(map(len, payloads)):
        return None
    return b"".join(payloads)


def _is_plain(beginning: bytes) -> bool:
    """Whether bytes are text, e.g. a transcription, maybe cut inside a character."""
    for cut in range(4):
        try:
            text = beginning[: len(beginning) - cut].decode()
        except UnicodeDecodeError:
            continue
        return not _CONTROL.search(text)
    return False
