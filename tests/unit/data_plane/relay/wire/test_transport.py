"""How bytes leave towards a box: order, slices, pauses, and the endings that a client can tell apart."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from services.data_plane.relay.wire.hang_up_watch import HangUpWatch
from services.data_plane.relay.wire.transport import SLICE_BYTES, BoxTransport
from services.data_plane.relay.wire.write_batch import WriteBatch
from tests.unit.data_plane.relay.fake_transport import FakeSocket, FakeTransport

RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class World:
    """A box transport over a fake transport. Make the object in a running event loop."""

    def __init__(self) -> None:
        self.below, self.batch, self.watch = FakeTransport(), WriteBatch(), HangUpWatch()
        self.socket = FakeSocket()
        self.below.socket = self.socket
        self.box = BoxTransport(self.below, 1_000, self.batch, self.watch, lambda: None)


async def test_a_write_waits_for_the_end_of_the_turn_and_goes_before_an_immediate_one() -> None:
    world = World()
    assert world.below.high == 1_000
    world.box.write(b"1")
    assert world.below.written == b""
    world.box.write_now(b"2")
    assert world.below.pieces == [b"1", b"2"]
    world.box.write(b"3")
    await asyncio.sleep(0)
    assert world.below.written == b"123"


async def test_nothing_is_written_immediately_once_an_ending_has_begun() -> None:
    world = World()
    world.box.close()
    world.box.write_now(b"late")
    assert (world.below.written, world.box.closing) == (b"", True)


async def test_the_raw_transport_is_given_with_everything_written() -> None:
    world = World()
    world.box.write(b"answer")
    assert world.box.raw is world.below
    assert world.below.written == b"answer"


async def test_a_box_that_may_hold_nothing_is_written_in_slices_until_it_may_again() -> None:
    world, data = World(), bytes(2 * SLICE_BYTES + 1)
    world.box.hold_at_most(0)
    world.box.put(data)
    assert [len(piece) for piece in world.below.pieces] == [SLICE_BYTES, SLICE_BYTES, 1]
    assert world.below.high == 0
    world.box.hold_at_most(1_000)
    world.box.put(data)
    assert (world.below.pieces[3:], world.below.high) == ([data], 1_000)


async def test_the_limit_of_an_ending_connection_stays() -> None:
    ending, closing = World(), World()
    ending.below.waiting = 9
    ending.box.reset_once_drained(1.0)
    ending.box.hold_at_most(1_000)
    assert ending.below.high == 0
    closing.box.close()
    closing.box.hold_at_most(0)
    assert closing.below.high == 1_000


async def test_a_paused_box_is_watched_until_it_is_read_again() -> None:
    world = World()
    for _ in range(2):
        world.box.pause_reading()
        assert (world.below.reading_paused, len(world.watch)) == (True, 1)
    for _ in range(2):
        world.box.resume_reading()
        assert (world.below.reading_paused, len(world.watch)) == (False, 0)
    world.box.pause_reading()
    world.box.unwatch()
    world.box.unwatch()
    assert len(world.watch) == 0
    world.watch.close()


async def test_a_closing_box_is_neither_paused_nor_resumed() -> None:
    world = World()
    world.box.close()
    world.box.pause_reading()
    assert (world.below.reading_paused, len(world.watch)) == (False, 0)
    world.box.reading_paused = world.below.reading_paused = True
    world.box.resume_reading()
    assert world.below.reading_paused


async def test_a_stall_counts_from_the_last_byte_that_the_box_took() -> None:
    world = World()
    assert world.box.stalled_seconds(10.0) == 0.0
    world.below.waiting = 500
    world.box.stalled(20.0)
    assert (world.box.write_paused, world.box.is_sending) == (True, True)
    assert world.box.stalled_seconds(25.0) == 5.0
    world.below.waiting = 499
    assert world.box.stalled_seconds(30.0) == 0.0
    assert world.box.stalled_seconds(33.0) == 3.0
    world.below.waiting = 0
    world.box.drained()
    assert (world.box.stalled_seconds(90.0), world.box.write_paused, world.box.is_sending) == (
        0,
        False,
        False,
    )


async def test_a_close_writes_what_waits_first() -> None:
    world = World()
    world.box.write(b"last")
    world.box.close()
    assert (world.below.written, world.below.ended, world.socket.options) == (b"last", "close", [])


@pytest.mark.parametrize(("waiting", "ended"), [(0, "abort"), (5, "close")])
async def test_an_early_close_waits_only_for_bytes_that_have_not_left(waiting: int, ended: str) -> None:
    world = World()
    world.below.waiting = waiting
    world.box.write(b"last")
    world.box.close_early()
    assert (world.below.written, world.below.ended, world.socket.options) == (b"last", ended, [])


@pytest.mark.parametrize(("half_closable", "closing"), [(True, False), (False, False), (True, True)])
async def test_only_the_writing_side_is_closed_where_the_transport_can(
    *, half_closable: bool, closing: bool
) -> None:
    world = World()
    world.below.half_closable = half_closable
    world.box.write(b"last")
    await asyncio.sleep(0)
    world.below.closing = closing
    world.box.close_writing()
    assert (world.below.half_closed, world.below.ended) == (half_closable and not closing, "")
    assert world.below.written == b"last"


async def test_a_break_with_nothing_waiting_is_a_reset_at_once() -> None:
    world = World()
    world.box.write(b"half an ans")
    world.box.reset_once_drained(1.0)
    assert (world.below.written, world.below.ended) == (b"half an ans", "abort")
    assert world.socket.options == [RESET]


async def test_a_break_lets_relayed_bytes_arrive_and_resets_then() -> None:
    world = World()
    world.below.waiting = 5
    world.box.reset_once_drained(1.0)
    assert (world.below.ended, world.below.high, world.box.stalled_seconds(4.0)) == ("", 0, 3.0)
    world.below.waiting = 0
    world.box.drained()
    assert (world.below.ended, world.socket.options) == ("abort", [RESET])


async def test_a_break_of_a_closed_connection_changes_nothing() -> None:
    world = World()
    world.box.close()
    world.box.reset_once_drained(1.0)
    assert (world.below.ended, world.socket.options) == ("close", [])


async def test_a_transport_without_a_socket_is_aborted_too() -> None:
    world = World()
    world.below.socket = None
    world.box.reset()
    assert world.below.ended == "abort"


async def test_a_reset_reaches_the_peer_as_a_reset() -> None:
    accepted: asyncio.Future[BoxTransport] = asyncio.get_running_loop().create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(BoxTransport(transport, 1_000, WriteBatch(), HangUpWatch(), lambda: None))

    listener = await asyncio.get_running_loop().create_server(Accepting, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    (await accepted).reset()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 10)
    writer.close()
    listener.close()
