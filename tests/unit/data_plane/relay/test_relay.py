"""The relay as a whole, without a socket: changes, revocations, the sweep of deadlines, and the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from services.data_plane.core.integration import NotReady
from services.data_plane.core.refused import Refused
from services.data_plane.relay.connection_limits import CountedConnection
from services.data_plane.relay.relay import SWEEP_SECONDS
from shared.box_token import Box
from tests.unit.data_plane.relay.whole_relay import (
    ANSWER,
    TO_ANTHROPIC,
    TO_OPENAI,
    WholeRelay,
    integration,
)


@pytest.fixture
async def world() -> AsyncIterator[WholeRelay]:
    made = WholeRelay()
    yield made
    await made.relay.aclose()


@pytest.mark.parametrize(
    ("why", "code"),
    [(NotReady.DISABLED, b"integration_disabled"), (NotReady.MISSING, b"integration_missing")],
)
async def test_a_disabled_or_cleared_integration_aborts_its_own_exchanges_and_no_others(
    world: WholeRelay, why: NotReady, code: bytes
) -> None:
    _, hit = await world.connect(TO_OPENAI)
    _, other_provider = await world.connect(TO_ANTHROPIC)
    _, other_org = await world.connect(TO_OPENAI, org="globex")
    assert world.relay.open_exchanges == 3
    world.table.rows["acme", "openai"] = why
    world.relay.config_changed("acme", "openai")
    await asyncio.sleep(0)
    assert b"x-run9-error: " + code + b"\r\n" in hit.written
    assert b"https://portal.example" in hit.written
    assert (other_provider.written, other_org.written, world.relay.open_exchanges) == (b"", b"", 2)


async def test_a_rotated_key_lets_exchanges_finish_and_keeps_the_connections(world: WholeRelay) -> None:
    _, box = await world.connect(TO_OPENAI)
    world.table.rows["acme", "openai"] = integration("openai")
    world.relay.config_changed("acme", "openai")
    await world.answer()
    assert (box.written, len(world.relay.parts.pool)) == (ANSWER, 1)
    world.relay.config_changed("acme", "openai")
    assert len(world.relay.parts.pool) == 1


async def test_a_moved_endpoint_closes_the_idle_connections_to_the_former_one_and_no_others(
    world: WholeRelay,
) -> None:
    world.table.rows["acme", "openai"] = integration("openai", "former.example")
    for asks, org in ((TO_OPENAI, "acme"), (TO_ANTHROPIC, "acme"), (TO_OPENAI, "globex")):
        await world.connect(asks, org)
    await world.answer()
    assert len(world.relay.parts.pool) == 3
    world.table.rows["acme", "openai"] = integration("openai", "moved.example")
    world.relay.config_changed("acme", "openai")
    assert [transport.ended for _, _, transport in world.egress.connections] == ["close", "", ""]


async def test_a_revocation_ends_the_connections_of_the_revoked_boxes_busy_or_idle(world: WholeRelay) -> None:
    _, busy = await world.connect(TO_OPENAI)
    idle_connection, idle = await world.connect(TO_OPENAI)
    _, other = await world.connect(TO_OPENAI, org="globex")
    _, unidentified = await world.connect()
    world.egress.connections[1][1].data_received(ANSWER)
    await asyncio.sleep(0)
    assert idle_connection.idle_since() is not None
    world.relay.revoke(lambda box: box.org == "acme", "its node was removed")
    await asyncio.sleep(0)
    assert b"x-run9-error: box_identity_required" in busy.written
    assert (idle.ended, other.ended, other.written, unidentified.ended) == ("close", "", b"", "")


class Failing(CountedConnection):
    """A connection of a revoked box, failing at every call."""

    def __init__(self) -> None:
        self.box, self.load = Box("acme", "box-1", "life-1", 0.0), None
        self.fails = True
        self.checks = 0

    def check_deadlines(self, now: float, unix_seconds: float) -> None:
        self.checks += 1
        if self.fails:
            raise RuntimeError(now, unix_seconds)

    def abort_exchange(self, refused: Refused, provider: str = "") -> None:
        raise RuntimeError(provider) from refused

    def revoke(self, refused: Refused) -> None:
        raise RuntimeError from refused

    def break_off(self) -> None:
        pass


async def test_a_connection_that_cannot_be_ended_keeps_no_other_from_its_end(
    world: WholeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    connections = world.relay.connection_limits.connections
    await world.connect(TO_OPENAI)
    connections.add(Failing())
    connections.add(Failing())
    world.relay.revoke(lambda _: True, "its node was removed")
    assert [line.message for line in caplog.records] == ["a revoked connection could not be ended"] * 2
    assert world.relay.open_exchanges == 0


async def _sweeps(count: int) -> None:
    await asyncio.sleep(SWEEP_SECONDS * count + SWEEP_SECONDS / 2)


async def test_a_connection_that_fails_in_every_sweep_is_logged_once_and_the_others_are_swept(
    world: WholeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    await world.connect()
    failing, sound = Failing(), Failing()
    sound.fails = False
    world.relay.connection_limits.connections |= {failing, sound}
    await _sweeps(2)
    assert min(failing.checks, sound.checks) >= 2
    assert [line.message for line in caplog.records] == ["a deadline could not be enforced"]


class FailingPool:
    """Fails as the pool in a sweep, as often as told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.sweeps = 0

    def close_unused(self, _now: float) -> None:
        self.sweeps += 1
        if self.sweeps <= self.failures:
            raise RuntimeError

    def close(self) -> None:
        pass


class CountingPrewarmer:
    """Counts the sweeps reaching the step behind the pool."""

    def __init__(self) -> None:
        self.sweeps = 0

    def open_due(self, _now: float) -> None:
        self.sweeps += 1

    async def aclose(self) -> None:
        pass


async def test_a_step_that_fails_ends_neither_the_sweep_nor_the_sweeping_and_is_logged_once(
    world: WholeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    pool, prewarmer = FailingPool(2), CountingPrewarmer()
    world.relay.parts.pool, world.relay.prewarmer = cast("Any", pool), cast("Any", prewarmer)
    await world.connect()
    await _sweeps(3)
    assert pool.sweeps == prewarmer.sweeps >= 4
    logged = [(line.levelno, line.message) for line in caplog.records]
    assert logged == [(logging.ERROR, "the sweep of unused upstream connections failed")]
    assert world.relay._failing == set()


async def test_the_sweep_begins_with_the_first_connection_and_runs_once_for_all(world: WholeRelay) -> None:
    prewarmer = CountingPrewarmer()
    world.relay.prewarmer = cast("Any", prewarmer)
    assert world.relay._sweeper is None
    for _ in range(5):
        await world.connect()
    assert prewarmer.sweeps == 1


async def test_the_end_answers_the_waiting_breaks_the_begun_and_closes_the_idle() -> None:
    world = WholeRelay()
    _, waiting = await world.connect(TO_OPENAI)
    _, begun = await world.connect(TO_ANTHROPIC)
    _, idle = await world.connect()
    world.egress.connections[1][1].data_received(ANSWER[:-1])
    await asyncio.sleep(0)
    await world.relay.aclose()
    assert b"x-run9-error: config_unavailable" in waiting.written
    assert b"this gateway process is stopping" in waiting.written
    assert [transport.closing for transport in (waiting, begun, idle)] == [True] * 3
    assert (begun.ended, world.relay.open_exchanges) == ("abort", 0)
    assert [transport.closing for _, _, transport in world.egress.connections] == [True, True]
    assert sorted(record.outcome for record in world.books.records) == ["cut", "rejected"]
