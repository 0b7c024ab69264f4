"""Events between the first look at an integration and the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlmodel import Session

from services.control_plane.api.integration_writes import IntegrationEdit, IntegrationWrites, Target
from services.control_plane.rules.integration import KEEP
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.store.changes import PLATFORM, Author, changing
from services.control_plane.store.database import Database
from services.control_plane.store.orgs import live_org, put_member, remove_member
from services.control_plane.store.tables import OrgTable
from shared.secret import Secret
from tests.unit.control_plane.world import KEY, OWNER, World

TARGET = Target("acme", "openai", OWNER, "*")
ADD = IntegrationEdit(Secret(KEY), None, enabled=True)
Write = Callable[[IntegrationWrites], object]
WRITES: dict[str, Write] = {
    "put": lambda writes: writes.put(TARGET, IntegrationEdit(Secret(KEY + "2"), None, enabled=True)),
    "patch": lambda writes: writes.patch(TARGET, IntegrationEdit(None, KEEP, enabled=False)),
    "clear": lambda writes: writes.clear(TARGET),
}


class InterruptedDatabase(Database):
    """A database in which something happens just before the next write takes its lock."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.happens: list[Callable[[], None]] = []

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.happens:
            self.happens.pop()()
        with super().write() as session:
            yield session


@pytest.fixture
def interrupted(world: World) -> Iterator[InterruptedDatabase]:
    database = InterruptedDatabase(world.database_url)
    yield database
    database.close()


def writes_on(world: World, database: Database) -> IntegrationWrites:
    return IntegrationWrites(database, world.memory, b"pepper", world.policy, world.clock)


def demote(session: Session, author: Author, org: OrgTable) -> None:
    put_member(session, author, org, OWNER, "member")


def remove(session: Session, author: Author, org: OrgTable) -> None:
    remove_member(session, author, org, OWNER)


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize(("loss", "problem"), [(demote, Problem.OWNER_REQUIRED), (remove, Problem.NOT_FOUND)])
def test_who_is_no_owner_any_more_at_the_commit_changes_nothing(
    world: World,
    interrupted: InterruptedDatabase,
    name: str,
    loss: Callable[[Session, Author, OrgTable], None],
    problem: Problem,
) -> None:
    writes_on(world, world.database).put(TARGET, ADD, {})
    before = world.snapshot().integrations

    def lose() -> None:
        with changing(world.database) as session:
            org = live_org(session, "acme")
            assert org is not None
            loss(session, Author(PLATFORM, 0.0), org)

    interrupted.happens = [lose]
    with pytest.raises(ProblemError) as caught:
        WRITES[name](writes_on(world, interrupted))
    assert caught.value.problem is problem
    assert interrupted.happens == []
    assert world.snapshot().integrations == before
