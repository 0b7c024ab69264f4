"""The loader: shared, bounded, and forgiving of a slow or broken store."""

from __future__ import annotations

import asyncio
import logging

import pytest

from services.data_plane.table.secrets import SecretLoader, SecretUnavailable
from tests.support.config_truth import FakeSecretReader, document


class Bench:
    def __init__(self, max_concurrent: int = 4, read_seconds: float = 30) -> None:
        self.now = 0.0
        self.reader = FakeSecretReader()
        self.loader = SecretLoader(
            self.reader,
            monotonic=lambda: self.now,
            max_concurrent=max_concurrent,
            read_seconds=read_seconds,
            negative_seconds=3,
        )


async def test_those_who_ask_at_the_same_time_share_one_read() -> None:
    bench = Bench()
    bench.reader.put(1, document())
    results = await asyncio.gather(*(bench.loader.get("acme", "openai", 1) for _ in range(20)))
    assert len(bench.reader.reads) == 1
    assert all(result is results[0] for result in results)


async def test_a_document_is_not_kept_after_it_was_given() -> None:
    bench = Bench()
    bench.reader.put(1, document())
    await bench.loader.get("acme", "openai", 1)
    await bench.loader.get("acme", "openai", 1)
    assert len(bench.reader.reads) == 2


async def test_one_who_leaves_does_not_stop_the_others() -> None:
    bench = Bench()
    bench.reader.put(1, document())
    bench.reader.gate = asyncio.Event()
    first = asyncio.gather(bench.loader.get("acme", "openai", 1))
    await asyncio.sleep(0)
    second = asyncio.gather(bench.loader.get("acme", "openai", 1))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    bench.reader.gate.set()
    assert (await second)[0].org == "acme"
    assert len(bench.reader.reads) == 1


async def test_no_more_than_the_bound_are_read_at_once() -> None:
    bench = Bench(max_concurrent=4)
    for version in range(1, 31):
        bench.reader.put(version, document())
    bench.reader.gate = asyncio.Event()
    reads = asyncio.gather(*(bench.loader.get("acme", "openai", version) for version in range(1, 31)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.reader.at_once == 4
    bench.reader.gate.set()
    await reads
    assert bench.reader.most_at_once == 4


async def test_a_failure_is_remembered_for_a_while() -> None:
    bench = Bench()
    for _ in range(3):
        with pytest.raises(SecretUnavailable, match="no such version"):
            await bench.loader.get("acme", "openai", 1)
    assert len(bench.reader.reads) == 1
    bench.now += 3
    bench.reader.put(1, document())
    assert (await bench.loader.get("acme", "openai", 1)).org == "acme"


async def test_a_forgotten_failure_is_asked_again_at_once() -> None:
    bench = Bench()
    with pytest.raises(SecretUnavailable):
        await bench.loader.get("acme", "openai", 1)
    bench.reader.put(1, document())
    bench.loader.forget_failure("acme", "openai", 1)
    assert (await bench.loader.get("acme", "openai", 1)).org == "acme"


async def test_the_failure_of_one_version_says_nothing_of_another() -> None:
    bench = Bench()
    bench.reader.put(2, document())
    with pytest.raises(SecretUnavailable):
        await bench.loader.get("acme", "openai", 1)
    assert (await bench.loader.get("acme", "openai", 2)).org == "acme"


async def test_a_store_that_does_not_answer_is_given_up() -> None:
    bench = Bench(read_seconds=0.01)
    bench.reader.gate = asyncio.Event()
    with pytest.raises(SecretUnavailable, match="in time"):
        await bench.loader.get("acme", "openai", 1)
    assert bench.reader.at_once == 0


async def test_an_unforeseen_fault_is_a_failure_for_the_callers_and_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.reader.broken = RuntimeError("a bug")
    with caplog.at_level(logging.ERROR), pytest.raises(SecretUnavailable, match="adapter failed"):
        await bench.loader.get("acme", "openai", 1)
    assert "a bug" in caplog.text


async def test_closing_ends_reads_that_are_under_way() -> None:
    bench = Bench()
    bench.reader.gate = asyncio.Event()
    waiting = asyncio.gather(bench.loader.get("acme", "openai", 1), return_exceptions=True)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await bench.loader.aclose()
    assert isinstance((await waiting)[0], asyncio.CancelledError)
    assert bench.reader.at_once == 0


async def test_a_caller_that_comes_as_the_read_lands_starts_no_second_one() -> None:
    bench = Bench()
    bench.reader.put(1, document())
    first = asyncio.gather(bench.loader.get("acme", "openai", 1))
    await asyncio.sleep(0)
    while not all(flight.done() for flight in bench.loader._flights.values()):  # noqa: ASYNC110  # one turn at a time
        await asyncio.sleep(0)
    assert (await bench.loader.get("acme", "openai", 1)).org == "acme"
    await first
    assert len(bench.reader.reads) == 1
    assert not bench.loader._flights


@pytest.mark.parametrize("is_there", [True, False])
async def test_nothing_is_kept_of_a_read_that_everybody_has_left(
    is_there: bool,  # noqa: FBT001  # pytest passes it by name
) -> None:
    bench = Bench()
    bench.reader.gate = asyncio.Event()
    if is_there:
        bench.reader.put(1, document())
    leaving = asyncio.gather(bench.loader.get("acme", "openai", 1))
    while not bench.reader.at_once:  # noqa: ASYNC110  # one turn at a time
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    bench.reader.gate.set()
    while bench.reader.at_once:  # noqa: ASYNC110  # same
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert not bench.loader._flights
    bench.reader.put(1, document())
    bench.now += 60
    assert (await bench.loader.get("acme", "openai", 1)).org == "acme"


async def test_who_waits_in_line_waits_no_longer_than_a_read_may_take() -> None:
    bench = Bench(max_concurrent=1, read_seconds=0.05)
    await bench.loader._slots.acquire()
    async with asyncio.timeout(10):
        with pytest.raises(SecretUnavailable, match="did not answer in time"):
            await bench.loader.get("acme", "openai", 1)
    assert bench.reader.reads == []


async def test_reads_of_the_store_are_counted_by_result() -> None:
    bench = Bench()
    bench.reader.put(1, document())
    await asyncio.gather(*(bench.loader.get("acme", "openai", 1) for _ in range(20)))
    for _ in range(2):  # the second failure is remembered, and no read
        with pytest.raises(SecretUnavailable):
            await bench.loader.get("acme", "openai", 2)
    assert bench.loader.reads == {"read": 1, "failed": 1}
