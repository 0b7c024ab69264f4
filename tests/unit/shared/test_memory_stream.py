"""Tests of `shared/memory_stream.py`: order, explicit ids, trimming, and waking readers from any thread."""

from __future__ import annotations

import asyncio
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.memory_stream import MemoryStream

LONG_SECONDS = 30.0  # a reader that is not woken runs into this, far beyond what a test needs


async def test_entries_are_read_in_order_from_a_revision_on() -> None:
    stream = MemoryStream()
    for revision in (1, 2, 3):
        assert stream.append(revision, b"%d" % revision)
    assert await stream.read(0, LONG_SECONDS) == [(1, b"1"), (2, b"2"), (3, b"3")]
    assert await stream.read(2, LONG_SECONDS) == [(3, b"3")]


@given(st.lists(st.integers(1, 20), max_size=30))
def test_a_repeated_or_lower_revision_is_refused_and_changes_nothing(revisions: list[int]) -> None:
    stream = MemoryStream()
    kept: list[int] = []
    for revision in revisions:
        accepted = stream.append(revision, b"first" if revision not in kept else b"again")
        assert accepted == (not kept or revision > kept[-1])
        if accepted:
            kept.append(revision)
    read = asyncio.run(stream.read(0, 0))
    assert read == [(revision, b"first") for revision in kept]


async def test_revision_zero_is_refused_as_redis_refuses_the_id_0_0() -> None:
    assert not MemoryStream().append(0, b"x")


async def test_trimmed_entries_are_a_gap_that_the_reader_sees() -> None:
    stream = MemoryStream(max_entries=3)
    for revision in range(1, 11):
        stream.append(revision, b"x")
    assert [revision for revision, _ in await stream.read(4, LONG_SECONDS)] == [8, 9, 10]


async def test_a_read_that_finds_nothing_gives_nothing_after_its_time() -> None:
    stream = MemoryStream()
    stream.append(1, b"x")
    assert await stream.read(1, 0.01) == []


async def test_a_waiting_reader_is_woken_by_an_append() -> None:
    stream = MemoryStream()
    reader = asyncio.gather(stream.read(0, LONG_SECONDS))
    await asyncio.sleep(0)
    stream.append(5, b"x")
    assert list(await reader) == [[(5, b"x")]]


async def test_every_waiting_reader_is_woken() -> None:
    stream = MemoryStream()
    readers = asyncio.gather(*(stream.read(0, LONG_SECONDS) for _ in range(5)))
    await asyncio.sleep(0)
    stream.append(1, b"x")
    assert await readers == [[(1, b"x")]] * 5


async def test_a_waiting_reader_is_woken_from_another_thread() -> None:
    stream = MemoryStream()
    # In debug mode a loop refuses to be touched by a foreign thread in any but the one safe way.
    asyncio.get_running_loop().set_debug(enabled=True)
    reader = asyncio.gather(stream.read(0, LONG_SECONDS))
    await asyncio.sleep(0.05)  # it sleeps in its event by then, not on its way there
    assert await asyncio.to_thread(stream.append, 1, b"x")
    assert list(await reader) == [[(1, b"x")]]


async def test_a_reader_that_follows_misses_nothing_while_a_thread_appends() -> None:
    stream = MemoryStream()
    last = 2_000

    def append_all() -> None:
        for revision in range(1, last + 1):
            stream.append(revision, b"%d" % revision)

    thread = Thread(target=append_all)
    thread.start()
    seen: list[tuple[int, bytes]] = []
    async with asyncio.timeout(LONG_SECONDS):
        while not seen or seen[-1][0] < last:
            seen += await stream.read(seen[-1][0] if seen else 0, LONG_SECONDS)
    thread.join()
    assert seen == [(revision, b"%d" % revision) for revision in range(1, last + 1)]


async def test_two_threads_that_append_the_same_revision_store_it_once() -> None:
    stream = MemoryStream()
    accepted: list[bool] = []
    threads = [
        Thread(target=lambda: accepted.extend(stream.append(revision, b"x") for revision in range(1, 500)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    revisions = [revision for revision, _ in await stream.read(0, LONG_SECONDS)]
    assert revisions == sorted(set(revisions))
    assert sum(accepted) == len(revisions)


async def test_a_cancelled_reader_leaves_nothing_behind() -> None:
    stream = MemoryStream()
    reader = asyncio.gather(stream.read(0, LONG_SECONDS))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert not stream._waiters
    assert stream.append(1, b"x")
