"""The REST interface while its database is away: the answers to each caller, and healing by itself."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from services.control_plane.bus.memory import MemoryBus
from services.control_plane.kept_snapshot import KeptSnapshot
from services.control_plane.outbox import OutboxRelay
from services.control_plane.readiness import Readiness
from services.control_plane.rules.problems import TYPE_PREFIX
from services.control_plane.secret_janitor import SecretJanitor
from services.control_plane.secret_sweep import SecretSweep
from services.control_plane.secrets.memory import MemorySecretWriter
from services.control_plane.sign_in.browser import BrowserSignIn
from services.control_plane.sign_in.expiry import SignInExpiry
from services.control_plane.store.advisory_lock import RelayTurn
from services.control_plane.store.changes import begin_epoch, changing, counter
from services.control_plane.store.commit_signal import CommitSignal
from services.control_plane.store.database import POOL_OVERFLOW, POOL_SIZE, Database
from services.control_plane.store.lost_commits import LostCommits
from services.control_plane.store.outage import CommitUnknown, DatabaseUnavailable
from services.control_plane.store.tables import TicketTable
from services.control_plane.worker_threads import WorkerThreads
from shared.memory_stream import MemoryStream
from shared.tasks import TaskSet
from tests.support.commit_cutter import CommitCutter
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.servers.postgres import PostgresServer
from tests.unit.control_plane.world import KEY, OPENAI, OWNER, PLATFORM_TOKEN, FakeClock, World

OWN = {"origin": "http://control-plane.test", "sec-fetch-site": "same-origin"}
PUT = {"api_key": KEY, "enabled": True}


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of this file's own, to be stopped and started."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def world(postgres: PostgresServer, tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, database_url=postgres.new_database())
    yield world
    world.close()


def through(world: World, port: int) -> Database:
    """The world's database, by a proxy."""
    address, _, name = world.database_url.rpartition("/")
    return Database(f"{address.rpartition(':')[0]}:{port}/{name}")


def with_database(world: World, database: Database) -> World:
    """The same control plane on another way to its database."""
    world.writes._database = database
    world.context = replace(
        world.context,
        database=database,
        lost_commits=LostCommits(database),
        snapshots=KeptSnapshot(database, world.fleet_threads),
        readiness=Readiness(database),
        browser=BrowserSignIn(database, world.clock, ""),
    )
    return world


def unavailable(answer: httpx.Response, name: str = "database-unavailable") -> str:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    body = answer.json()
    assert body["type"] == TYPE_PREFIX + name
    detail: str = body["detail"]
    return detail


async def ask_everything(world: World) -> list[httpx.Response]:
    """A request of each kind: reads, writes, a page, a sign-in, the platform's, the fleet's."""
    async with world.person(OWNER) as owner, world.client(PLATFORM_TOKEN) as platform:
        answers = [
            await owner.get("/api/v1/orgs"),
            await owner.get(OPENAI),
            await owner.put(OPENAI, json=PUT, headers={"if-match": "*"}),
            await owner.delete(OPENAI, headers={"if-match": "*"}),
            await platform.put("/api/v1/orgs/new", json={"name": "New"}),
        ]
    async with world.client() as browser:
        answers.append(await browser.post("/sign-in/link", json={"token": "x"}, headers=OWN))
        answers.append(await browser.get("/", headers={"cookie": "aigw-session=x"}))
    async with world.fleet() as fleet:
        answers.append(await fleet.get("/internal/v1/snapshot"))
    return answers


