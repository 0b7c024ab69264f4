"""Which idle connection is given out; nothing is remembered of ended connections."""

from __future__ import annotations

import pytest

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.relay.upstream.connection import UpstreamConnection
from services.data_plane.relay.upstream.dial import Dialer
from services.data_plane.relay.upstream.pool import Pool
from services.data_plane.relay.wire.write_batch import WriteBatch
from services.data_plane.table.compile import compile_integration
from shared.config_feed import IntegrationRow
from shared.rejections import Rejection
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.unit.data_plane.relay.fake_transport import FakeTransport
from tests.unit.data_plane.relay.relay_world import FakeDialer


class _NoDialer(Dialer):
    def __init__(self) -> None:
        pass


INTEGRATION = compile_integration(
    IntegrationRow("acme", "openai", enabled=True, secret_version=1),
    SecretDocument("acme", "openai", "https://provider.example/v1", Secret("sk-not-a-key-0123456789")),
    allow_plain_http=False,
)


@pytest.fixture
def pool() -> Pool:
    return Pool(_NoDialer(), RelayLimits(), WriteBatch(), TemplateStore())


def connected(pool: Pool) -> UpstreamConnection:
    connection = UpstreamConnection(
        pool, INTEGRATION.pool_key, RelayLimits(), WriteBatch(), 100.0, TemplateStore().endpoint("one")
    )
    connection.connection_made(FakeTransport())
    return connection


def test_the_most_recently_used_connection_is_taken_first(pool: Pool) -> None:
    first, second = connected(pool), connected(pool)
    pool.put_back(first, 1.0)
    pool.put_back(second, 2.0)
    assert (pool.take(INTEGRATION), pool.take(INTEGRATION)) == (second, first)
    assert pool.take(INTEGRATION) is None


def test_a_connection_past_its_life_is_closed_and_not_kept(pool: Pool) -> None:
    pool.put_back(connected(pool), 100.0)
    assert len(pool) == 0


@pytest.mark.parametrize("is_taken", [False, True])
def test_nothing_is_remembered_of_an_endpoint_whose_last_connection_has_ended(
    pool: Pool,
    is_taken: bool,  # noqa: FBT001  # pytest passes it by name
) -> None:
    connection = connected(pool)
    pool.put_back(connection, 1.0)
    if is_taken:
        assert pool.take(INTEGRATION) is connection
    connection.connection_lost(None)
    assert (len(pool), pool.idle_count(INTEGRATION.pool_key), pool._idle) == (0, 0, {})


def test_the_others_of_an_endpoint_stay_when_one_ends(pool: Pool) -> None:
    first, second = connected(pool), connected(pool)
    pool.put_back(first, 1.0)
    pool.put_back(second, 2.0)
    second.connection_lost(None)
    assert pool.take(INTEGRATION) is first


def test_an_idle_connection_that_stalls_is_given_up(pool: Pool) -> None:
    """The connection holds the end of a finished exchange; the next exchange would not hear of the stall."""
    connection = connected(pool)
    pool.put_back(connection, 1.0)
    connection.pause_writing()
    assert (len(pool), connection.usable) == (0, False)


async def test_the_open_connections_are_the_busy_and_the_idle_until_their_end() -> None:
    dialer = FakeDialer()
    pool = Pool(dialer, RelayLimits(), WriteBatch(), TemplateStore())
    busy, idle = await pool.connect(INTEGRATION), await pool.connect(INTEGRATION)
    pool.put_back(idle, 1.0)
    assert (pool.open_connections, len(pool)) == (2, 1)
    idle.connection_lost(None)
    assert (pool.open_connections, len(pool)) == (1, 0)
    busy.connection_lost(None)
    assert pool.open_connections == 0


async def test_a_connection_that_could_not_be_made_is_not_open() -> None:
    dialer = FakeDialer(refusal=Refused(Rejection.UPSTREAM_UNREACHABLE))
    pool = Pool(dialer, RelayLimits(), WriteBatch(), TemplateStore())
    with pytest.raises(Refused):
        await pool.connect(INTEGRATION)
    assert pool.open_connections == 0
