"""A provider closes idle connections: the next request finds a connection opened ahead of the request."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from services.data_plane.core.integration import NotReady
from services.data_plane.relay.relay import SWEEP_SECONDS
from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, request
from tests.support.answers import whole
from tests.support.scripted_upstream import Close, Reset, ScriptedUpstream
from tests.support.tls_contexts import loopback_contexts

KEYS = frozenset({KEY.encode()})
SEVERAL_LOOKS_SECONDS = 4 * SWEEP_SECONDS


def closing_upstream(tls: ssl.SSLContext | None = None) -> ScriptedUpstream:
    """Answers each request, and then closes the connection without having said so."""
    return ScriptedUpstream(keys=KEYS, respond=lambda r: (*whole(r.target), Close()), tls=tls)


async def ask(gateway: RelayUnderTest) -> bytes:
    client = await gateway.connect()
    client.send(request())
    return (await client.read_answer())[1]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_the_next_request_after_an_idle_close_uses_a_connection_that_is_open_already(
    run_relay: RunRelay,
    tls: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    serving, trusting = loopback_contexts()
    gateway = await run_relay(tls=trusting)
    async with closing_upstream(serving if tls else None) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        await ask(gateway)
        await gateway.settled(
            lambda: len(gateway.relay.parts.pool) == 1 and gateway.relay.prewarmer.opened == 1
        )
        # A client ends its TLS handshake before the server does (RFC 8446 §2).
        await gateway.settled(lambda: upstream.accepted == 2)
        assert upstream.closed == 1
        await ask(gateway)
        assert [received.connection for received in upstream.requests] == [0, 1]
    assert [record.reused for record in gateway.books.records] == [False, True]


async def test_one_that_has_died_unseen_costs_a_repeatable_request_nothing(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((*whole(b"first"), Close()), (Reset(),), whole(b"second"))
        await ask(gateway)
        await gateway.settled(lambda: len(gateway.relay.parts.pool) == 1)
        assert await ask(gateway) == b"second"
        assert [received.connection for received in upstream.requests] == [0, 1, 2]


async def test_our_own_idle_limit_is_followed_by_a_new_connection(run_relay: RunRelay) -> None:
    gateway = await run_relay(upstream_idle_seconds=0.1)
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.target)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        await ask(gateway)
        await gateway.settled(lambda: gateway.relay.prewarmer.opened >= 1)
        await gateway.settled(lambda: upstream.accepted >= 2 and upstream.closed >= 1)


@pytest.mark.parametrize("found", [NotReady.DISABLED, NotReady.MISSING])
async def test_none_is_opened_for_an_integration_that_is_off(run_relay: RunRelay, found: NotReady) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.target)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        await ask(gateway)
        gateway.change(found)
        await upstream.wait_for(lambda: upstream.closed == 1)
        await asyncio.sleep(SEVERAL_LOOKS_SECONDS)
        assert (upstream.accepted, len(gateway.relay.parts.pool)) == (1, 0)


async def test_none_is_opened_to_an_endpoint_that_was_changed(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with (
        ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.target)) as old,
        ScriptedUpstream(keys=KEYS) as new,
    ):
        gateway.set_up(f"{old.origin}/v1")
        await ask(gateway)
        gateway.set_up(f"{new.origin}/v1", version=2)
        gateway.relay.config_changed("org-0", "openai")
        await old.wait_for(lambda: old.closed == 1)
        await asyncio.sleep(SEVERAL_LOOKS_SECONDS)
        assert (old.accepted, new.accepted) == (1, 0)


@pytest.mark.parametrize("limits", [{"warm_upstreams_per_endpoint": 0}, {"warm_upstream_seconds": 0.001}])
async def test_the_limits_keep_it_from_opening_any(run_relay: RunRelay, limits: dict[str, float]) -> None:
    gateway = await run_relay(**limits)
    async with closing_upstream() as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        await ask(gateway)
        await upstream.wait_for(lambda: upstream.closed == 1)
        await asyncio.sleep(SEVERAL_LOOKS_SECONDS)
        assert (upstream.accepted, len(gateway.relay.parts.pool)) == (1, 0)


async def test_a_stop_closes_what_was_opened_ahead(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with closing_upstream() as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        await ask(gateway)
        await gateway.settled(lambda: len(gateway.relay.parts.pool) == 1)
        await gateway.relay.aclose()
        await upstream.wait_for(lambda: upstream.closed == upstream.accepted == 2)
        assert (len(gateway.relay.parts.pool), len(gateway.relay.prewarmer._tasks)) == (0, 0)
