"""Which connections are opened ahead of a request, and when: on a fake dialer, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.relay.upstream.connection import ResponseUser, UpstreamConnection
from services.data_plane.relay.upstream.dial import Dialer
from services.data_plane.relay.upstream.pool import Pool
from services.data_plane.relay.upstream.prewarm import (
    FIRST_WAIT_SECONDS,
    MAX_WAIT_SECONDS,
    MAX_WARM_DIALS,
    Prewarmer,
)
from services.data_plane.relay.wire.write_batch import WriteBatch
from services.data_plane.table.compile import compile_integration
from shared.config_feed import IntegrationRow
from shared.endpoint import Endpoint
from shared.rejections import Rejection
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.unit.data_plane.relay.fake_transport import FakeTransport

FAR = 10_000.0


class FakeDialer(Dialer):
    """Connects at once, or as the test says."""

    def __init__(self) -> None:
        self.dialled = self.running = self.most_running = 0
        self.failing = self.dying = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def dial(
        self,
        endpoint: Endpoint,  # noqa: ARG002  # nothing is really dialled
        factory: Callable[[], UpstreamConnection],
    ) -> UpstreamConnection:
        self.dialled += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.go_on.wait()
        finally:
            self.running -= 1
        if self.failing:
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, "the test says so")
        connection = factory()
        connection.connection_made(FakeTransport())
        if self.dying:
            connection.connection_lost(None)
        return connection


def integration(org: str) -> CompiledIntegration:
    row = IntegrationRow(org, "openai", enabled=True, secret_version=1)
    document = SecretDocument(org, "openai", "https://provider.example/v1", Secret("sk-not-a-key-0123456789"))
    return compile_integration(row, document, allow_plain_http=False)


@dataclass
class World:
    """A warmer with its pool and its configuration."""

    limits: RelayLimits = field(default_factory=RelayLimits)
    configured: dict[tuple[str, str], CompiledIntegration] = field(default_factory=dict)
    dialer: FakeDialer = field(default_factory=FakeDialer)

    def __post_init__(self) -> None:
        self.pool = Pool(self.dialer, self.limits, WriteBatch(), TemplateStore())
        self.warmer = Prewarmer(self.pool, self.configured.get, self.limits)
        self.pool.on_lost = self.warmer.lost

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def configure(self, org: str = "acme") -> CompiledIntegration:
        one = integration(org)
        self.configured[one.pool_key] = one
        return one

    async def used(self, one: CompiledIntegration, *, seconds_ago: float = 0.0) -> UpstreamConnection:
        """An idle connection whose last request was over some seconds ago."""
        connection = await self.pool.connect(one)
        self.pool.put_back(connection, self.now - seconds_ago)
        return connection

    async def look(self, seconds_later: float = 0.0) -> int:
        """Let the warmer look, so much later; gives the number of connections dialled by then."""
        before = self.dialer.dialled
        self.warmer.open_due(self.now + seconds_later)
        await asyncio.sleep(0.01)
        return self.dialer.dialled - before


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.warmer.aclose()


def closed_by_provider(connection: UpstreamConnection) -> None:
    connection._transport.close()
    connection.connection_lost(None)


async def test_a_lost_last_connection_is_replaced_once(world: World) -> None:
    one = world.configure()
    closed_by_provider(await world.used(one))
    assert (await world.look(), await world.look()) == (1, 0)
    assert (world.pool.idle_count(one.pool_key), world.warmer.opened) == (1, 1)


async def test_what_waits_opened_counts_as_pooled_for_whoever_uses_it(world: World) -> None:
    one = world.configure()
    closed_by_provider(await world.used(one))
    await world.look()
    taken = world.pool.take(one)
    assert taken is not None
    assert taken.used


async def test_none_is_opened_while_another_is_idle(world: World) -> None:
    one = world.configure()
    first = await world.used(one)
    await world.used(one)
    closed_by_provider(first)
    assert await world.look() == 0


async def test_none_is_opened_when_a_request_has_brought_one_meanwhile(world: World) -> None:
    one = world.configure()
    closed_by_provider(await world.used(one))
    await world.used(one)
    assert await world.look() == 0


async def test_one_that_was_given_up_in_the_middle_of_a_request_is_replaced_too(world: World) -> None:
    connection = await world.pool.connect(world.configure())
    connection._user = ResponseUser()
    connection.abort()
    connection.connection_lost(None)
    assert await world.look() == 1


async def test_none_is_opened_for_an_endpoint_that_was_never_used_or_not_of_late(world: World) -> None:
    one = world.configure()
    closed_by_provider(await world.pool.connect(one))
    assert await world.look() == 0
    closed_by_provider(await world.used(one, seconds_ago=world.limits.warm_upstream_seconds + 1))
    assert await world.look() == 0


async def test_one_that_is_wanted_for_too_long_is_forgotten(world: World) -> None:
    closed_by_provider(await world.used(world.configure()))
    assert await world.look(world.limits.warm_upstream_seconds + 1) == 0
    assert not world.warmer._wanted


async def test_none_is_opened_for_what_is_not_configured_any_more(world: World) -> None:
    one = world.configure()
    closed_by_provider(await world.used(one))
    world.configured.clear()
    assert await world.look() == 0


async def test_one_whose_integration_goes_while_it_is_dialled_is_closed(world: World) -> None:
    one = world.configure()
    closed_by_provider(await world.used(one))
    world.dialer.go_on.clear()
    assert await world.look() == 1
    world.configured.clear()
    world.dialer.go_on.set()
    await asyncio.sleep(0.01)
    assert (len(world.pool), world.warmer.opened) == (0, 0)


@pytest.mark.parametrize("how", ["failing", "dying"])
async def test_after_a_failure_the_next_attempt_waits_twice_as_long(world: World, how: str) -> None:
    one = world.configure()
    closed_by_provider(await world.used(one))
    setattr(world.dialer, how, True)
    assert await world.look() == 1
    wait = FIRST_WAIT_SECONDS
    for failed in range(1, 9):
        assert world.warmer.failed == failed
        want = world.warmer._wanted[one.pool_key]
        assert want.waited_seconds == min(wait, MAX_WAIT_SECONDS)
        assert await world.look(want.waited_seconds - 0.5) == 0
        assert await world.look(want.waited_seconds) == 1
        wait *= 2
    assert len(world.pool) == 0


async def test_one_that_nobody_used_is_replaced_ever_later_and_one_that_was_used_at_once(
    world: World,
) -> None:
    one = world.configure()
    closed_by_provider(await world.used(one))
    await world.look()
    unused = next(iter(world.pool._by_age))
    closed_by_provider(unused)
    assert (await world.look(), await world.look(FIRST_WAIT_SECONDS)) == (0, 1)
    taken = world.pool.take(one)
    assert taken is not None
    world.pool.put_back(taken, world.now)
    closed_by_provider(taken)
    assert (world.warmer.used, await world.look()) == (1, 1)


async def test_only_so_many_are_dialled_at_once(world: World) -> None:
    for number in range(3 * MAX_WARM_DIALS):
        closed_by_provider(await world.used(world.configure(f"org-{number}")))
    world.dialer.go_on.clear()
    assert await world.look() == MAX_WARM_DIALS
    assert await world.look() == 0
    world.dialer.go_on.set()
    await asyncio.sleep(0.01)
    while await world.look():
        pass
    assert (world.warmer.opened, world.dialer.most_running) == (3 * MAX_WARM_DIALS, MAX_WARM_DIALS)


async def test_no_endpoint_is_dialled_twice_at_once(world: World) -> None:
    one = world.configure()
    first = await world.used(one)
    second = await world.used(one)
    assert world.pool.take(one) is second
    closed_by_provider(first)
    world.dialer.go_on.clear()
    assert await world.look() == 1
    closed_by_provider(second)
    assert one.pool_key in world.warmer._wanted
    assert await world.look() == 0


@pytest.mark.parametrize("number", [0, 1, 3])
async def test_as_many_as_are_asked_for_are_kept_open(number: int) -> None:
    world = World(RelayLimits(warm_upstreams_per_endpoint=number))
    one = world.configure()
    closed_by_provider(await world.used(one))
    while await world.look():
        pass
    assert world.pool.idle_count(one.pool_key) == number
    await world.warmer.aclose()


async def test_a_full_pool_gives_up_none_for_one_that_nobody_asked_for() -> None:
    world = World(RelayLimits(max_idle_upstreams=1))
    first, other = world.configure("acme"), world.configure("other")
    lost = await world.used(first)
    await world.used(other)  # which pushes the first one out
    assert lost._transport.is_closing()
    lost.connection_lost(None)
    assert await world.look() == 0
    assert world.pool.idle_count(other.pool_key) == 1
    await world.warmer.aclose()


async def test_the_end_of_the_process_ends_a_dial_and_begins_none(world: World) -> None:
    one = world.configure()
    idle = await world.used(world.configure("other"))
    closed_by_provider(await world.used(one))
    world.dialer.go_on.clear()
    await world.look()
    await world.warmer.aclose()
    assert world.dialer.running == 0
    closed_by_provider(idle)
    assert await world.look() == 0


async def test_nothing_is_kept_of_what_has_ended(world: World) -> None:
    one = world.configure()
    for _ in range(5):
        closed_by_provider(await world.used(one))
        await world.look()
        for connection in list(world.pool._by_age):
            closed_by_provider(connection)
    assert world.warmer._open == {}
    assert world.warmer._dialling == set()
    assert len(world.warmer._wanted) <= 1
