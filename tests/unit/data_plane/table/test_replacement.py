"""A snapshot is taken in by slices: changes meanwhile are neither lost nor undone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.table.position import Decision, Position
from services.data_plane.table.replacement import SLICE_ROWS
from shared.config_feed import OrgRow, Snapshot
from tests.support.config_truth import document, row
from tests.support.table_bench import TableBench
from tests.unit.data_plane.table.test_config_table_truth import CHANGES, change, held, told

MANY = 5 * SLICE_ROWS
EVENT, SNAPSHOT, SECRET = 0, 1, 2


def crowd(number: int, revision: int = 1) -> Snapshot:
    orgs = [f"org-{index}" for index in range(number)]
    return Snapshot(
        "epoch-1", revision, tuple(row(org) for org in orgs), tuple(OrgRow(org, org, ()) for org in orgs), ()
    )


def grown(bench: TableBench) -> tuple[int, int]:
    """How much is built beside the table: (integrations, orgs)."""
    becoming = bench.table._becoming
    return (0, 0) if becoming is None else (len(becoming.slots["openai"]), len(becoming.orgs))


def test_no_slice_takes_more_rows_than_its_share() -> None:
    bench = TableBench()
    before = (0, 0)
    for _ in bench.table.apply_in_slices(crowd(MANY)):
        now = grown(bench)
        assert sum(now) - sum(before) <= SLICE_ROWS
        before = now
        assert bench.found("org-0") is NotReady.UNKNOWN, "nothing is told before all is there"
    assert before == (MANY, MANY)
    assert bench.found("org-0") is NotReady.LOADING


def test_cuts_come_in_slices_too() -> None:
    bench = TableBench()
    bench.table.apply_snapshot(crowd(MANY))
    told_before = 0
    for _ in bench.table.apply_in_slices(crowd(1, revision=2)):
        assert len(bench.cuts) - told_before <= SLICE_ROWS
        told_before = len(bench.cuts)
    assert len(bench.cuts) == MANY - 1


async def test_the_last_good_key_serves_when_it_arrives_while_its_successor_is_taken_in() -> None:
    bench = TableBench()
    bench.reader.put(1, document())
    bench.truth.put(row())
    bench.snapshot()
    bench.truth.put(row(version=2))
    slices = bench.table.apply_in_slices(bench.truth.now, 1)
    next(slices)
    await bench.table.load("acme", "openai")
    exhaust(slices)
    found = bench.found()
    assert isinstance(found, CompiledIntegration)
    assert found.secret_version == 1
    assert bench.table.wanted() == [("acme", "openai")]


def test_what_is_cleared_meanwhile_and_there_again_begins_anew() -> None:
    bench = TableBench()
    bench.truth.put(row())
    bench.snapshot()
    cleared = bench.truth.clear("acme", "openai")
    bench.truth.put(row())
    slices = bench.table.apply_in_slices(bench.truth.now, 1)
    next(slices)
    assert bench.table.apply_event(cleared) is Decision.ACCEPT
    assert not bench.table.wanted()
    exhaust(slices)
    assert bench.table.wanted() == [("acme", "openai")]


async def test_a_key_that_could_not_be_read_is_no_unusable_secret_of_its_successor() -> None:
    bench = TableBench(prefetch=False)
    bench.truth.put(row())
    bench.snapshot()
    bench.truth.put(row(version=2))
    slices = bench.table.apply_in_slices(bench.truth.now, 1)
    next(slices)
    await bench.table.load("acme", "openai")
    assert bench.table.unusable
    exhaust(slices)
    assert not bench.table.unusable


def test_events_that_tell_more_meanwhile_win() -> None:
    bench = TableBench()
    bench.snapshot()
    first = bench.truth.put(row())
    old = bench.truth.now
    second = bench.truth.put(row(enabled=False))
    slices = bench.table.apply_in_slices(old, 1)
    next(slices)
    assert bench.table.apply_event(first) is Decision.ACCEPT
    assert bench.table.apply_event(second) is Decision.ACCEPT
    exhaust(slices)
    assert bench.table.position == Position("epoch-1", 2)
    assert bench.found() is NotReady.DISABLED


def test_one_that_is_given_up_changes_nothing() -> None:
    bench = TableBench()
    bench.snapshot()
    slices = bench.table.apply_in_slices(crowd(3), 1)
    next(slices)
    del slices
    assert bench.table._becoming is None
    assert held(bench.table) == told(bench.truth.now)


@pytest.mark.parametrize("prefetch", [True, False])
@settings(max_examples=200, deadline=None)
@given(
    changes=CHANGES,
    schedule=st.lists(st.tuples(st.sampled_from([EVENT, SNAPSHOT, SECRET]), st.integers(0, 24)), max_size=60),
    rows_per_slice=st.integers(1, 4),
)
def test_whatever_comes_between_slices_never_makes_an_untrue_table(
    prefetch: bool,  # noqa: FBT001  # a parameter of the test
    changes: list[tuple[str, int]],
    schedule: list[tuple[int, int]],
    rows_per_slice: int,
) -> None:
    asyncio.run(interleave(TableBench(prefetch=prefetch), changes, schedule, rows_per_slice))


async def interleave(
    bench: TableBench, changes: list[tuple[str, int]], schedule: list[tuple[int, int]], rows_per_slice: int
) -> None:
    for what, number in changes:
        change(bench.truth, what, number)
    for known in bench.truth.now.integrations[::2]:
        bench.reader.put(known.secret_version, document(known.org, known.provider))
    running: Iterator[None] = iter(())
    for step, index in schedule:
        if step == EVENT and bench.truth.events:
            bench.table.apply_event(bench.truth.events[index % len(bench.truth.events)])
        elif step == SECRET:
            await bench.table.load(f"org-{index % 2}", "openai" if index % 4 < 2 else "anthropic")
        elif next(running, "over") == "over":
            snapshot = bench.truth.snapshots[index % len(bench.truth.snapshots)]
            running = bench.table.apply_in_slices(snapshot, rows_per_slice)
        if bench.table.position is not None:
            assert held(bench.table) == told(bench.truth.snapshots[bench.table.position.revision])
    exhaust(running)
    exhaust(bench.table.apply_in_slices(bench.truth.now, rows_per_slice))
    assert held(bench.table) == told(bench.truth.now)
    slots = [slot for by_org in bench.table._slots.values() for slot in by_org.values() if slot.wants_secret]
    wanted = {slot.key for slot in slots if bench.prefetch or slot.compiled is not None}
    assert set(bench.table.wanted()) == wanted
    assert set(bench.table.unusable) <= {slot.key for slot in slots}


def exhaust(slices: Iterator[None]) -> None:
    for _ in slices:
        pass
