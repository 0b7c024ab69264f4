"""Tests of `shared/providers.py`: the table says what both planes and every box rely on."""

from __future__ import annotations

from typing import get_args

import pytest

from shared.endpoint import parse_endpoint
from shared.providers import LOCAL_ORIGIN, PROVIDERS, KeyKind, ProviderName, kind_of_key


def test_every_provider_name_has_exactly_one_row_under_its_own_name() -> None:
    assert set(PROVIDERS) == set(get_args(ProviderName))
    assert all(provider.name == name for name, provider in PROVIDERS.items())


@pytest.mark.parametrize(
    ("name", "endpoint", "local_base_url"),
    [
        ("openai", "https://api.openai.com/v1", "http://10.0.2.2:1000/run9/ai/openai/v1/"),
        ("anthropic", "https://api.anthropic.com", "http://10.0.2.2:1000/run9/ai/anthropic"),
    ],
)
def test_the_base_urls_are_the_ones_that_boxes_were_given(
    name: ProviderName, endpoint: str, local_base_url: str
) -> None:
    assert PROVIDERS[name].default_endpoint == endpoint
    assert PROVIDERS[name].local_base_url == local_base_url
    assert local_base_url.startswith(LOCAL_ORIGIN + "/")


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_default_endpoint_is_canonical(name: ProviderName) -> None:
    assert str(parse_endpoint(PROVIDERS[name].default_endpoint)) == PROVIDERS[name].default_endpoint


@pytest.mark.parametrize("name", PROVIDERS)
def test_refused_routes_are_plain_lower_case_segments_without_the_version(name: ProviderName) -> None:
    routes = PROVIDERS[name].refused_routes
    assert len(set(routes)) == len(routes)
    for route in routes:
        assert route
        assert route[0] != "*"
        assert all(segment == "*" or segment.replace("_", "").isalpha() for segment in route)
        assert all(segment == segment.lower() for segment in route)


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("openai", ("organization",)),
        ("openai", ("projects",)),
        ("openai", ("realtime", "client_secrets")),
        ("openai", ("realtime", "sessions")),
        ("openai", ("realtime", "transcription_sessions")),
        ("openai", ("chatkit", "sessions")),
        ("openai", ("vaults",)),
        ("openai", ("realtime", "translations", "client_secrets")),
        ("openai", ("webhook_endpoints",)),
        ("anthropic", ("organizations",)),
        ("anthropic", ("vaults",)),
        ("anthropic", ("tunnels",)),
        ("anthropic", ("user_profiles", "*", "enrollment_url")),
    ],
)
def test_a_route_that_mints_credentials_is_refused(name: ProviderName, route: tuple[str, ...]) -> None:
    assert route in PROVIDERS[name].refused_routes


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sk-proj-abc", "openai"),
        ("sk-svcacct-abc", "openai"),
        ("sk-abc", "openai"),
        ("sk-ant-api03-abc", "anthropic_api"),
        ("sk-ant-abc", "anthropic_api"),
        ("sk-ant-oat01-abc", "anthropic_oauth"),
        ("run9-placeholder", "unknown"),
        ("SK-abc", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_key_is_told_by_its_public_prefix(text: str, kind: KeyKind) -> None:
    assert kind_of_key(text) == kind
