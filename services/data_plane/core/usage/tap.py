"""The tap beside an answer: takes every piece as it passes, and reads the usage when the answer is over.

Nothing here changes or delays what is forwarded, and no text of an answer leaves this package: only counts
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
"""Pieces are looked at so many bytes at a time: most cost one append and one comparison."""

OPENAI: Final = SHAPES["openai"]


class UsageTap:
    """What is kept of one answer.

    Args:
        first: the first piece, if it is there already.
        frames: what reads a WebSocket; None for a body.
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

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes >= BATCH_BYTES:
            self._look()

    def _look(self) -> None:
        """Let go of everything that tells no usage."""
        data = b"".join(self._pieces)
        self._pieces, self._waiting_bytes = [], 0
        if self._frames is not None:
            self._frames.feed(data)
            return
        if self._payload is None:
            self._payload = Payload()
        self._payload.feed(data)

    def read(self, shape: Shape = OPENAI, *, is_whole: bool = True) -> Reading:
        """Read what was kept; to be called once, when the answer is over. Does not raise, whatever came.

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
"""What is kept of one answer: of a short one that came in one piece, nothing but that piece."""

_SWITCHING, _OK = 101, 200
_POLLED: Final = "responses"


def tap_for(
    status: int, method: bytes, label: str, kept: Sequence[bytes], provider: Provider
) -> tuple[bool, UsageTap | None]:
    """Tell whether an answer to anything but a POST is to be tapped, with the tap where it is no plain one.

    Args:
        status: of the answer.
        method: of the request.
        label: of the request's route. Answers that were made in the background are polled by GET.
        kept: the lines of the answer's head that pass.
        provider: whose answer it is.
    """
    if status == _OK:
        return method == b"GET" and label.startswith(_POLLED), None
    if status == _SWITCHING:
        return True, UsageTap(frames=frames_of(kept, SHAPES[provider.usage_shape]))
    return False, None
