"""A WebSocket's messages are read frame by frame, compressed or not, and their usages are added up."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from services.data_plane.core.usage.frames import Deflate, Frames, frames_of
from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.tokens import NoUsage, Reading, Usage

OPENAI = SHAPES["openai"]
TEXT, CONTINUATION, BINARY, PING = 1, 0, 2, 9


def frame(payload: bytes, kind: int = TEXT, *, first: int = 0x80) -> bytes:
    """Write a server's frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return bytes([first | kind, size]) + payload
    if size < 1 << 16:
        return bytes([first | kind, 126]) + size.to_bytes(2) + payload
    return bytes([first | kind, 127]) + size.to_bytes(8) + payload


def completed(read: int, wrote: int, **more: Any) -> bytes:
    usage = {"input_tokens": read, "output_tokens": wrote, "total_tokens": read + wrote}
    answer = {"id": "r", "model": "m", **more, "usage": usage}
    return json.dumps({"type": "response.completed", "response": answer}).encode()


CREATED = b'{"type":"response.created","response":{"id":"r","usage":null}}'
DELTA = b'{"type":"response.output_text.delta","delta":"\\"usage\\":{\\"input_tokens\\":9}"}'


def read(wire: bytes, size: int, frames: Frames) -> Reading:
    for at in range(0, len(wire), size):
        frames.feed(wire[at : at + size])
    return frames.read()


@pytest.mark.parametrize("size", [1, 2, 3, 50, 1000, 1 << 20])
def test_every_answer_of_a_conversation_counts(size: int) -> None:
    wire = b"".join(
        frame(message)
        for message in (CREATED, DELTA, completed(5, 3), CREATED, completed(7, 2, text="x" * 200_000))
    )
    reading = read(wire + frame(b"", PING), size, Frames(OPENAI))
    assert (reading.usage, reading.model, reading.partly) == (Usage(12, 0, 0, 5, 0), "m", None)


def test_a_message_in_fragments_with_a_ping_between_them_counts_once() -> None:
    message = completed(5, 3)
    wire = frame(message[:20], first=0) + frame(b"x", PING) + frame(message[20:], CONTINUATION)
    for size in (1, 7, len(wire)):
        assert read(wire, size, Frames(OPENAI)).usage == Usage(5, 0, 0, 3, 0)


def test_what_no_provider_says_in_text_counts_nothing() -> None:
    wire = frame(completed(5, 3), BINARY) + frame(DELTA) + frame(b"{")
    assert read(wire, 99, Frames(OPENAI)).usage is NoUsage.ABSENT
    assert read(frame(completed(5, 3)), 99, Frames(SHAPES["anthropic"])).usage is NoUsage.ABSENT


@pytest.mark.parametrize("keeps_window", [True, False])
def test_compressed_messages_are_inflated_in_order(keeps_window: bool) -> None:  # noqa: FBT001  # a case
    packer = zlib.compressobj(wbits=-15)
    wire = b""
    for message in (CREATED, DELTA, completed(5, 3), completed(7, 2, text="x" * 100_000)):
        if not keeps_window:
            packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH)
        wire += frame(packed.removesuffix(b"\x00\x00\xff\xff"), first=0xC0)
    for size in (1, 100, len(wire)):
        frames = Frames(OPENAI, Deflate(keeps_window=keeps_window))
        assert read(wire, size, frames).usage == Usage(12, 0, 0, 5, 0)


@pytest.mark.parametrize(
    "wire",
    [
        frame(completed(5, 3), first=0xC0),
        frame(completed(5, 3), first=0xA0),
        b"\x81\x85\x00\x00\x00\x00hello",
        b"\xff" * 5000,
    ],
    ids=["packed without an extension", "another extension", "masked", "noise"],
)
def test_frames_that_nobody_agreed_on_are_unreadable(wire: bytes) -> None:
    assert read(wire, 100, Frames(OPENAI)).usage is NoUsage.UNREADABLE


def test_a_gap_is_told_beside_the_sum() -> None:
    reading = read(frame(completed(5, 3)) + frame(b"x", first=0xC0), 100, Frames(OPENAI))
    assert (reading.usage, reading.partly) == (Usage(5, 0, 0, 3, 0), NoUsage.UNREADABLE)


def test_memory_is_bounded_whatever_comes() -> None:
    for wire in (b"\x01\x7f" + (1 << 40).to_bytes(8) + b"x" * 500_000, frame(b"{" * 500_000, first=0)):
        frames = Frames(OPENAI)
        for at in range(0, len(wire), 1000):
            frames.feed(wire[at : at + 1000])
            assert frames.held_bytes < 40_000


@pytest.mark.parametrize(
    ("lines", "is_read"),
    [
        ([], True),
        ([b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"], True),
        ([b"Sec-WebSocket-Accept: x\r\nsec-websocket-extensions:permessage-deflate"], True),
        ([b"Sec-WebSocket-Extensions: x-other"], False),
    ],
)
def test_the_handshake_tells_how_to_read(lines: list[bytes], is_read: bool) -> None:  # noqa: FBT001  # a case
    usage = read(frame(completed(5, 3)), 100, frames_of(lines, OPENAI)).usage
    assert (usage == Usage(5, 0, 0, 3, 0)) is is_read
