"""A response held back and judged as a whole: one that may refuse the key, or the refusal of a WebSocket.

The body of a 401 may show parts of the key, so the body never passes. The gateway's answer names the refusing
party and, where the provider gives another reason than the key, the reason. A response of another status
passes as it came, unless its body refuses the key or shows the key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from services.data_plane.core.refused import Refused
from services.data_plane.core.usage.codings import BadCoding, Bomb, BoundedInflater
from shared.refusals import refusal_of
from shared.rejections import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.data_plane.core.integration import CompiledIntegration
    from services.data_plane.core.response_head import ResponseHead

MAX_HELD_BYTES: Final = 64 * 1024
"""Of the body; later bytes are not awaited."""
MAX_TEXT_BYTES: Final = 256 * 1024
MAX_RETRY_AFTER_SECONDS: Final = 60
"""Some clients sleep for exactly the stated time."""
FIRST_KEY_BYTES, LAST_KEY_BYTES = 6, 4
"""Providers repeat the ends of a key; a reason with this many bytes of either end is withheld."""
TELLING_BYTES: Final = 8

UNAUTHORIZED: Final = 401
_WITHHELD: Final[dict[str, str]] = {
    "permission": "the key may not do this.",
    "request": "the provider does not take such a request.",
    "account": "the provider account does not allow it.",
    "place": "the address or country that asks is not allowed.",
}
"""Said where the provider's own sentence is missing, or shows a part of the key."""
_RETRY_AFTER: Final = re.compile(rb"(?i)\A[ \t]*retry-after[ \t]*:[ \t]*(\d{1,9})[ \t]*\Z")


class HeldResponse:
    """The response so far. The relay passes every piece of the body here.

    Attributes:
        head: of the response.
        key_told: whether the head holds the key.
        spans: which (start, end) of the wire's bytes are payload; None when all of them are.
    """

    __slots__ = ("_is_websocket", "_retry_after", "_size", "_wire", "head", "key_told", "spans")

    def __init__(self, head: ResponseHead, *, is_websocket: bool, key_told: bool = False) -> None:
        self.head = head
        self.key_told = key_told
        self.spans: list[tuple[int, int]] | None = None
        self._is_websocket = is_websocket
        self._retry_after = _retry_after(head.kept)
        self._wire: list[bytes] = []
        self._size = 0

    @property
    def wire(self) -> bytes:
        """Give what has come behind the head, the bytes as received."""
        return b"".join(self._wire)

    def take(self, data: bytes, spans: Sequence[tuple[int, int]] | None) -> bool:
        """Keep a piece of the body; False when no more is waited for.

        Args:
            data: as it came.
            spans: the (start, end) of payload in the data; None for payload alone.
        """
        if spans is not None:
            shifted = [(start + self._size, end + self._size) for start, end in spans]
            self.spans = [*(self.spans or ()), *shifted]
        self._wire.append(data)
        self._size += len(data)
        return self._size < MAX_HELD_BYTES

    def _payload(self) -> bytes:
        wire = self.wire
        body = wire if self.spans is None else b"".join([wire[start:end] for start, end in self.spans])
        return body[:MAX_HELD_BYTES]

    def judged(self, integration: CompiledIntegration) -> Refused | None:
        """Say what the box gets in place of the response; None for one that passes as it came."""
        body, status, provider = _uncompressed(self._payload()), self.head.status, integration.provider
        refusal = refusal_of(status, body, provider.refusals)
        if refusal.meaning == "key" and status in provider.key_statuses:
            return Refused(Rejection.UPSTREAM_KEY_REJECTED)
        if self._is_websocket:
            return self._upgrade_refused(refusal.reason, integration)
        if status != UNAUTHORIZED and not integration.key_search.finds(body):
            return None
        reason = _tellable(refusal.reason, integration)
        if refusal.meaning == "unknown":
            return Refused(Rejection.UPSTREAM_REFUSED_UNEXPLAINED, reason or "no reason given")
        return Refused(Rejection.UPSTREAM_REQUEST_REFUSED, reason or _WITHHELD[refusal.meaning])

    def _upgrade_refused(self, reason: str, integration: CompiledIntegration) -> Refused:
        told = _tellable(reason, integration)
        status = f"status {self.head.status}"
        detail = f"{status}: {told}" if told else status
        return Refused(Rejection.UPSTREAM_UPGRADE_REFUSED, detail, retry_after_seconds=self._retry_after)


def _tellable(reason: str, integration: CompiledIntegration) -> str:
    """Give the provider's sentence unless the key, or a part of the key's end, is shown."""
    told = "".join(filter(str.isprintable, reason))  # before the search: half a surrogate has no bytes
    raw = told.encode()
    key = integration.key_bytes
    ends = (key[:FIRST_KEY_BYTES], key[-LAST_KEY_BYTES:])
    shows_key = integration.key_search.finds(raw) or any(raw.find(end) >= 0 for end in ends)
    return "" if shows_key or "***" in told else told


def _uncompressed(body: bytes) -> bytes:
    """Inflate a compressed body; an unreadable body says nothing."""
    if body.lstrip()[:1] in {b"{", b"[", b"<", b""}:
        return body
    pieces, size = [], 0
    try:
        for piece in BoundedInflater(body[:TELLING_BYTES]).inflate(body):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_TEXT_BYTES:
                break
    except (BadCoding, Bomb, ImportError):
        return b""
    return b"".join(pieces)


def _retry_after(lines: Sequence[bytes]) -> int | None:
    for line in b"\r\n".join(lines).split(b"\r\n"):
        match = _RETRY_AFTER.match(line)
        if match is not None:
            return min(int(match[1]), MAX_RETRY_AFTER_SECONDS)
    return None
