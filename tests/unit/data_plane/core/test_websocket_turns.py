"""Tests of `core/websocket_turns.py`: where messages end, and when a conversation is between two turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from services.data_plane.core.websocket_turns import (
    GOING_AWAY,
    QUIET_SECONDS,
    SERVICE_RESTART,
    SETTLE_SECONDS,
    Conversation,
    MessageBorders,
    write_close,
)


def written(opcode: Opcode, payload: bytes = b"", *, masked: bool = False, last: bool = True) -> bytes:
    """Write a frame as a released implementation does."""
    return Frame(opcode, payload, fin=last).serialize(mask=masked)


def text(payload: bytes = b"{}", *, masked: bool = False) -> bytes:
    return written(Opcode.TEXT, payload, masked=masked)


SIZES = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])


@given(
    messages=st.lists(st.tuples(SIZES, st.integers(1, 4), st.booleans()), max_size=6),
    cuts=st.lists(st.integers(1, 80_000), max_size=30),
    masked=st.booleans(),
)
def test_messages_are_counted_and_borders_found_wherever_the_bytes_are_cut(
    messages: list[tuple[int, int, bool]], cuts: list[int], *, masked: bool
) -> None:
    wire, ends = b"", {0}
    for size, fragments, pinged in messages:
        for number in range(fragments):
            opcode = Opcode.CONT if number else Opcode.BINARY
            wire += written(opcode, bytes(size), masked=masked, last=number == fragments - 1)
            if pinged:
                if number == fragments - 1:
                    ends.add(len(wire))
                wire += written(Opcode.PING, b"are you there", masked=masked)
        ends.add(len(wire))
    borders, at = MessageBorders(masked=masked), 0
    for cut in [*cuts, len(wire)]:
        borders.feed(wire[at : at + cut])
        at = min(at + cut, len(wire))
        assert borders.at_border == (at in ends)
    assert borders.messages == len(messages)


@pytest.mark.parametrize(
    "wire",
    [
        text(masked=True),  # a server does not mask
        b"early bytes of another protocol",
        written(Opcode.CLOSE, Close(1000, "").serialize()),
        bytes([0x89, 126, 0, 200]) + bytes(200),  # a control frame has at most 125 bytes
    ],
    ids=["masked", "no frames", "closed", "long ping"],
)
def test_after_a_close_or_broken_frames_no_frame_may_follow(wire: bytes) -> None:
    borders = MessageBorders(masked=False)
    borders.feed(wire)
    assert not borders.at_border
    borders.feed(text())
    assert not borders.at_border


def between(conversation: Conversation, seconds: float, *, turn_ended: bool = False) -> bool:
    """Ask at the drain's beginning and again after `seconds` of silence."""
    conversation.is_between_turns(100.0, turn_ended=turn_ended)
    return conversation.is_between_turns(100.0 + seconds, turn_ended=turn_ended)


def test_a_conversation_in_which_nothing_was_asked_is_between_turns() -> None:
    conversation = Conversation()
    conversation.take_from_provider(text(b'{"type":"session.created"}'))
    assert not between(conversation, SETTLE_SECONDS / 2)
    assert between(conversation, SETTLE_SECONDS)


def test_a_turn_ends_with_the_message_that_is_known_to_end_it() -> None:
    conversation = Conversation()
    conversation.take_from_box(text(masked=True))
    conversation.take_from_provider(text())
    assert not between(conversation, SETTLE_SECONDS)
    assert between(conversation, SETTLE_SECONDS, turn_ended=True)
    conversation.take_from_box(text(masked=True))
    assert not between(conversation, SETTLE_SECONDS, turn_ended=True), "the next turn has begun"


def test_a_long_silence_counts_as_the_end_of_a_turn_and_pings_are_silence() -> None:
    conversation = Conversation()
    conversation.take_from_box(text(masked=True))
    assert not conversation.is_between_turns(0.0, turn_ended=False)
    conversation.take_from_provider(written(Opcode.PING))
    assert not conversation.is_between_turns(QUIET_SECONDS - 1, turn_ended=False)
    assert conversation.is_between_turns(QUIET_SECONDS, turn_ended=False)
    conversation.take_from_provider(text())
    assert not conversation.is_between_turns(QUIET_SECONDS + 1, turn_ended=False)


@pytest.mark.parametrize("from_box", [True, False])
def test_no_conversation_is_between_turns_inside_a_message(from_box: bool) -> None:  # noqa: FBT001  # a case
    conversation = Conversation()
    if from_box:
        conversation.take_from_box(text(b"x" * 100, masked=True)[:50])
    else:
        conversation.take_from_provider(text(b"x" * 100)[:50])
    assert not conversation.at_border
    assert not between(conversation, QUIET_SECONDS, turn_ended=True)


def test_close_frames_are_those_of_a_released_implementation() -> None:
    payload = Close(SERVICE_RESTART, "why").serialize()
    assert write_close(SERVICE_RESTART, b"why") == written(Opcode.CLOSE, payload)
    masked = write_close(GOING_AWAY, b"", b"\x01\x02\x03\x04")
    assert masked == bytes([0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xE9 ^ 2])
