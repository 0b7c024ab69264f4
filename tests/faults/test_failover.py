"""A new PostgreSQL server takes over, the old turns read-only, a pooler stands before both: a single history.

The last test leaves the site on the promoted server, so later files must not need the first server.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator

import httpx
import pytest

from shared.clock import unix_now
from tests.faults.form import FULL_ONLY, MARKS, Form
from tests.faults.outages import postgres_read_only
from tests.faults.site import Site
from tests.faults.test_database import begun_anew
from tests.faults.trial import Trial, on_trial
from tests.support.control_plane import ControlPlane
from tests.support.servers.postgres import PgBouncerServer, StandbyServer, either

pytestmark = MARKS
READERS = 8
READ_PAUSE_SECONDS = 0.02
FOLLOW_SECONDS = 30.0


@pytest.fixture(scope="session")
def standby(site: Site) -> Iterator[StandbyServer]:
    """A standby of the site's server, which stays until the site is gone."""
    with StandbyServer(site.backends.postgres) as server:
        yield server


async def test_a_primary_that_turns_read_only_refuses_changes_and_recovers_by_itself(
    site: Site, form: Form
) -> None:
    done = f"read-only for {form.down_seconds:g} s while its connections stay; a change is refused meanwhile"
    async with on_trial(site, "Postgres demoted", done) as trial:
        trial.checks_live = True
        for via in (0, 1):
            await trial.toggle(trial.orgs[0], via=via)
        async with site.rest(0) as one, site.rest(1) as other, postgres_read_only(site):
            for client in (one, other):
                with pytest.raises(httpx.HTTPStatusError, match="503"):  # reads go to a primary as well
                    await client.change("PATCH", trial.on[0], "openai", enabled=False)
            await asyncio.sleep(form.down_seconds)
        for via in (0, 1):
            await trial.toggle(trial.orgs[1], via=via)


@FULL_ONLY
async def test_behind_a_pooler_no_answer_is_wrong(site: Site, form: Form) -> None:
    done = f"PgBouncer by transaction with 6 connections; {form.pooled_changes} changes, {READERS} readers"
    direct = site.fleet.database_url
    async with on_trial(site, "PgBouncer under load", done) as trial:
        with PgBouncerServer(site.backends.postgres) as bouncer:
            await site.move_control_planes(bouncer.url(direct))
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                reads = [group.create_task(read_cards(trial, number, stop)) for number in range(READERS)]
                for number in range(form.pooled_changes):
                    await trial.toggle(trial.orgs[number % 8], via=number % 2)
                stop.set()
            trial.row.note = f"{sum(read.result() for read in reads)} cards read, each right"
            await site.move_control_planes(direct)


async def read_cards(trial: Trial, number: int, stop: asyncio.Event) -> int:
    """Read the cards of orgs under load again and again; each is set up. Give how many were read."""
    orgs, count = list(trial.site.labels), 0
    async with trial.site.rest(number % 2) as client:
        while not stop.is_set():
            await read_card(trial, client, orgs[(number + count) % len(orgs)])
            count += 1
            await asyncio.sleep(READ_PAUSE_SECONDS)
    return count


async def answers_again(trial: Trial, via: int) -> None:
    """Wait until a control plane has found the writable server."""
    async with asyncio.timeout(FOLLOW_SECONDS):
        while True:
            try:
                async with trial.site.rest(via) as client:  # which writes
                    await client.card(trial.orgs[0], "openai")
            except httpx.HTTPStatusError:
                await asyncio.sleep(READ_PAUSE_SECONDS)
            else:
                return


async def read_card(trial: Trial, client: ControlPlane, org: str) -> None:
    state = (await client.card(org, "openai")).json()["state"]
    trial.row.missing += state == "not_set_up"
    assert state == "enabled", state


@FULL_ONLY
async def test_a_failover_that_loses_commits_is_noticed_and_nothing_lost_is_called_live(
    site: Site, form: Form, standby: StandbyServer
) -> None:
    number, primary = form.lost_commits, site.backends.postgres
    done = f"the standby is cut off, {number} changes, the primary is killed, the standby promoted"
    async with on_trial(site, "failover, commits lost", done) as trial:
        await site.move_control_planes(either(primary, standby, site.fleet.database_url))
        for via in (0, 1):
            await trial.toggle(trial.orgs[0], via=via)
        async with asyncio.timeout(FOLLOW_SECONDS):
            while not await asyncio.to_thread(standby.caught_up):  # noqa: ASYNC110  # another process follows
                await asyncio.sleep(0.05)
        await asyncio.to_thread(standby.cut_off)
        was = copy.deepcopy(site.movers)
        await trial.rotate(trial.on[0])
        for turn in range(number - 1):
            await trial.toggle(trial.orgs[1 + turn % 4], via=turn % 2)
        epoch, revision = site.truth()
        await asyncio.to_thread(primary.process.kill)
        await asyncio.to_thread(standby.promote)
        began, site.movers = unix_now(), was
        site.fleet.database_url = site.fleet.database_url.replace(f":{primary.port}/", f":{standby.port}/")
        assert site.truth() == (epoch, revision - number)
        for via in (0, 1):
            await answers_again(trial, via)
        trial.checks_live = True
        for via in (0, 1):
            await trial.toggle(trial.orgs[5 + via], via=via)
        await begun_anew(site, epoch)
        for plane in trial.planes:
            await site.caught_up(plane)
        trial.row.note = f"new epoch on every process {unix_now() - began:.1f} s after the promotion"
        for turn in range(4):
            await trial.toggle(trial.orgs[turn], via=turn % 2)
