"""TLS over a transport: the end of a connection without a waiting caller."""

from __future__ import annotations

import asyncio
import gc
import ssl

import pytest

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.relay.upstream.connection import UpstreamConnection
from services.data_plane.relay.upstream.dial import Dialer
from services.data_plane.relay.upstream.egress import DirectEgress
from services.data_plane.relay.upstream.pool import Pool
from services.data_plane.relay.upstream.resolver import Resolver
from services.data_plane.relay.upstream.tls import SessionCache, TlsConnection
from services.data_plane.relay.wire.write_batch import WriteBatch
from shared.addresses import AddressPolicy


def _connection() -> TlsConnection:
    limits, batch, context = RelayLimits(), WriteBatch(), ssl.create_default_context()
    dialer = Dialer(DirectEgress(Resolver(AddressPolicy())), context, 1, allow_plain_http=False)
    store = TemplateStore()
    pool = Pool(dialer, limits, batch, store)
    inner = UpstreamConnection(pool, ("org", "endpoint"), limits, batch, 0.0, store.endpoint("one"))
    return TlsConnection(inner, context, "name.example", SessionCache())


async def test_one_that_nobody_waits_for_ends_without_a_word() -> None:
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    connection = _connection()
    connection.connection_lost(None)
    del connection
    gc.collect()
    assert heard == []


async def test_one_that_is_waited_for_says_why_it_failed() -> None:
    connection = _connection()
    connection.connection_lost(None)
    with pytest.raises(ConnectionResetError, match="in the TLS handshake"):
        await connection.ready
