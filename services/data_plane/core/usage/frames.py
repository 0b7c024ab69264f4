"""A WebSocket's server side: its messages with JSON, as far as needed for usages (RFC 6455 §5).

Every answer of a conversation states its own usage, so the usages of all messages are added up. Messages
compressed by permessage-deflate are inflated (RFC 7692 §7.2.2), because each message builds on the previous
messages.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

from services.data_plane.core.usage.kept import Text
from services.data_plane.core.usage.shape import Shape
from services.data_plane.core.usage.tokens import NOTHING, NoUsage, Reading, Usage, added

MAX_PACKED_BYTES: Final = 1024 * 1024
"""A longer compressed message ends the reading; the WebSocket itself goes on."""
MAX_INFLATED_BYTES: Final = 16 * 1024 * 1024
OUT_BYTES: Final = 64 * 1024

_FIN, _COMPRESSED, _OTHER_EXTENSIONS = 0x80, 0x40, 0x30
_MASKED, _KIND = 0x80, 0x0F
_CONTINUATION, _TEXT, _BINARY, _FIRST_CONTROL = 0, 1, 2, 8
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_DEFLATE_END: Final = b"\x00\x00\xff\xff"


class Deflate:
    """permessage-deflate from the server, as agreed in the handshake.

    Args:
        keeps_window: whether a message builds on those before (`server_no_context_takeover` is absent).
    """

    __slots__ = ("_keeps_window", "_object")

    def __init__(self, *, keeps_window: bool) -> None:
        self._keeps_window = keeps_window
        self._object: Any = zlib.decompressobj(-zlib.MAX_WBITS)

    def inflate(self, message: bytes) -> Text:
        """Inflate a message; raises `zlib.error`, also beyond the size limit."""
        text, size, data = Text(), 0, message + _DEFLATE_END
        while data:
            out = self._object.decompress(data, OUT_BYTES)
            size += len(out)
            if size > MAX_INFLATED_BYTES:
                raise zlib.error
            text.add(out)
            data = self._object.unconsumed_tail
        if not self._keeps_window or self._object.eof:
            self._object = zlib.decompressobj(-zlib.MAX_WBITS)
        return text


class Frames:
    """Reads the frames of a WebSocket.

    Args:
        shape: how the provider states tokens in a message.
        deflate: set when the handshake agreed on permessage-deflate.
        is_readable: False after agreement on another extension: nothing is read then.

    Attributes:
        turn_ended: whether the latest whole message is known to end a turn of the conversation.
    """

    __slots__ = (
        *("_deflate", "_failed", "_is_last", "_is_packed", "_is_text", "_last", "_left", "_packed"),
        *("_packed_bytes", "_partly", "_rest", "_shape", "_skips", "_text", "_total"),
        "turn_ended",
    )

    def __init__(self, shape: Shape, deflate: Deflate | None = None, *, is_readable: bool = True) -> None:
        self._shape = shape
        self._deflate = deflate
        self._failed = not is_readable
        self._rest = b""  # the beginning of a frame's head
        self._left = 0  # of the payload of the frame under way
        self._skips = False  # that frame carries no text
        self._is_last = self._is_text = self._is_packed = False  # of the message under way
        self._text = Text()
        self._packed: list[bytes] = []
        self._packed_bytes = 0
        self._total: Usage | None = None
        self._last: Reading | None = None
        self._partly: NoUsage | None = None
        self.turn_ended = False

    @property
    def held_bytes(self) -> int:
        """How much is kept now."""
        return len(self._rest) + self._text.held_bytes + self._packed_bytes

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the WebSocket."""
        if self._failed:
            return
        data, self._rest = self._rest + data, b""
        at, size = 0, len(data)
        while at < size and not self._failed:
            if not self._left:
                begin = self._begin_frame(data, at)
                if begin < 0:
                    self._rest = data[at:]
                    return
                at = begin
                continue
            end = min(at + self._left, size)
            if end > at and not self._skips:
                self._add(data[at:end])
            self._left -= end - at
            at = end
            if not self._left and self._is_last and not self._skips:
                self._end_message()

    def _begin_frame(self, data: bytes, at: int) -> int:
        """Read a frame's head (RFC 6455 §5.2). Gives the index behind the head; -1 for a partial head."""
        if len(data) < at + 2:
            return -1
        first, length, end = data[at], data[at + 1], at + 2
        if length & _MASKED or first & _OTHER_EXTENSIONS:
            self._failed = True  # a server masks nothing, and nobody agreed on another extension
            return end
        if length >= _TWO_BYTES:
            end += 2 if length == _TWO_BYTES else 8
            if len(data) < end:
                return -1
            length = int.from_bytes(data[at + 2 : end])
        kind = first & _KIND
        self._left = length
        self._skips = kind >= _FIRST_CONTROL
        if not self._skips:
            self._is_last = bool(first & _FIN)
            if kind != _CONTINUATION:
                self._is_text = kind == _TEXT or (kind == _BINARY and self._shape.binary_messages)
                self._is_packed = bool(first & _COMPRESSED)
                self._failed = self._is_packed and self._deflate is None
        if not length and self._is_last and not self._skips and not self._failed:
            self._end_message()
        return end

    def _add(self, data: bytes) -> None:
        if self._is_packed:
            self._packed_bytes += len(data)
            self._failed = self._packed_bytes > MAX_PACKED_BYTES
            self._packed.append(data)
        elif self._is_text:
            self._text.add(data)

    def _end_message(self) -> None:
        text, self._text = self._text, Text()
        self.turn_ended = False
        if self._is_packed:
            packed, self._packed, self._packed_bytes = b"".join(self._packed), [], 0
            assert self._deflate is not None
            try:
                text = self._deflate.inflate(packed)
            except zlib.error:
                self._failed = True
                return
        if self._is_text and text.mentions_usage():
            self._note(text)

    def _note(self, text: Text) -> None:
        found = text.object()
        reading = self._shape.read_message(text.members() if found is None else found)
        if reading is None:
            return
        self._last, self.turn_ended = reading, True
        if isinstance(reading.usage, Usage):
            self._total = added(self._total or NOTHING, reading.usage)
        elif found is None:
            self._partly = NoUsage.TOO_LONG
        elif reading.usage is not NoUsage.ABSENT:
            self._partly = reading.usage

    def read(self) -> Reading:
        """Give the sum over all messages."""
        unread = NoUsage.UNREADABLE if self._failed else self._partly
        if self._total is None or self._last is None:
            return Reading(unread or NoUsage.ABSENT)
        return self._last._replace(usage=self._total, partly=unread)


def frames_of(lines: Sequence[bytes], shape: Shape) -> Frames:
    """Make the reader of a WebSocket from the header lines of the 101 (RFC 7692 §7.1)."""
    values = [line.partition(b":")[2] for line in b"\r\n".join(lines).split(b"\r\n") if _is_extensions(line)]
    extensions = [part.strip().lower() for value in values for part in value.split(b",") if part.strip()]
    if not extensions:
        return Frames(shape)
    name, *parameters = (part.strip() for part in extensions[0].split(b";"))
    if len(extensions) > 1 or name != b"permessage-deflate":
        return Frames(shape, is_readable=False)
    return Frames(shape, Deflate(keeps_window=b"server_no_context_takeover" not in parameters))


def _is_extensions(line: bytes) -> bool:
    return line.partition(b":")[0].strip().lower() == b"sec-websocket-extensions"
