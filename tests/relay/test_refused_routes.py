"""Refused routes on real sockets (threat 10): none passes a decoding nginx in front of the provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote

import pytest

from services.data_plane.core.refused_routes import parse_route_rules
from shared.providers import PROVIDERS
from tests.relay.conftest import RelayUnderTest, RunRelay, request
from tests.relay.front_proxies import decoding_endpoint
from tests.support.answers import whole
from tests.support.scripted_upstream import ReceivedRequest, ScriptedUpstream
from tests.unit.data_plane.core.test_route import DISGUISES, REFUSED

AT_ONCE = 20
ORDINARY = ("models", "messages/count_tokens", "responses/input_tokens", "files/a%2db", "threads/x/runs")
TRICKS = (
    "%3f",
    "%3fx=1",
    "%23",
    "%23x",
    "%253f",
    "%2523",
    ".",
    "%20",
    "%2e",
    "%c2%a0",
    "%09",
    "%00",
    "%c0%ae",
    ";x",
)


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(respond=lambda _: whole(b"{}")) as upstream:
        yield upstream


def reached(upstream: ScriptedUpstream) -> list[str]:
    return [_operation(received) for received in upstream.requests]


def _operation(received: ReceivedRequest) -> str:
    """Give the path as a provider behind the proxy reads the operation."""
    text = received.target.decode("latin-1")
    for _ in range(4):
        text = unquote(text)
    return text.lower().partition("?")[0].partition("#")[0].rstrip(". /")


async def ask_all(gateway: RelayUnderTest, requests: list[bytes]) -> list[bytes]:
    answers: list[bytes] = []
    for start in range(0, len(requests), AT_ONCE):
        answers += await asyncio.gather(*map(gateway.ask, requests[start : start + AT_ONCE]))
    return answers


async def test_no_refused_operation_reaches_the_provider_behind_a_decoding_nginx(
    run_relay: RunRelay, provider: ScriptedUpstream
) -> None:
    gateway = await run_relay()
    with decoding_endpoint(provider.port) as port:
        gateway.set_up(f"http://127.0.0.1:{port}/v1")
        gateway.set_up(f"http://127.0.0.1:{port}", "anthropic")
        asked = [
            request("POST", f"/v1/{text}", provider=name, close=True)
            for name, route in REFUSED
            for text in [
                *(disguise(route) for disguise in DISGUISES.values()),
                *(route + end for end in TRICKS),
            ]
        ]
        answers = await ask_all(gateway, asked)
        assert len(answers) > 1000
        assert {answer[9:12] for answer in answers} == {b"400"}
        assert reached(provider) == []


async def test_ordinary_operations_reach_the_provider_behind_a_decoding_nginx(
    run_relay: RunRelay, provider: ScriptedUpstream
) -> None:
    gateway = await run_relay()
    with decoding_endpoint(provider.port) as port:
        gateway.set_up(f"http://127.0.0.1:{port}/v1")
        answers = await ask_all(gateway, [request("POST", f"/v1/{path}", close=True) for path in ORDINARY])
        assert {answer[9:12] for answer in answers} == {b"200"}
        assert sorted(reached(provider)) == sorted(f"/v1/{path}".replace("%2d", "-") for path in ORDINARY)


async def test_an_operators_rules_add_and_take_away(run_relay: RunRelay, provider: ScriptedUpstream) -> None:
    rules = parse_route_rules(("+openai:files", "-openai:organization/usage"), tuple(PROVIDERS.values()))
    gateway = await run_relay(rules=rules)
    gateway.set_up(f"{provider.origin}/v1")
    paths = ("files", "files/x", "organization/users", "organization/usage/costs")
    answers = await ask_all(gateway, [request("GET", f"/v1/{path}", close=True) for path in paths])
    assert [answer[9:12] for answer in answers] == [b"400", b"400", b"400", b"200"]
    assert reached(provider) == ["/v1/organization/usage/costs"]
