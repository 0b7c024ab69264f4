"""Without any fault, and with the bus gone in several ways: every change reaches every process, once."""

from __future__ import annotations

import asyncio
import signal

import pytest

from shared.config_feed import STREAM_KEY
from tests.faults.form import FULL_ONLY, MARKS, Form
from tests.faults.outages import (
    DELAY_SECONDS,
    RESET_EVERY_SECONDS,
    SLICE_BYTES,
    Outage,
    redis_as_replica,
    redis_half_open,
    redis_reset,
    redis_silent,
    redis_slow,
    redis_stopped,
    redis_without_writes,
)
from tests.faults.site import Site
from tests.faults.trial import Trial, on_trial

pytestmark = MARKS
OUTAGES: dict[str, tuple[Outage, str]] = {
    "silent": (redis_silent, "connections stay, no answer"),
    "half open": (redis_half_open, "connections stay, answers get lost"),
    "without writes": (redis_without_writes, "it answers readers, and takes no event and no heartbeat"),
    "demoted": (redis_as_replica, "a replica while its connections stay: READONLY for every write"),
    "slow": (redis_slow, f"{DELAY_SECONDS * 1000:g} ms late each way, {SLICE_BYTES} bytes at a time"),
    "reset": (redis_reset, f"every connection reset every {RESET_EVERY_SECONDS:g} s"),
}
REST = [name for name in OUTAGES if name != "silent"]
PATIENT_LOOK_SECONDS = 0.25
"""Where many changes wait at once, a look at each must not become a load of its own."""


async def test_every_toggle_reaches_every_process(site: Site, form: Form) -> None:
    done = f"{form.toggles} toggles by both control planes, one after the other"
    async with on_trial(site, "none", done) as trial:
        for number in range(form.toggles):
            await trial.toggle(trial.orgs[number % len(trial.orgs)], via=number % 2)


async def test_changes_go_on_while_redis_is_down(site: Site, form: Form) -> None:
    done = f"killed for {form.redis_down_seconds:g} s, {form.redis_down_changes} changes meanwhile"
    async with on_trial(site, "Redis killed", done) as trial:
        await change_during(redis_stopped, trial, form.redis_down_seconds, form.redis_down_changes)


@pytest.mark.parametrize("name", ["silent", *(pytest.param(name, marks=FULL_ONLY) for name in REST)])
async def test_changes_go_on_while_redis_is_of_no_use(site: Site, form: Form, name: str) -> None:
    outage, what = OUTAGES[name]
    done = f"{what} for {form.redis_silent_seconds:g} s, {form.redis_down_changes} changes"
    async with on_trial(site, f"Redis {name}", done) as trial:
        await change_during(outage, trial, form.redis_silent_seconds, form.redis_down_changes)


async def change_during(outage: Outage, trial: Trial, seconds: float, changes: int) -> None:
    """Make changes at a steady pace; each waits for its effect, during the outage or after it."""
    trial.look_seconds = PATIENT_LOOK_SECONDS
    async with asyncio.TaskGroup() as waiting, outage(trial.site):
        for org in trial.orgs[:changes]:
            waiting.create_task(trial.toggle(org))
            await asyncio.sleep(seconds / changes)


async def test_a_flushed_redis_loses_nothing(site: Site) -> None:
    async with on_trial(site, "Redis flushed", "FLUSHALL between changes") as trial:
        with site.backends.valkey.client() as redis:
            for org in trial.orgs[:5]:
                await trial.toggle(org)
                await asyncio.to_thread(redis.flushall)
                await trial.toggle(org, via=1)


async def test_a_process_that_slept_through_a_trim_takes_a_snapshot(site: Site) -> None:
    done = "one data plane stopped by SIGSTOP, 5 changes, the stream trimmed to nothing, SIGCONT"
    sleeper = site.data_planes[0]
    async with on_trial(site, "Redis stream trimmed", done) as trial:
        awake = trial.load.planes = trial.planes[1:]
        sleeper.process.signal(signal.SIGSTOP)
        try:
            changes = [await trial.commit_toggle(org) for org in trial.orgs[:5]]
            for change in changes:
                await trial.wait_for(change, awake)
            with site.backends.valkey.client() as redis:
                redis.xtrim(STREAM_KEY, maxlen=0, approximate=False)
        finally:
            sleeper.process.signal(signal.SIGCONT)
        await site.caught_up(sleeper)


async def test_an_old_redis_restored_takes_nothing_back(site: Site) -> None:
    valkey = site.backends.valkey
    dump = valkey.folder / "dump.rdb"
    async with on_trial(
        site, "Redis restored", "SAVE, 5 changes, restarted from the old dump, a change"
    ) as trial:
        with valkey.client() as redis:
            await asyncio.to_thread(redis.save)
        old = dump.read_bytes()
        for org in trial.orgs[:5]:
            await trial.toggle(org)
        await asyncio.to_thread(valkey.process.kill)
        dump.write_bytes(old)
        await asyncio.to_thread(valkey.start)
        dump.unlink()
        trial.look_seconds = PATIENT_LOOK_SECONDS
        await trial.toggle(trial.orgs[5], via=1)
