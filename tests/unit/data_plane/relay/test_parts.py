"""The shared parts: how a connection with its secret is brought, and the names in a rejection's sentence."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.refused import Refused
from services.data_plane.relay.parts import new_request_id
from services.data_plane.relay.upstream.connection import UpstreamConnection
from services.data_plane.table.compile import compile_integration
from shared.config_feed import IntegrationRow
from shared.endpoint import Endpoint
from shared.providers import PROVIDERS, ProviderName
from shared.rejections import Place, Rejection
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.support.exchange_records import exchange_record
from tests.unit.data_plane.relay.relay_world import INTEGRATION, FakeDialer, HeldTable, RelayWorld

OPENAI = PROVIDERS["openai"]


def integration(endpoint: str, version: int = 2) -> CompiledIntegration:
    row = IntegrationRow("acme", "openai", enabled=True, secret_version=version)
    document = SecretDocument("acme", "openai", endpoint, Secret("sk-not-a-key-0123456789"))
    return compile_integration(row, document, allow_plain_http=False)


MOVED = integration("https://moved.example/v1")
ROTATED = integration("https://provider.example/v1")


class LoadedTable(HeldTable):
    """A table whose secret arrives with `load`."""

    def __init__(self, arrives: CompiledIntegration | NotReady) -> None:
        super().__init__(NotReady.LOADING)
        self._arrives = arrives
        self.loads: list[tuple[str, str]] = []

    async def load(self, org: str, provider: ProviderName) -> None:
        self.loads.append((org, provider))
        self.found = self._arrives


class ChangingDialer(FakeDialer):
    """Has the configuration change while a first connection is made."""

    def __init__(self, table: HeldTable, to: CompiledIntegration | NotReady) -> None:
        super().__init__()
        self._table, self._to = table, to
        self.dialled: list[Endpoint] = []

    async def dial(self, endpoint: Endpoint, factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        self.dialled.append(endpoint)
        self._table.found = self._to
        return await super().dial(endpoint, factory)


async def bring(world: RelayWorld, *, fresh: bool = False) -> tuple[CompiledIntegration, UpstreamConnection]:
    found = world.parts.table.look_up("acme", "openai")
    record = exchange_record(org="acme")
    return await world.parts.bring_connection(record, "openai", found, fresh=fresh)


async def test_a_pooled_connection_is_taken_unless_a_fresh_one_is_wanted() -> None:
    world = RelayWorld()
    pooled = await world.parts.pool.connect(INTEGRATION)
    world.parts.pool.put_back(pooled, world.parts.now())
    integration, fresh = await bring(world, fresh=True)
    assert (integration is INTEGRATION, fresh is pooled, len(world.dialer.connections)) == (True, False, 2)
    assert await bring(world) == (INTEGRATION, pooled)


async def test_the_time_for_a_new_connection_is_noted_and_a_pooled_one_takes_none() -> None:
    world, record = RelayWorld(), exchange_record(org="acme")
    found = world.parts.table.look_up("acme", "openai")
    ticks = iter((10.0, 10.25))
    world.parts.now = lambda: next(ticks)
    _, connection = await world.parts.bring_connection(record, "openai", found, fresh=False)
    assert record.seconds_to_connect == 0.25
    world.parts.pool.put_back(connection, 11.0)
    again = exchange_record(org="acme")
    await world.parts.bring_connection(again, "openai", found, fresh=False)
    assert again.seconds_to_connect == 0


async def test_a_secret_that_is_not_in_memory_is_loaded_first() -> None:
    world = RelayWorld()
    table = world.parts.table = LoadedTable(INTEGRATION)
    assert (await bring(world))[0] is INTEGRATION
    assert table.loads == [("acme", "openai")]


@pytest.mark.parametrize(
    ("arrives", "rejection"),
    [
        (NotReady.LOADING, Rejection.CONFIG_UNAVAILABLE),
        (NotReady.DISABLED, Rejection.INTEGRATION_DISABLED),
        (NotReady.MISSING, Rejection.INTEGRATION_MISSING),
    ],
)
async def test_a_secret_that_does_not_arrive_is_refused_by_its_reason_and_nothing_is_dialled(
    arrives: NotReady, rejection: Rejection
) -> None:
    world = RelayWorld()
    world.parts.table = LoadedTable(arrives)
    with pytest.raises(Refused) as caught:
        await bring(world)
    assert (caught.value.rejection, world.dialer.connections) == (rejection, [])


async def test_a_key_rotated_during_the_dial_is_the_key_that_is_given() -> None:
    world = RelayWorld()
    dialer = ChangingDialer(world.table, ROTATED)
    world.parts.pool._dialer = dialer
    assert (await bring(world))[0] is ROTATED
    assert len(dialer.connections) == 1


async def test_an_endpoint_moved_during_the_dial_closes_the_connection_to_the_former_one() -> None:
    world = RelayWorld()
    dialer = ChangingDialer(world.table, MOVED)
    world.parts.pool._dialer = dialer
    integration, upstream = await bring(world)
    assert (integration, upstream) == (MOVED, dialer.connections[1])
    assert [endpoint.host for endpoint in dialer.dialled] == ["provider.example", "moved.example"]
    assert [transport.ended for transport in dialer.transports] == ["close", ""]


async def test_an_integration_disabled_during_the_dial_is_refused_and_its_connection_closed() -> None:
    world = RelayWorld()
    dialer = ChangingDialer(world.table, NotReady.DISABLED)
    world.parts.pool._dialer = dialer
    with pytest.raises(Refused) as caught:
        await bring(world)
    assert caught.value.rejection is Rejection.INTEGRATION_DISABLED
    assert dialer.transports[0].ended == "close"


async def test_a_rejection_names_the_endpoint_in_use_and_whether_it_is_the_providers_own() -> None:
    parts = RelayWorld(portal="https://portal.example").parts
    own = integration(OPENAI.default_endpoint)
    assert parts.place_of("acme", OPENAI, own) == Place("https://portal.example", "api.openai.com", True)
    assert parts.place_of("acme", OPENAI, None) == Place("https://portal.example", "provider.example", False)
    assert parts.place_of("acme", OPENAI, MOVED) == Place("https://portal.example", "moved.example", False)


async def test_a_rejection_without_an_integration_names_the_portal_alone() -> None:
    world = RelayWorld(portal="https://portal.example")
    world.table.found = NotReady.MISSING
    assert world.parts.place_of("acme", OPENAI, None) == Place("https://portal.example")


def test_the_gateways_own_request_ids_are_random_and_look_like_a_providers() -> None:
    made = {new_request_id() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("req_[0-9a-f]{24}", one) for one in made)
