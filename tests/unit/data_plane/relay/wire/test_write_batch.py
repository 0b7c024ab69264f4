"""When a write leaves: with the others of its turn, or at once while turns are calm; never out of order."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.relay.wire.write_batch import (
    CALM_TURNS,
    LONE_WRITES,
    MAX_BATCH_BYTES,
    WRITES_PER_LOOK,
    WriteBatch,
)


class FakeTransport(asyncio.WriteTransport):
    """Keeps the written bytes, in a log shared by several transports."""

    def __init__(self, log: list[bytes], *, broken: bool = False, closing: bool = False) -> None:
        super().__init__()
        self.log = log
        self.broken = broken
        self.closing = closing
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.broken:
            raise RuntimeError("the handler is closed")
        self.log.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True


async def calm(batch: WriteBatch) -> None:
    """Have turns of a single write until the turns count as calm."""
    for _ in range(CALM_TURNS):
        batch.put(FakeTransport([]), b"x")
        await asyncio.sleep(0)


async def written_at_once(batch: WriteBatch, writes: int) -> list[bool]:
    """Tell for each of so many writes, a write per turn, whether the bytes left before the turn's end."""
    found = []
    for _ in range(writes):
        log: list[bytes] = []
        batch.put(FakeTransport(log), b"x")
        found.append(bool(log))
        await asyncio.sleep(0)
        assert log == [b"x"]
    return found


async def test_the_writes_of_a_turn_leave_together_at_its_end_in_their_order() -> None:
    log: list[bytes] = []
    batch, one, other = WriteBatch(), FakeTransport(log), FakeTransport(log)
    for data, transport in ((b"1", one), (b"2", other), (b"3", one)):
        batch.put(transport, data)
    assert not log
    await asyncio.sleep(0)
    assert log == [b"1", b"2", b"3"]


async def test_what_is_large_does_not_wait() -> None:
    log: list[bytes] = []
    batch, transport = WriteBatch(), FakeTransport(log)
    batch.put(transport, b"first")
    batch.put(transport, b"x" * MAX_BATCH_BYTES)
    assert len(log) == 2
    await asyncio.sleep(0)
    assert len(log) == 2


async def test_after_calm_turns_a_lone_write_leaves_at_once_but_for_a_look_now_and_then() -> None:
    batch = WriteBatch()
    assert await written_at_once(batch, CALM_TURNS) == [False] * CALM_TURNS
    one_period = [True] * WRITES_PER_LOOK + [False]
    assert await written_at_once(batch, 2 * len(one_period)) == one_period * 2


async def test_a_look_that_finds_a_busy_turn_has_writes_wait_again() -> None:
    batch = WriteBatch()
    await calm(batch)
    await written_at_once(batch, WRITES_PER_LOOK)
    for _ in range(LONE_WRITES + 1):
        batch.put(FakeTransport([]), b"x")
    await asyncio.sleep(0)
    assert await written_at_once(batch, CALM_TURNS) == [False] * CALM_TURNS


async def test_one_busy_turn_is_enough_to_begin_counting_anew() -> None:
    batch = WriteBatch()
    await written_at_once(batch, CALM_TURNS - 1)
    for _ in range(LONE_WRITES + 1):
        batch.put(FakeTransport([]), b"x")
    await asyncio.sleep(0)
    assert await written_at_once(batch, CALM_TURNS) == [False] * CALM_TURNS


@given(turns=st.lists(st.lists(st.integers(0, 2), max_size=5), max_size=60))
async def test_no_write_overtakes_another(turns: list[list[int]]) -> None:
    logs: list[list[bytes]] = [[], [], []]
    batch, transports = WriteBatch(), [FakeTransport(log) for log in logs]
    sent: list[list[bytes]] = [[], [], []]
    await calm(batch)
    for number, turn in enumerate(turns):
        for place, which in enumerate(turn):
            data = b"%d.%d" % (number, place)
            sent[which].append(data)
            batch.put(transports[which], data)
        await asyncio.sleep(0)
    batch.flush()
    assert logs == sent


@pytest.mark.parametrize("is_calm", [False, True])
async def test_a_write_that_fails_ends_its_own_connection_only(
    is_calm: bool,  # noqa: FBT001  # a parameter of the test
    caplog: pytest.LogCaptureFixture,
) -> None:
    log: list[bytes] = []
    batch, broken, gone = WriteBatch(), FakeTransport(log, broken=True), FakeTransport(log, closing=True)
    if is_calm:
        await calm(batch)
    batch.put(broken, b"1")
    batch.put(gone, b"2")
    batch.put(FakeTransport(log), b"3")
    await asyncio.sleep(0)
    assert log == [b"3"]
    assert (broken.aborted, gone.aborted) == (True, False)
    assert [record.message for record in caplog.records] == ["a write failed"]
