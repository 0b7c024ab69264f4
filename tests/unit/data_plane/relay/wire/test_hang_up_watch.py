"""The departure of a box whose connection is not read, as told by the kernel of a socket pair."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator

import pytest

from services.data_plane.relay.wire.hang_up_watch import HangUpWatch

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The watched socket, and its peer."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
async def watch() -> AsyncIterator[HangUpWatch]:
    made = HangUpWatch()
    yield made
    made.close()


async def _said(left: asyncio.Event, seconds: float = 10) -> bool:
    try:
        await asyncio.wait_for(left.wait(), seconds)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("unread", [b"", b"bytes that were sent before"])
async def test_a_peer_that_closes_its_side_is_noticed_behind_unread_bytes_too(
    watch: HangUpWatch, ends: Ends, unread: bytes
) -> None:
    left = asyncio.Event()
    watch.add(ends[0].fileno(), left.set)
    ends[1].sendall(unread)
    assert not await _said(left, 0.05)
    ends[1].shutdown(socket.SHUT_WR)
    assert await _said(left)
    assert len(watch) == 0


async def test_a_reset_is_noticed(watch: HangUpWatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        with ours:
            left = asyncio.Event()
            watch.add(ours.fileno(), left.set)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            assert await _said(left)


async def test_a_peer_that_leaves_is_told_once(watch: HangUpWatch, ends: Ends) -> None:
    calls: list[int] = []
    left = asyncio.Event()

    def note() -> None:
        calls.append(1)
        left.set()

    watch.add(ends[0].fileno(), note)
    ends[1].close()
    assert await _said(left)
    await asyncio.sleep(0.02)
    assert calls == [1]


async def test_a_socket_that_is_read_again_is_not_watched(watch: HangUpWatch, ends: Ends) -> None:
    left = asyncio.Event()
    watch.add(ends[0].fileno(), left.set)
    watch.discard(ends[0].fileno())
    watch.discard(ends[0].fileno())  # harmless
    ends[1].close()
    assert not await _said(left, 0.05)
    assert watch._poll is not None
    assert (len(watch), watch._poll.poll(0)) == (0, [])  # or each turn of the loop would be woken


async def test_a_socket_that_is_added_again_tells_the_newest_user(watch: HangUpWatch, ends: Ends) -> None:
    former, newest = asyncio.Event(), asyncio.Event()
    watch.add(ends[0].fileno(), former.set)
    watch.add(ends[0].fileno(), newest.set)
    ends[1].close()
    assert await _said(newest)
    assert not former.is_set()


async def test_each_of_several_sockets_is_told_alone(watch: HangUpWatch, ends: Ends) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        first, second = asyncio.Event(), asyncio.Event()
        watch.add(ends[0].fileno(), first.set)
        watch.add(ours.fileno(), second.set)
        theirs.close()
        assert await _said(second)
        assert (first.is_set(), len(watch)) == (False, 1)


async def test_one_that_ends_the_other_in_its_call_leaves_the_other_untold(
    watch: HangUpWatch, ends: Ends
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told: list[int] = []
        numbers = (ends[0].fileno(), ours.fileno())

        def end_other(number: int, other: int) -> None:
            told.append(number)
            watch.discard(other)

        watch.add(numbers[0], lambda: end_other(*numbers))
        watch.add(numbers[1], lambda: end_other(*reversed(numbers)))
        ends[1].close()
        theirs.close()
        await asyncio.sleep(0.05)
        assert len(told) == 1


async def test_a_closed_watch_tells_nothing_and_may_be_closed_again(watch: HangUpWatch, ends: Ends) -> None:
    left = asyncio.Event()
    watch.add(ends[0].fileno(), left.set)
    watch.close()
    watch.close()
    ends[1].close()
    assert not await _said(left, 0.05)
    assert len(watch) == 0
