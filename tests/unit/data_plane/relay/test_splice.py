"""A splice in an ending process: Close frames between two turns, and none inside a message."""

from __future__ import annotations

import asyncio

import pytest
from websockets.frames import Close, Frame, Opcode

from services.data_plane.core.refused import Refused
from services.data_plane.core.usage.frames import Frames
from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.websocket_turns import QUIET_SECONDS, SETTLE_SECONDS
from services.data_plane.relay.splice import Splice
from shared.rejections import Rejection
from tests.unit.data_plane.relay.exchange_pair import SWITCHED, UPGRADE, Pair, sent

ASKED = Frame(Opcode.TEXT, b'{"type":"response.create"}').serialize(mask=True)
DELTA = Frame(Opcode.TEXT, b'{"type":"response.output_text.delta","delta":"x"}').serialize(mask=False)
COMPLETED = Frame(
    Opcode.TEXT,
    b'{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}',
).serialize(mask=False)
RESTART = Frame(Opcode.CLOSE, Close(1012, "the gateway restarts; connect again").serialize()).serialize(
    mask=False
)
STOPPING = Refused(Rejection.CONFIG_UNAVAILABLE, "this gateway process is stopping")


def tap(*messages: bytes) -> UsageTap:
    made = UsageTap(frames=Frames(SHAPES["openai"]))
    for message in messages:
        made.take(message)
    return made


def test_a_turn_is_over_by_the_word_of_the_tap_and_without_one_by_silence() -> None:
    splice, talked = Splice(), tap(DELTA, COMPLETED)
    splice.take_from_box(ASKED)
    for message in (DELTA, COMPLETED):
        splice.take_from_provider(message)
    for tapped, seconds in ((talked, SETTLE_SECONDS), (None, QUIET_SECONDS), (b"early", QUIET_SECONDS)):
        assert not splice.is_between_turns(100.0, tap(DELTA))
        assert not splice.is_between_turns(100.0 + seconds - 0.1, tapped)
        assert splice.is_between_turns(100.0 + seconds, tapped)


async def spliced() -> Pair:
    made = await sent(UPGRADE)
    await made.answer(SWITCHED)
    made.exchange.send_body(ASKED)
    await made.answer(DELTA)
    return made


async def test_a_drained_splice_is_closed_on_both_sides_once_its_turn_is_over() -> None:
    made = await spliced()
    made.world.parts.draining = True
    made.exchange.check_deadline(100.0, body_awaited=False, stalled=False)
    made.exchange.check_deadline(100.0 + QUIET_SECONDS - 1, body_awaited=False, stalled=False)
    assert made.side.said[-1] == "responding"
    made.exchange.check_deadline(100.0 + QUIET_SECONDS, body_awaited=False, stalled=False)
    await asyncio.sleep(0)
    assert made.side.below.written.endswith(DELTA + RESTART)
    written = made.provider.written
    close, mask = written[-8:], written[-6:-2]
    assert close[:2] == bytes([0x88, 0x82])
    assert bytes(a ^ b for a, b in zip(close[6:], mask, strict=False)) == (1001).to_bytes(2)
    assert (made.side.said[-1], made.record.outcome, made.provider.ended) == ("lingers", "spliced", "close")


@pytest.mark.parametrize("part", [DELTA[:-1], DELTA[:1]])
async def test_at_the_limit_a_message_under_way_is_broken_off(part: bytes) -> None:
    made = await spliced()
    made.world.parts.draining = True
    await made.answer(part)
    made.exchange.abort(STOPPING)
    assert RESTART not in made.side.below.written
    assert (made.side.said[-1], made.record.outcome) == ("broken off", "cut")


async def test_at_the_limit_a_turn_under_way_is_closed_between_two_messages() -> None:
    made = await spliced()
    made.world.parts.draining = True
    made.exchange.abort(STOPPING)
    await asyncio.sleep(0)
    assert made.side.below.written.endswith(RESTART)
    assert (made.side.said[-1], made.record.outcome) == ("closed", "cut")


async def test_while_the_process_goes_on_no_close_frame_is_sent() -> None:
    made = await spliced()
    made.exchange.check_deadline(100.0, body_awaited=False, stalled=False)
    made.exchange.abort(STOPPING)
    assert RESTART not in made.side.below.written
    assert made.side.said[-1] == "broken off"
