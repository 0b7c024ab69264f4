"""`/metrics` of the control plane: events are counted, an unknown number has no sample, no org is named."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.control_plane.bus.memory import MemoryBus
from services.control_plane.gauges import watch_database, watch_publisher, watch_requests, watch_vault
from services.control_plane.kept_snapshot import KeptSnapshot
from services.control_plane.outbox import OutboxRelay
from services.control_plane.outbox_backlog import OutboxBacklog
from services.control_plane.rules.problems import Problem
from services.control_plane.store.changes import counter
from services.control_plane.store.commit_signal import CommitSignal
from services.control_plane.store.database import Database
from services.control_plane.store.outage import DatabaseUnavailable
from shared.memory_stream import MemoryStream
from shared.secret import Secret
from shared.vault_session import VaultFailure, VaultSession
from shared.vault_target import parse_vault_url
from tests.unit.control_plane.world import KEY, OPENAI, OWNER, World

Samples = dict[tuple[str, str], float]


def _samples(text: str) -> Samples:
    found = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(one.name, next(iter(one.labels.values()), "")): one.value for one in found}


async def _scraped(world: World) -> Samples:
    async with world.fleet(bearer=None) as scraper:
        answer = await scraper.get("/metrics")
    assert answer.status_code == httpx.codes.OK
    assert answer.headers["content-type"].startswith("text/plain")
    assert KEY not in answer.text
    assert "acme" not in answer.text
    return _samples(answer.text)


def _publisher(world: World) -> tuple[OutboxRelay, OutboxBacklog]:
    bus, snapshots = MemoryBus(MemoryStream()), KeptSnapshot(world.database, world.fleet_threads)
    relay = OutboxRelay(world.database, bus, CommitSignal(), world.clock, snapshots)
    return relay, OutboxBacklog(world.database, world.clock)


async def test_the_backlog_and_its_age_go_to_zero_when_events_are_published(world: World) -> None:
    relay, backlog = _publisher(world)
    watch_publisher(world.context.metrics, relay, backlog)
    unknown = await _scraped(world)
    assert ("aigw_control_outbox_events", "") not in unknown
    assert ("aigw_control_outbox_oldest_seconds", "") not in unknown
    await backlog.look()
    before = await _scraped(world)
    waiting = world.revision()
    assert before["aigw_control_outbox_events", ""] == waiting > 0
    assert before["aigw_control_outbox_oldest_seconds", ""] > 0
    assert await relay.relay_batch() == waiting
    await backlog.look()
    after = await _scraped(world)
    assert after["aigw_control_outbox_events", ""] == 0
    assert after["aigw_control_outbox_oldest_seconds", ""] == 0
    assert after["aigw_control_events_published_total", ""] == waiting


async def test_a_database_that_is_away_makes_the_backlog_unknown_and_is_counted(world: World) -> None:
    away = Database(f"sqlite:///{world.folder / 'gone' / 'file.db'}")
    (world.folder / "gone").rmdir()
    backlog = OutboxBacklog(away, world.clock)
    await backlog.look()
    assert backlog.oldest_seconds is None
    watch_database(world.context.metrics, replace(world.context, database=away))
    assert (await _scraped(world))["aigw_control_database_outages_total", ""] == 1
    away.close()


async def test_connections_in_use_are_those_that_transactions_hold(world: World) -> None:
    watch_database(world.context.metrics, world.context)
    with world.database.read() as session:
        counter(session)
        during = await _scraped(world)
    after = await _scraped(world)
    name = "aigw_control_database_connections"
    assert (during[name, ""], after[name, ""]) == (1, 0)
    assert during["aigw_control_database_max_connections", ""] > 1


async def test_a_change_that_is_rolled_back_is_not_counted(world: World) -> None:
    before = world.database.changes["put_integration"]
    async with world.person(OWNER) as owner:
        refused = await owner.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": '"9"'})
        assert refused.status_code == httpx.codes.PRECONDITION_FAILED
        assert world.database.changes["put_integration"] == before
        etag = (await owner.get(OPENAI)).headers["etag"]
        head = {"if-match": etag}
        (await owner.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers=head)).raise_for_status()
    watch_requests(world.context.metrics, world.context)
    samples = await _scraped(world)
    assert samples["aigw_control_changes_total", "put_integration"] == before + 1
    assert samples["aigw_control_changes_total", "put_org"] > 0


async def test_requests_are_counted_by_route_and_class_and_probes_are_not(world: World) -> None:
    watch_requests(world.context.metrics, world.context)
    async with world.person(OWNER) as owner, world.fleet() as fleet:
        await owner.get(OPENAI)
        await owner.get("/api/v1/orgs/nowhere")
        await owner.get("/no-such-page")
        await fleet.get("/internal/v1/snapshot")
        await fleet.get("/livez")
    world.context.shares.refused[Problem.TOO_MANY_CHANGES] += 3
    world.context.connection_caps.note("evicted", "fleet", 1024)
    samples = await _scraped(world)
    assert samples["aigw_control_connections_evicted_total", "fleet"] == 1
    assert samples["aigw_control_connections_evicted_total", "rest"] == 0
    assert samples["aigw_control_connections_refused_total", "fleet"] == 0
    assert samples["aigw_control_api_requests_total", "2xx"] == 1
    assert samples["aigw_control_api_requests_total", "4xx"] == 1
    assert samples["aigw_control_portal_requests_total", "4xx"] == 1
    assert samples["aigw_control_fleet_requests_total", "2xx"] == 1
    assert samples["aigw_control_api_requests_total", "5xx"] == 0
    assert samples["aigw_control_refused_by_limit_total", "too_many_changes"] == 3


async def test_calls_of_a_vault_that_is_away_are_failures_and_the_tokens_life_is_unknown(
    world: World,
) -> None:
    target = parse_vault_url("vault://127.0.0.1:1/secret?tls=off&auth=token")
    session = VaultSession(target, Secret("token-of-tests"), monotonic=lambda: 0.0, random=lambda: 0.5)
    watch_vault(world.context.metrics, session)
    with pytest.raises(VaultFailure):
        await asyncio.to_thread(session.call, lambda client: client.sys.read_health_status())
    samples = await _scraped(world)
    assert samples["aigw_control_vault_calls_total", ""] == 1
    assert samples["aigw_control_vault_failures_total", ""] == 1
    assert ("aigw_control_vault_token_left_seconds", "") not in samples
    session.close()


def test_an_outage_inside_a_write_is_counted_once(world: World) -> None:
    with pytest.raises(DatabaseUnavailable), world.database.write():
        raise DatabaseUnavailable("away")
    assert world.database.outages == 1
