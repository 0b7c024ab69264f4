"""Where a WebSocket's messages begin and end, and when a conversation is between two turns (RFC 6455 §5).

A draining process ends a WebSocket by a Close frame. A Close frame may only stand between two frames, and
costs a turn unless no turn is under way. No payload is kept or changed here.
"""

from __future__ import annotations

from typing import Final

SERVICE_RESTART: Final = 1012
"""The status code for a box: the service restarts, and the client may connect again (IANA's registry)."""
GOING_AWAY: Final = 1001
"""The status code for a provider, as of a client that leaves (RFC 6455 §7.4.1)."""
SETTLE_SECONDS: Final = 1.0
"""Without a message for so long after the end of a turn, a conversation is between two turns."""
QUIET_SECONDS: Final = 30.0
"""Without a message for so long, a conversation counts as between two turns although no end was seen."""

_FIN, _KIND = 0x80, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_FIRST_CONTROL, _CLOSE = 0x08, 0x08
_TWO_BYTES, _EIGHT_BYTES, _MOST_OF_CONTROL = 126, 127, 125
_MASK_BYTES: Final = 4


class MessageBorders:
    """Follows the frames of a WebSocket in one direction.

    Args:
        masked: whether the sender masks its frames: a client does, a server does not (RFC 6455 §5.1).

    Attributes:
        messages: how many messages have passed whole. Control frames are no messages.
    """

    __slots__ = ("_is_last", "_is_lost", "_is_open", "_left", "_masked", "_rest", "messages")

    def __init__(self, *, masked: bool) -> None:
        self._masked = masked
        self._rest = b""  # the beginning of a frame's head
        self._left = 0  # of the frame under way, the mask included
        self._is_last = False  # that frame is the last of its message
        self._is_open = False  # a message has begun and not ended
        self._is_lost = False  # the bytes are no frames, or the sender has sent its Close
        self.messages = 0

    @property
    def at_border(self) -> bool:
        """Whether neither a frame nor a message is under way, and a Close frame may follow."""
        return not (self._left or self._is_open or self._is_lost or self._rest)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._is_lost:
            return
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, size = 0, len(data)
        while True:
            if self._left > size - at:
                self._left -= size - at
                return
            at += self._left
            self._left = 0
            if self._is_last:
                self._is_last = self._is_open = False
                self.messages += 1
            if at == size:
                return
            at = self._begin_frame(data, at)
            if at < 0:
                return

    def _begin_frame(self, data: bytes, at: int) -> int:
        """Read a frame's head (RFC 6455 §5.2). Gives the index behind the head; -1 without a whole head."""
        if len(data) < at + 2:
            self._rest = data[at:]
            return -1
        first, second, end = data[at], data[at + 1], at + 2
        length, kind = second & _LENGTH, first & _KIND
        is_control = kind >= _FIRST_CONTROL
        if (
            kind == _CLOSE
            or bool(second & _MASKED) != self._masked
            or (is_control and length > _MOST_OF_CONTROL)
        ):
            self._is_lost = True
            return -1
        if length >= _TWO_BYTES:
            end += 2 if length == _TWO_BYTES else 8
            if len(data) < end:
                self._rest = data[at:]
                return -1
            length = int.from_bytes(data[at + 2 : end])
        self._left = length + _MASK_BYTES if self._masked else length
        if not is_control:
            self._is_open, self._is_last = True, bool(first & _FIN)
        return end


class Conversation:
    """A WebSocket's messages in both directions."""

    __slots__ = ("_box", "_box_spoke_last", "_provider", "_quiet_since", "_seen_messages")

    def __init__(self) -> None:
        self._box, self._provider = MessageBorders(masked=True), MessageBorders(masked=False)
        self._box_spoke_last = False
        self._quiet_since: float | None = None
        self._seen_messages = 0

    def take_from_box(self, data: bytes) -> None:
        """Follow the next bytes of the box."""
        before = self._box.messages
        self._box.feed(data)
        if self._box.messages != before:
            self._box_spoke_last = True

    def take_from_provider(self, data: bytes) -> None:
        """Follow the next bytes of the provider."""
        before = self._provider.messages
        self._provider.feed(data)
        if self._provider.messages != before:
            self._box_spoke_last = False

    @property
    def at_border(self) -> bool:
        """Whether a Close frame may be sent in both directions now."""
        return self._box.at_border and self._provider.at_border

    def is_between_turns(self, now: float, *, turn_ended: bool) -> bool:
        """Whether no turn is under way. To be asked again and again, because silence is measured here.

        Args:
            now: seconds of a monotonic clock.
            turn_ended: the provider's latest message is known to end a turn.
        """
        messages = self._box.messages + self._provider.messages
        if messages != self._seen_messages or self._quiet_since is None:
            self._seen_messages, self._quiet_since = messages, now
        if not self.at_border:
            return False
        nothing_asked = not self._box.messages or (turn_ended and not self._box_spoke_last)
        return now - self._quiet_since >= (SETTLE_SECONDS if nothing_asked else QUIET_SECONDS)


def write_close(code: int, reason: bytes, mask: bytes = b"") -> bytes:
    """Write a Close frame (RFC 6455 §5.5.1), with `mask` (four bytes) as a client must."""
    payload = code.to_bytes(2) + reason
    if not mask:
        return bytes([_FIN | _CLOSE, len(payload)]) + payload
    masked = bytes(byte ^ mask[at % _MASK_BYTES] for at, byte in enumerate(payload))
    return bytes([_FIN | _CLOSE, _MASKED | len(payload)]) + mask + masked
