"""Another primary, a read-only database, PgBouncer, a rotated password: the control plane goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.control_plane.store.changes import Author, changing, counter, require_commit
from services.control_plane.store.database import Database
from services.control_plane.store.lost_commits import LostCommits
from services.control_plane.store.orgs import live_org, put_org
from services.control_plane.store.outage import DatabaseUnavailable
from tests.contract.control_plane.test_database_outage import PUT, ask_everything, unavailable, with_database
from tests.support.servers.postgres import PgBouncerServer, PostgresServer, StandbyServer, either
from tests.unit.control_plane.world import OPENAI, OWNER, PLATFORM_TOKEN, World

RETRIES = 12
READERS = 8
ROUNDS = 25


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of this file's own: its role and its users change."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def world(postgres: PostgresServer, tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, database_url=postgres.new_database())
    yield world
    world.close()


async def test_a_database_that_turns_read_only_is_503_and_heals_by_itself(
    world: World, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    await ask_everything(world)  # so that connections are pooled
    postgres.set_read_only("on")
    try:
        with caplog.at_level(logging.WARNING):
            answers = await ask_everything(world)
    finally:
        postgres.set_read_only("off")
    for answer in answers:
        unavailable(answer)
    assert "read-only" in caplog.text
    assert "Traceback" not in caplog.text
    assert [answer.status_code for answer in await ask_everything(world)][:5] == [200] * 5


def test_a_write_on_a_pooled_connection_to_a_demoted_server_gives_the_pool_up(
    world: World,
) -> None:
    def write_to_a_standby() -> None:
        with world.database.write() as session:
            session.connection().exec_driver_sql("SET TRANSACTION READ ONLY")
            put_org(session, Author("platform", 1.0), "other", "Other")

    with pytest.raises(DatabaseUnavailable, match="read-only"):
        write_to_a_standby()
    require_commit(world.database)


async def test_writes_that_cannot_commit_use_up_no_version_of_a_secret(
    world: World, postgres: PostgresServer
) -> None:
    async with world.person(OWNER) as owner:
        assert (await owner.put(OPENAI, json=PUT, headers={"if-match": "*"})).status_code == 200
        before = world.memory.stored("acme", "openai")
        postgres.set_read_only("on")
        for _ in range(RETRIES):
            unavailable(await owner.put(OPENAI, json=PUT, headers={"if-match": "*"}))
        postgres.set_read_only("off")
        assert world.memory.stored("acme", "openai") == before
        assert (await owner.put(OPENAI, json=PUT, headers={"if-match": "*"})).status_code == 200


async def test_a_user_who_may_only_read_is_an_outage_and_no_failure_of_the_gateway(
    world: World, postgres: PostgresServer
) -> None:
    name = world.database_url.rpartition("/")[2]
    postgres.run_sql("CREATE ROLE reader LOGIN PASSWORD 'reads-only'")
    with world.database.connection() as connection:
        connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    url = f"postgresql+psycopg://reader:reads-only@127.0.0.1:{postgres.port}/{name}"
    database = Database(url)
    async with with_database(world, database).person(OWNER) as owner:
        assert (await owner.get(OPENAI)).status_code == 200
        unavailable(await owner.put(OPENAI, json=PUT, headers={"if-match": "*"}))
    assert world.memory.stored("acme", "openai") == {}
    database.close()


def test_after_a_failover_that_loses_commits_writes_go_on_in_a_new_epoch(tmp_path: Path) -> None:
    with PostgresServer() as primary, StandbyServer(primary) as standby:
        world = World(tmp_path, database_url=primary.new_database())
        database = Database(either(primary, standby, world.database_url))
        restarted = Database(either(standby, primary, world.database_url))
        for name in ("One", "Two"):
            rename(database, name)
        before = LostCommits(restarted).check()
        while not standby.caught_up():
            pass
        standby.cut_off()
        for name in ("Lost", "Lost too", "And this"):
            rename(database, name)
        primary.process.kill()
        standby.promote()
        rename(database, "After")
        with database.read() as session:
            now, org = counter(session), live_org(session, "acme")
        assert org is not None
        assert org.name == "After"
        assert (now.epoch != before.epoch, now.revision) == (True, before.revision + 1)
        assert LostCommits(restarted).check() == now
        database.close()
        restarted.close()
        world.close()


def rename(database: Database, name: str) -> None:
    with changing(database) as session:
        put_org(session, Author("platform", 1.0), "acme", name)


async def test_behind_pgbouncer_every_answer_is_right(world: World, postgres: PostgresServer) -> None:
    with PgBouncerServer(postgres) as bouncer:
        database = Database(bouncer.url(world.database_url))
        behind = with_database(world, database)
        async with behind.person(OWNER) as owner, behind.client(PLATFORM_TOKEN) as platform:
            first = await owner.put(OPENAI, json=PUT, headers={"if-match": "*"})
            assert first.status_code == 200, first.text

            async def look() -> None:
                for _ in range(ROUNDS):
                    card = await owner.get(OPENAI)
                    assert (card.status_code, card.json()["state"]) == (200, "enabled"), card.text
                    assert (await owner.get("/api/v1/orgs")).status_code == 200
                    assert (await owner.get("/api/v1/orgs/acme/audit")).status_code == 200

            async def change(number: int) -> None:
                for turn in range(ROUNDS):
                    name = f"Org {number} {turn}"
                    answer = await platform.put(f"/api/v1/orgs/org-{number}", json={"name": name})
                    assert answer.status_code in {200, 201}, answer.text

            await asyncio.gather(*(look() for _ in range(READERS)), *(change(n) for n in range(4)))
        database.close()


def test_a_rotated_password_is_read_again_for_new_connections(
    world: World, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    name = world.database_url.rpartition("/")[2]
    postgres.run_sql("CREATE ROLE rotating SUPERUSER LOGIN PASSWORD 'password-one'")
    url = f"postgresql+psycopg://rotating:password-one@127.0.0.1:{postgres.port}/{name}"
    told = [url]
    database = Database(url, reread=lambda: told[-1])
    require_commit(database)
    postgres.run_sql("ALTER ROLE rotating PASSWORD 'password-two'")
    with ThreadPoolExecutor(4) as threads, database.read() as session:
        counter(session)  # so that the pooled connection is in use
        refused = threads.submit(require_commit, database).exception()
        assert isinstance(refused, DatabaseUnavailable)
        told.append(url.replace("one@", "two@"))
        threads.submit(require_commit, database).result()
        told.append("no URL with password-three")
        threads.submit(require_commit, database).result()
    assert "password-" not in caplog.text + str(refused)
    database.close()