async def test_a_stopped_postgres_is_503_everywhere_and_its_return_needs_no_restart(
    world: World, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    before = world.revision()
    postgres.process.stop()
    try:
        with caplog.at_level(logging.WARNING):
            answers = await ask_everything(world)
    finally:
        postgres.start()
    for answer in answers:
        detail = unavailable(answer)
        assert "the gateway's fault, not the request's, and nothing was changed" in detail
        assert "tell the gateway's operator" in detail
    assert "the database does not answer" in caplog.text
    assert postgres._password not in caplog.text
    assert KEY not in caplog.text
    assert world.revision() == before
    healed = [answer.status_code for answer in await ask_everything(world)]
    assert healed == [200, 200, 200, 200, 200, 401, 303, 200]


async def test_a_postgres_that_restarts_between_two_requests_is_not_noticed(
    world: World, postgres: PostgresServer
) -> None:
    async with world.person(OWNER) as owner:
        assert (await owner.get("/api/v1/orgs")).status_code == 200
        postgres.process.stop()
        postgres.start()
        assert (await owner.get("/api/v1/orgs")).status_code == 200
        assert (await owner.put(OPENAI, json=PUT, headers={"if-match": "*"})).status_code == 200


async def test_a_host_that_swallows_everything_is_503_after_the_connect_timeout(
    world: World, postgres: PostgresServer
) -> None:
    with FaultProxy(postgres.port) as proxy:
        proxy.set(Weather("black_hole"))
        database = through(world, proxy.port)
        async with with_database(world, database).person(OWNER) as owner:
            unavailable(await owner.get("/api/v1/orgs"))
        database.close()


def test_a_host_that_vanishes_under_an_open_connection_is_given_up(world: World) -> None:
    """Only the driver's passing on of these settings is tested; loopback cannot test the kernel's part."""
    with world.database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        chosen = raw.info.get_parameters()
    assert (chosen["tcp_user_timeout"], chosen["connect_timeout"]) == ("10000", "5")
    assert int(chosen["keepalives_idle"]) + 3 * int(chosen["keepalives_interval"]) <= 30


def test_the_operators_own_patience_is_kept(world: World) -> None:
    database = Database(world.database_url + "?connect_timeout=2")
    with database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        assert raw.info.get_parameters()["connect_timeout"] == "2"
    database.close()


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_connection_lost_during_the_commit_is_told_as_unknown(
    world: World, postgres: PostgresServer, *, arrives: bool
) -> None:
    before = world.revision()
    with CommitCutter(postgres.port, arrives=arrives) as cutter:
        database = through(world, cutter.port)
        async with with_database(world, database).person(OWNER) as owner:
            cutter.armed = True
            answer = await owner.put(OPENAI, json=PUT, headers={"if-match": "*"})
            detail = unavailable(answer, "change-uncertain")
            assert "may have been saved, or not" in detail
            assert "Reload" in detail
            assert "nothing was changed" not in detail
            cutter.armed = False
            # The next request is served, and tells the truth.
            state = (await owner.get(OPENAI)).json()["state"]
        database.close()
    assert state == ("enabled" if arrives else "not_set_up")
    assert world.revision() == before + arrives


def test_a_connection_lost_before_the_commit_has_changed_nothing(
    world: World, postgres: PostgresServer
) -> None:
    with FaultProxy(postgres.port) as proxy:
        database = through(world, proxy.port)

        def lose_it() -> None:
            with changing(database) as session:
                proxy.reset_all()
                counter(session)

        with pytest.raises(DatabaseUnavailable) as caught:
            lose_it()
        assert type(caught.value) is DatabaseUnavailable
        database.close()


def test_what_is_lost_as_the_rows_are_written_has_changed_nothing(
    world: World, postgres: PostgresServer
) -> None:
    """The rows go to the database only as the block ends: the COMMIT comes later."""

    def lose_it(database: Database, proxy: FaultProxy) -> None:
        with database.write() as session:
            counter(session)
            session.add(TicketTable(id_hash="x", kind="link", payload="{}", expires_at=0.0))
            proxy.reset_all()

    with FaultProxy(postgres.port) as proxy:
        database = through(world, proxy.port)
        with pytest.raises(DatabaseUnavailable) as caught:
            lose_it(database, proxy)
        assert type(caught.value) is DatabaseUnavailable
        database.close()


def test_the_roll_back_of_a_refused_request_may_find_a_dead_connection(
    world: World, postgres: PostgresServer
) -> None:
    def refuse(database: Database, proxy: FaultProxy) -> None:
        with changing(database):
            proxy.reset_all()
            raise RuntimeError("refused")

    with FaultProxy(postgres.port) as proxy:
        database = through(world, proxy.port)
        with pytest.raises((DatabaseUnavailable, RuntimeError)):
            refuse(database, proxy)
        with database.read() as session:
            counter(session)
        database.close()


def test_a_writer_that_vanished_in_its_transaction_holds_up_the_others_for_seconds_only(world: World) -> None:
    """PostgreSQL itself would wait for a vanished host as long as its kernel does: two hours."""
    vanished = Database(world.database_url, abandoned_seconds=0.3)

    def hold() -> None:
        with changing(vanished), world.database.write() as session:
            begin_epoch(session)
            # What had vanished is here again: it must learn that it has changed nothing.

    with pytest.raises(DatabaseUnavailable) as caught:
        hold()
    assert type(caught.value) is DatabaseUnavailable
    vanished.close()


def test_a_relay_that_vanished_in_its_turn_gives_it_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    vanished = RelayTurn(world.database, abandoned_seconds=0.3)
    assert vanished.take()
    other = RelayTurn(world.database)
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(other.take).result(timeout=20)
    other.give_back()
    vanished.give_back()
    assert caplog.records == []


def test_who_waits_too_long_for_another_writer_is_told_that_nothing_was_changed(world: World) -> None:
    impatient = Database(world.database_url, busy_timeout_seconds=0.2)

    def wait() -> None:
        with changing(impatient):
            raise AssertionError("the lock is another's")

    with changing(world.database), pytest.raises(DatabaseUnavailable, match="lock timeout"):
        wait()
    impatient.close()


def test_a_pool_without_a_free_connection_is_an_outage(world: World) -> None:
    held = [world.database.engine.connect() for _ in range(POOL_SIZE + POOL_OVERFLOW)]
    world.database.engine.pool._timeout = 0.1  # type: ignore[attr-defined]  # QueuePool's; ten seconds otherwise
    with pytest.raises(DatabaseUnavailable, match="QueuePool limit"), world.database.read() as session:
        counter(session)
    for connection in held:
        connection.close()


# -- SQLite


@pytest.fixture
def file_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


async def test_a_locked_sqlite_refuses_writes_by_503_and_serves_reads(file_world: World) -> None:
    patient = Database(file_world.database_url, busy_timeout_seconds=0.1)
    world = with_database(file_world, patient)
    async with world.person(OWNER) as owner:
        with closing(sqlite3.connect(world.folder / "control-plane.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            unavailable(await owner.put(OPENAI, json=PUT, headers={"if-match": "*"}))
            assert (await owner.get(OPENAI)).json()["state"] == "not_set_up"
            other.execute("ROLLBACK")
        assert (await owner.put(OPENAI, json=PUT, headers={"if-match": "*"})).status_code == 200
    patient.close()


def test_a_sqlite_file_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    database = Database(f"sqlite:///{tmp_path / 'folder'}")
    with pytest.raises(DatabaseUnavailable, match="unable to open"), database.read() as session:
        counter(session)
    database.close()


@pytest.mark.parametrize("name", ["outbox relay", "secret sweep", "secret janitor", "sign-in expiry"])
async def test_a_background_task_says_so_in_one_line_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    database, clock = Database(f"sqlite:///{tmp_path / 'folder'}"), FakeClock()
    bus, snapshots = MemoryBus(MemoryStream()), KeptSnapshot(database, WorkerThreads("fleet", 1))
    work = {
        "outbox relay": OutboxRelay(database, bus, CommitSignal(), clock, snapshots).run,
        "secret sweep": SecretSweep(database, MemorySecretWriter(), CommitSignal()).run,
        "secret janitor": SecretJanitor(database, MemorySecretWriter(), clock).run,
        "sign-in expiry": SignInExpiry(database, clock).run,
    }[name]
    tasks = TaskSet()
    task = tasks.start(work(), name)
    async with asyncio.timeout(20):
        while not caplog.records:  # noqa: ASYNC110  # the log is all there is to see
            await asyncio.sleep(0.01)
    assert not task.done()
    await tasks.aclose()
    database.close()
    for record in caplog.records:
        assert (record.levelname, record.exc_info) == ("WARNING", None)
        assert "unable to open database file" in record.getMessage()


def test_a_missing_table_is_a_mistake_of_ours_and_no_outage(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Exception, match="no such table") as caught, database.read() as session:
        counter(session)
    assert not isinstance(caught.value, DatabaseUnavailable)
    database.close()


def test_what_is_unknown_is_an_outage_too_for_whoever_asks_no_further() -> None:
    assert issubclass(CommitUnknown, DatabaseUnavailable)
