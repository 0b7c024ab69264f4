"""The tap beside an answer: takes every passing piece, and reads the usage at the end of the answer.

Nothing here changes or delays the forwarded bytes, and no text of an answer leaves this package: only counts
and the provider's own short names do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.data_plane.core.usage.frames import Frames, frames_of
from services.data_plane.core.usage.payload import Payload
from services.data_plane.core.usage.shape import Shape
from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.tokens import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.providers import Provider

BATCH_BYTES: Final = 2048
"""Pieces are looked at so many bytes at a time: most pieces cost a single append and a single comparison."""

OPENAI: Final = SHAPES["openai"]


class UsageTap:
    """The kept parts of an answer.

    Args:
        first: the first piece, if already received.
        frames: the reader of a WebSocket's frames; None for a body.
    """

    __slots__ = ("_frames", "_payload", "_pieces", "_waiting_bytes")

    def __init__(self, first: bytes = b"", frames: Frames | None = None) -> None:
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._payload: Payload | None = None
        self._frames = frames
        if first:
            self.take(first)

    @property
    def held_bytes(self) -> int:
        """How much is kept now."""
        kept = self._payload.held_bytes if self._payload is not None else 0
        return self._waiting_bytes + kept + (self._frames.held_bytes if self._frames is not None else 0)

    @property
    def turn_ended(self) -> bool:
        """Whether the latest message of a WebSocket is known to end a turn; False where that is unknown."""
        self._look()
        return self._frames is not None and self._frames.turn_ended

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes >= BATCH_BYTES:
            self._look()

    def _look(self) -> None:
        """Drop everything without a usage."""
        data = b"".join(self._pieces)
        self._pieces, self._waiting_bytes = [], 0
        if self._frames is not None:
            self._frames.feed(data)
            return
        if self._payload is None:
            self._payload = Payload()
        self._payload.feed(data)

    def read(self, shape: Shape = OPENAI, *, is_whole: bool = True) -> Reading:
        """Read the kept parts; to be called once, when the answer is over. Does not raise, whatever came.

        Args:
            shape: how the provider states tokens.
            is_whole: whether the answer reached its end.
        """
        self._look()
        if self._frames is not None:
            return self._frames.read()
        assert self._payload is not None
        return shape.read(self._payload.evidence(is_whole=is_whole))


Tapped = UsageTap | bytes
"""The kept parts of an answer: for a short answer in a single piece, nothing but the piece."""

_SWITCHING, _OK = 101, 200
_POLLED: Final = "responses"


def tap_for(
    status: int, method: bytes, label: str, kept: Sequence[bytes], provider: Provider
) -> tuple[bool, UsageTap | None]:
    """Tell whether an answer to any method but POST is to be tapped, with the tap if special.

    Args:
        status: of the answer.
        method: of the request.
        label: of the request's route. Background answers are polled by GET.
        kept: the passed lines of the answer's head.
        provider: the provider of the answer.
    """
    if status == _OK:
        return method == b"GET" and label.startswith(_POLLED), None
    if status == _SWITCHING:
        return True, UsageTap(frames=frames_of(kept, SHAPES[provider.usage_shape]))
    return False, None
