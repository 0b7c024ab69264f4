"""Sessions and tickets in the database: when rows are gone, and how many go at once."""

from __future__ import annotations

from sqlmodel import Session, SQLModel, func, select

from services.control_plane.sign_in.bearer import Person
from services.control_plane.store import sessions
from services.control_plane.store.sessions import MAX_FORGOTTEN_ROWS, MAX_TICKETS
from services.control_plane.store.tables import SessionTable, TicketTable
from tests.unit.control_plane.world import OWNER, World

MORE_THAN_A_BATCH = MAX_FORGOTTEN_ROWS + 10


def count(session: Session, table: type[SQLModel]) -> int:
    return session.exec(select(func.count()).select_from(table)).one()


def fill(world: World, expires_at: float) -> None:
    with world.database.quiet_write() as session:
        for number in range(MORE_THAN_A_BATCH):
            session.add(
                SessionTable(id_hash=f"s{number}", email=OWNER, created_at=0.0, expires_at=expires_at)
            )
            session.add(TicketTable(id_hash=f"t{number}", kind="link", payload="{}", expires_at=expires_at))


def test_what_has_expired_goes_in_batches_and_what_has_not_stays(world: World) -> None:
    fill(world, 100.0)
    with world.database.quiet_write() as session:
        sessions.add_session(session, "live", OWNER, now=50.0, expires_at=200.0)
        assert sessions.forget_expired(session, now=99.0) == 0
        assert sessions.forget_expired(session, now=100.0) == 2 * MAX_FORGOTTEN_ROWS
        assert sessions.forget_expired(session, now=100.0) == 2 * 10
        assert sessions.forget_expired(session, now=100.0) == 0
        assert sessions.session_email(session, "live", now=100.0) == OWNER


def test_a_sign_in_after_a_long_pause_does_not_work_off_all_of_it(world: World) -> None:
    fill(world, 100.0)
    with world.database.quiet_write() as session:
        sessions.add_session(session, "new", OWNER, now=100.0, expires_at=200.0)
        assert count(session, SessionTable) == 10 + 1


def test_a_ticket_that_was_never_made_takes_no_write_lock(world: World) -> None:
    """Anybody may come with a made-up ticket: on SQLite a writer keeps every other waiting."""
    browser = world.context.browser
    with world.database.quiet_write() as session:
        sessions.add_session(session, "held", OWNER, now=0.0, expires_at=1.0)
        session.flush()
        assert browser.use_link_token("made up") is None
    token = browser.new_link_token(OWNER)
    assert browser.use_link_token(token) == Person(OWNER)
    assert browser.use_link_token(token) is None


def test_tickets_of_a_kind_are_bounded_and_the_oldest_makes_room(world: World) -> None:
    with world.database.quiet_write() as session:
        for number in range(MAX_TICKETS):
            session.add(
                TicketTable(id_hash=f"t{number}", kind="oidc", payload="{}", expires_at=1_000.0 + number)
            )
        sessions.add_ticket(session, "link", "link", {}, now=0.0, life=10.0)
        sessions.add_ticket(session, "newest", "oidc", {}, now=0.0, life=900_000.0)
        session.flush()
        assert count(session, TicketTable) == MAX_TICKETS + 1
        assert not sessions.has_ticket(session, "t0")
        assert all(sessions.has_ticket(session, there) for there in ("t1", "link", "newest"))
