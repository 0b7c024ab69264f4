"""Which positions prove a loss of commits in the database; a new epoch then begins at once."""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlmodel import col, select

from services.control_plane.store.changes import Author, Counter, changing, counter
from services.control_plane.store.database import Database
from services.control_plane.store.lost_commits import LostCommits
from services.control_plane.store.orgs import put_org
from services.control_plane.store.tables import CounterRow, OutboxTable
from tests.unit.control_plane.world import World


def at(world: World) -> Counter:
    with world.database.read() as session:
        return counter(session)


def commit(database: Database, name: str) -> None:
    with changing(database) as session:
        put_org(session, Author("platform", 1.0), "acme", name)


def lose(world: World, commits: int) -> Counter:
    """Take the last commits away, as a failover does; give where the database was before."""
    before = at(world)
    left = before.revision - commits
    with world.database.quiet_write() as session:
        session.execute(update(CounterRow).values(revision=left))
        session.execute(delete(OutboxTable).where(col(OutboxTable.revision) > left))
    return before


def test_the_next_change_after_a_loss_is_the_first_of_a_new_epoch(world: World) -> None:
    before = lose(world, 2)
    commit(world.database, "Renamed")
    now = at(world)
    assert now.epoch != before.epoch
    assert now.revision == before.revision - 1
    commit(world.database, "Renamed again")
    assert at(world) == Counter(now.epoch, now.revision + 1)


def test_a_look_at_the_counter_notices_a_loss_too(world: World) -> None:
    before = lose(world, 1)
    assert LostCommits(world.database).check().epoch != before.epoch
    assert at(world).revision == before.revision - 1


def test_a_loss_of_the_new_epoch_itself_is_noticed(world: World) -> None:
    lost = LostCommits(world.database)
    first = lost.check()
    lose(world, 1)
    second = lost.check()
    with world.database.quiet_write() as session:
        session.execute(update(CounterRow).values(epoch=first.epoch))
    assert lost.check().epoch not in {first.epoch, second.epoch}


def test_a_position_at_the_counter_or_of_another_epoch_proves_nothing(world: World) -> None:
    lost, here = LostCommits(world.database), at(world)
    assert not lost.suspect(here, "a test")
    assert not lost.suspect(Counter("another", here.revision + 9), "a test")
    assert at(world) == here


def test_a_position_above_the_counter_begins_one_new_epoch(world: World) -> None:
    before = at(world)
    ahead = Counter(before.epoch, before.revision + 1)
    assert LostCommits(world.database).suspect(ahead, "a test")
    now = at(world)
    assert (now.epoch != before.epoch, now.revision) == (True, before.revision)
    assert not LostCommits(world.database).suspect(ahead, "a test")
    assert at(world) == now


def test_another_change_at_a_known_revision_begins_one_new_epoch(world: World) -> None:
    before = at(world)
    for _ in range(2):
        LostCommits(world.database).contradicted(before, "a test")
    assert at(world).epoch != before.epoch
    epoch = at(world).epoch
    LostCommits(world.database).contradicted(before, "a test")
    assert at(world).epoch == epoch


def test_events_of_the_epoch_that_ends_are_not_published_any_more(world: World) -> None:
    lose(world, 1)
    LostCommits(world.database).check()
    with world.database.read() as session:
        rows = session.exec(select(OutboxTable)).all()
    assert rows
    assert all(row.published_at is not None for row in rows)
