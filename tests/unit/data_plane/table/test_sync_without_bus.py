"""When the sync task polls as the bus fails, comes and goes, or answers and tells nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from services.data_plane.table.feed import SNAPSHOT_CONNECT_SECONDS
from services.data_plane.table.redis_feed import COMMAND_SECONDS_OF_A_READER, SILENCE_SECONDS
from services.data_plane.table.sync import JITTER, SyncTimes
from shared.redis_link import CONNECT_SECONDS
from tests.support.config_truth import row
from tests.unit.data_plane.table.test_sync import LONG, QUICK, Bench


async def test_a_bus_that_comes_and_goes_makes_no_storm_of_polls() -> None:
    bench = Bench(replace(QUICK, poll_without_bus_seconds=LONG))
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        for number in range(20):
            bench.bus.down = True
            await bench.until(bench.sync._bus_failed.is_set)
            bench.bus.down = False
            bench.bus.publish(bench.truth.put(row(f"org-{number}")))
            await bench.caught_up()
        assert len(bench.snapshots.asked) == 1


async def test_a_bus_that_fails_is_a_poll_soon() -> None:
    bench = Bench(SyncTimes(LONG, 0.2, 0.01, 0.01, first_retry_seconds=LONG))
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        await asyncio.sleep(0.3)
        assert len(bench.snapshots.asked) == 1
        bench.bus.down = True
        bench.truth.put(row())
        await bench.caught_up()


async def test_a_bus_that_answers_and_tells_nothing_has_still_failed() -> None:
    bench = Bench()
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.bus.down = True
        await bench.until(bench.sync._bus_failed.is_set)
        bench.bus.down, bench.bus.mute = False, True
        await bench.until(lambda: bench.bus.mute_reads > 1)
        bench.truth.put(row())
        await bench.caught_up()


def test_on_paper_a_change_without_redis_is_enforced_within_15_seconds() -> None:
    times = SyncTimes()
    noticed = max(COMMAND_SECONDS_OF_A_READER, SILENCE_SECONDS, CONNECT_SECONDS)
    polled = max(noticed + times.spread_seconds, times.poll_without_bus_seconds * (1 + JITTER))
    assert polled + SNAPSHOT_CONNECT_SECONDS <= 15
