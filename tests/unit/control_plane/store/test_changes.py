"""One-transaction writes: revisions without gaps, audit, events, tombstones."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from services.control_plane.rules.integration import Transition
from services.control_plane.rules.key import KeyLabel
from services.control_plane.store import integrations, nodes, orgs
from services.control_plane.store.changes import Author, changing, counter
from services.control_plane.store.database import Database
from services.control_plane.store.integrations import NewKey
from services.control_plane.store.tables import AuditTable, IntegrationTable, OutboxTable
from shared.config_feed import IntegrationRow, NodeRow, OrgRow
from tests.unit.control_plane.world import MEMBER, OWNER, World

AUTHOR = Author("owner@acme.test", 5.0)
SET_UP = Transition("enabled", "https://api.openai.com/v1", secret=True, changed=("api_key", "enabled"))


def set_up(world: World, version: int = 1) -> None:
    with changing(world.database) as session:
        row = integrations.integration(session, "acme", "openai")
        integrations.apply(session, AUTHOR, row, SET_UP, NewKey(version, KeyLabel("WXYZ", "f" * 12), 0.0))


def test_a_change_takes_one_revision_and_leaves_row_audit_and_event(world: World) -> None:
    before = world.revision()
    set_up(world)
    revision = world.revision()
    assert revision == before + 1
    event = world.events()[-1]
    assert (event.op, event.revision, event.at) == ("put_integration", revision, 5.0)
    assert event.integration == IntegrationRow("acme", "openai", enabled=True, secret_version=1)
    with world.database.read() as session:
        row = session.get(IntegrationTable, ("acme", "openai"))
        assert row is not None
        assert (row.revision, row.updated_at, row.updated_by) == (revision, 5.0, "owner@acme.test")
        entry = session.exec(select(AuditTable).where(AuditTable.revision == revision)).one()
        assert (entry.actor, entry.action, entry.target) == ("owner@acme.test", "integration.put", "openai")


def test_what_fails_midway_leaves_nothing_and_takes_no_revision(world: World) -> None:
    before, events = world.revision(), len(world.events())

    def fail() -> None:
        with changing(world.database) as session:
            row = integrations.integration(session, "acme", "openai")
            integrations.apply(session, AUTHOR, row, SET_UP, NewKey(1, KeyLabel("WXYZ", "f" * 12), 0.0))
            session.flush()
            raise RuntimeError("the process dies here")

    with pytest.raises(RuntimeError, match="dies"):
        fail()
    assert (world.revision(), len(world.events())) == (before, events)
    assert world.snapshot().integrations == ()


def test_concurrent_writers_get_revisions_without_gaps_in_commit_order(world: World) -> None:
    before = world.revision()
    seen: list[int] = []

    def write(name: str) -> None:
        database = Database(world.database_url)  # a connection of its own, as another process has
        for number in range(10):
            with changing(database) as session:
                orgs.put_org(session, AUTHOR, f"org-{name}-{number}", "An org")
                seen.append(counter(session).revision)  # appended under the write lock
        database.close()

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == list(range(before + 1, before + 41))
    with world.database.read() as session:
        assert sorted(session.exec(select(OutboxTable.revision))) == list(range(1, before + 41))


def test_a_reader_sees_one_moment_while_a_writer_commits(world: World) -> None:
    with world.database.read() as session:
        before = counter(session)
        set_up(world)
        assert counter(session) == before
        assert session.get(IntegrationTable, ("acme", "openai")) is None
    assert world.revision() == before.revision + 1


def test_a_cleared_integration_is_a_tombstone_and_in_no_snapshot(world: World) -> None:
    set_up(world, version=4)
    with changing(world.database) as session:
        integrations.clear(session, AUTHOR, integrations.integration(session, "acme", "openai"))
    event = world.events()[-1]
    assert event.op == "clear_integration"
    assert event.integration == IntegrationRow("acme", "openai", enabled=False, secret_version=4)
    assert world.snapshot().integrations == ()
    with world.database.read() as session:
        row = integrations.integration(session, "acme", "openai")
        assert (row.state, row.secret_version, row.destroy_through) == ("not_set_up", 4, 4)
        assert (row.key_last4, row.key_fingerprint, row.endpoint) == ("", "", "")


def test_removing_an_org_clears_its_integrations_first_each_with_its_own_event(world: World) -> None:
    set_up(world)
    with changing(world.database) as session:
        org = orgs.live_org(session, "acme")
        assert org is not None
        integrations.clear_all(session, AUTHOR, "acme")
        orgs.remove_org(session, AUTHOR, org)
    assert [event.op for event in world.events()[-2:]] == ["clear_integration", "remove_org"]
    snapshot = world.snapshot()
    assert (snapshot.orgs, snapshot.integrations) == ((), ())
    with world.database.read() as session:
        assert orgs.role_of(session, "acme", OWNER) is None
    with changing(world.database) as session:
        assert orgs.put_org(session, AUTHOR, "acme", "Acme again")
    with world.database.read() as session:
        assert orgs.role_of(session, "acme", OWNER) is None, "members do not come back with the name"
        assert integrations.integration(session, "acme", "openai").secret_version == 1


def test_the_snapshot_names_orgs_with_their_owners_and_nodes(world: World) -> None:
    node = NodeRow("node-1", "kid-1", "A" * 43)
    with changing(world.database) as session:
        assert nodes.put_node(session, AUTHOR, node)
    with changing(world.database) as session:
        assert not nodes.put_node(session, AUTHOR, node)
    snapshot = world.snapshot()
    assert snapshot.orgs == (OrgRow("acme", "Acme", (OWNER,)),)
    assert snapshot.nodes == (node,)
    with world.database.read() as session:
        assert orgs.role_of(session, "acme", MEMBER) == "member"


def test_rows_of_an_unknown_org_are_impossible(world: World) -> None:
    with pytest.raises(IntegrityError), world.database.write() as session:
        session.add(integrations.never_set_up("nobody", "openai"))


def test_an_error_of_the_database_shows_no_parameter(world: World) -> None:
    row = integrations.never_set_up("nobody", "openai")
    row.key_fingerprint = "parameter-of-a-statement"
    with pytest.raises(IntegrityError) as caught, world.database.write() as session:
        session.add(row)
    assert "parameter-of-a-statement" not in str(caught.value)
