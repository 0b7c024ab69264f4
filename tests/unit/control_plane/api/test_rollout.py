"""How far a change has got: reports in, `rollout` out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, update
from sqlmodel import col

from services.control_plane.store.changes import Author, changing, counter
from services.control_plane.store.database import Database
from services.control_plane.store.lost_commits import LostCommits
from services.control_plane.store.orgs import put_org
from services.control_plane.store.tables import CounterRow, DataPlaneTable, OutboxTable
from shared.acknowledgement import (
    EXPIRY_SECONDS,
    FORGET_SECONDS,
    Acknowledgement,
    Pending,
    Seen,
    encode_acknowledgement,
)
from tests.unit.control_plane.world import KEY, MEMBER, OPENAI, OWNER, PLATFORM_TOKEN, STRANGER, World

REPORTS = "/internal/v1/acknowledgements"


def report_of(world: World, process: str = "p1", **changes: Any) -> Acknowledgement:
    with world.database.read() as session:
        at = counter(session)
    report = Acknowledgement(
        process=process,
        epoch=at.epoch,
        applied_revision=at.revision,
        applied_at=world.clock.now + 0.5,
        ready=True,
        pending=(),
        is_all_pending=True,
        seen=(),
    )
    return replace(report, **changes)


async def send(world: World, *reports: Acknowledgement) -> None:
    async with world.fleet() as client:
        for report in reports:
            answer = await client.post(REPORTS, content=encode_acknowledgement(report))
            assert answer.status_code == 204, answer.text


async def rollout(world: World, person: str = OWNER) -> Any:
    async with world.person(person) as client:
        answer = await client.get(f"{OPENAI}/rollout")
    assert answer.status_code == 200, answer.text
    return answer.json()


def commit(world: World, name: str) -> None:
    with changing(world.database) as session:
        put_org(session, Author("platform", 1.0), "acme", name)


def lose_commits(world: World, revision: int) -> None:
    """Set the counter back, as on a standby without the last commits; no control plane notices by itself."""
    with world.database.quiet_write() as session:
        session.execute(update(CounterRow).values(revision=revision))
        session.execute(delete(OutboxTable).where(col(OutboxTable.revision) > revision))


async def set_up(world: World) -> httpx.Response:
    async with world.person(OWNER) as client:
        return await client.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})


async def test_a_change_is_live_where_it_is_applied_and_its_secret_is_read(world: World) -> None:
    before = report_of(world, "behind")
    revision = (await set_up(world)).json()["revision"]
    unread = report_of(world, "unread", pending=(Pending("acme", "openai"),))
    await send(world, before, unread, report_of(world, "done"))
    found = await rollout(world, MEMBER)
    assert (found["revision"], found["live"], found["total"]) == (revision, 1, 3)
    await send(world, report_of(world, "behind"), report_of(world, "unread"))
    assert (await rollout(world))["live"] == 3


async def test_a_list_of_unread_secrets_that_is_cut_short_counts_as_unread(world: World) -> None:
    await set_up(world)
    await send(world, report_of(world, is_all_pending=False))
    assert (await rollout(world))["live"] == 0


async def test_switching_off_needs_no_secret_to_be_live(world: World) -> None:
    await set_up(world)
    async with world.person(OWNER) as client:
        await client.patch(OPENAI, json={"enabled": False}, headers={"if-match": "*"})
    await send(world, report_of(world, pending=(Pending("acme", "openai"),)))
    assert (await rollout(world))["live"] == 1


async def test_the_time_is_told_and_stays_when_a_later_change_moves_the_fleet_on(world: World) -> None:
    await set_up(world)
    first = report_of(world, "first")
    await send(world, first, report_of(world, "second", applied_revision=0))
    assert (await rollout(world))["seconds"] is None
    await send(world, report_of(world, "second"))
    seconds = (await rollout(world))["seconds"]
    assert 0 < seconds < 20
    commit(world, "Renamed")
    await send(world, *(report_of(world, name) for name in ("first", "second")))
    assert (await rollout(world))["seconds"] == seconds


async def test_a_time_that_nobody_saw_is_not_told(world: World) -> None:
    await set_up(world)
    commit(world, "Renamed")
    await send(world, report_of(world))
    found = await rollout(world)
    assert (found["live"], found["total"], found["seconds"]) == (1, 1, None)


async def test_processes_that_are_gone_not_ready_or_of_another_epoch_do_not_enforce(world: World) -> None:
    await set_up(world)
    await send(world, report_of(world, "gone"))
    world.clock.now += EXPIRY_SECONDS
    await send(world, report_of(world, "starting", ready=False), report_of(world, "restored", epoch="other"))
    found = await rollout(world)
    assert (found["live"], found["total"]) == (0, 1)


async def test_a_process_that_is_not_heard_is_unknown_and_stays_in_the_count(world: World) -> None:
    cut_off = report_of(world, "cut off")
    await set_up(world)
    await send(world, cut_off, report_of(world, "first"), report_of(world, "second"))
    world.clock.now += EXPIRY_SECONDS
    await send(world, report_of(world, "first"), report_of(world, "second"))
    found = await rollout(world)
    assert (found["live"], found["total"], found["unknown"], found["seconds"]) == (2, 3, 1, None)
    assert EXPIRY_SECONDS <= found["unknown_seconds"] < 2 * EXPIRY_SECONDS
    await send(world, report_of(world, "cut off"))
    found = await rollout(world)
    assert (found["live"], found["total"], found["unknown"], found["unknown_seconds"]) == (3, 3, 0, None)


@pytest.mark.parametrize(
    "last",
    [
        {"ready": False, "applied_revision": 0, "epoch": ""},
        {"pending": (Pending("acme", "openai"),)},
        {"is_all_pending": False},
        {"epoch": "before the restoration"},
    ],
)
async def test_whatever_the_last_report_left_open_is_unknown_in_silence(world: World, last: Any) -> None:
    await set_up(world)
    await send(world, report_of(world, "silent", **last))
    world.clock.now += EXPIRY_SECONDS
    await send(world, report_of(world))
    found = await rollout(world)
    assert (found["live"], found["total"], found["unknown"]) == (1, 2, 1)


async def test_a_switched_off_integration_needs_no_secret_of_a_silent_process(world: World) -> None:
    await set_up(world)
    async with world.person(OWNER) as client:
        await client.patch(OPENAI, json={"enabled": False}, headers={"if-match": "*"})
    await send(world, report_of(world, "silent", pending=(Pending("acme", "openai"),)))
    world.clock.now += EXPIRY_SECONDS
    assert (await rollout(world))["unknown"] == 0


async def test_a_process_that_says_its_end_leaves_the_count_at_once(world: World) -> None:
    await set_up(world)
    behind = report_of(world, "ending", applied_revision=0)
    await send(world, behind, report_of(world))
    await send(world, replace(behind, ready=False, ended=True))
    found = await rollout(world)
    assert (found["live"], found["total"], found["unknown"]) == (1, 1, 0)


async def test_a_successor_in_its_seat_proves_the_end_of_a_silent_process(world: World) -> None:
    await set_up(world)
    await send(world, report_of(world, "killed", applied_revision=0, seat="a"))
    await send(world, report_of(world, "successor", seat="a"))
    assert (await rollout(world))["total"] == 2, "a process that reports has not ended"
    world.clock.now += EXPIRY_SECONDS
    await send(world, report_of(world, "elsewhere", seat="b"), report_of(world, "nowhere", seat=""))
    assert (await rollout(world))["unknown"] == 1
    await send(world, report_of(world, "successor", seat="a"))
    found = await rollout(world)
    assert (found["live"], found["total"], found["unknown"]) == (3, 3, 0)


async def test_a_silent_process_is_forgotten_after_the_operators_time(world: World) -> None:
    await set_up(world)
    await send(world, report_of(world, "silent", applied_revision=0))
    world.clock.now += FORGET_SECONDS - 60
    assert (await rollout(world))["unknown"] == 1
    world.clock.now += 60
    assert (await rollout(world))["unknown"] == 0
    await send(world, report_of(world))
    with world.database.read() as session:
        assert session.get(DataPlaneTable, "silent") is None


async def test_what_traffic_showed_is_kept_and_never_lies_in_the_future(world: World) -> None:
    await set_up(world)
    now = world.clock.now
    await send(
        world,
        report_of(world, seen=(Seen("acme", "openai", "accepted", now - 60),)),
        report_of(world, seen=(Seen("acme", "openai", "rejected", now + 9_999_999),)),
        report_of(world, seen=(Seen("acme", "openai", "accepted", now - 600),)),
    )
    traffic = (await rollout(world))["traffic"]
    assert traffic["accepted_at"] < traffic["rejected_at"] < "2024"


async def test_what_a_provider_said_to_a_replaced_key_is_not_said_of_the_new_key(world: World) -> None:
    await set_up(world)
    at = world.clock.now
    for version, shows in ((7, None), (1, "rejected"), (0, "rejected")):
        await send(world, report_of(world, seen=(Seen("acme", "openai", "rejected", at, version),)))
        traffic = (await rollout(world))["traffic"]
        assert bool(traffic["rejected_at"]) is bool(shows), version


async def test_reports_need_the_fleets_token_and_rollout_a_member(world: World) -> None:
    for bearer in (None, PLATFORM_TOKEN):
        async with world.fleet(bearer) as client:
            answer = await client.post(REPORTS, content=encode_acknowledgement(report_of(world)))
            assert answer.status_code == 401
    async with world.fleet() as client:
        assert (await client.post(REPORTS, content=b"{}")).status_code == 400
    async with world.person(STRANGER) as client:
        assert (await client.get(f"{OPENAI}/rollout")).status_code == 404


async def test_a_process_above_the_counter_proves_lost_commits_and_is_never_live(world: World) -> None:
    await set_up(world)
    ahead = report_of(world)
    lose_commits(world, ahead.applied_revision - 1)
    # This control plane was started after the failover: it has seen nothing of the lost commits.
    database = Database(world.database_url)
    assert LostCommits(database).check().epoch == ahead.epoch
    await send(world, ahead)
    with world.database.read() as session:
        at = counter(session)
    assert (at.epoch != ahead.epoch, at.revision) == (True, ahead.applied_revision - 1)
    assert (await rollout(world))["live"] == 0
    await send(world, replace(ahead, epoch=at.epoch, applied_revision=at.revision))
    assert (await rollout(world))["total"] == 1
    await send(world, ahead)
    with world.database.read() as session:
        assert counter(session) == at, "a report of an epoch that has ended proves nothing"
    database.close()
