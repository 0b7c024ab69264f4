"""Tests of `shared/providers`: the table states the facts relied on by both planes and every box."""

from __future__ import annotations

from typing import get_args

import pytest

from shared.endpoint import parse_endpoint
from shared.providers import (
    DEFAULT_OFFER,
    LOCAL_ORIGIN,
    PROVIDERS,
    ProviderName,
    UnknownProvider,
    kind_of_key,
    offered,
    owner_of_key,
    with_addresses,
)


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
def test_a_key_is_told_by_its_public_prefix(text: str, kind: str) -> None:
    assert kind_of_key(text) == kind


@pytest.mark.parametrize(
    ("provider", "key", "line", "beta"),
    [
        ("openai", "sk-proj-abc", "Authorization: Bearer ", ""),
        ("openai", "gateway-key", "Authorization: Bearer ", ""),
        ("openai", "sk-ant-oat01-abc", "Authorization: Bearer ", ""),
        ("anthropic", "sk-ant-api03-abc", "x-api-key: ", ""),
        ("anthropic", "sk-abc", "x-api-key: ", ""),
        ("anthropic", "sk-ant-oat01-abc", "Authorization: Bearer ", "oauth-2025-04-20"),
    ],
)
def test_a_row_says_how_each_kind_of_key_is_sent(
    provider: ProviderName, key: str, line: str, beta: str
) -> None:
    credential = PROVIDERS[provider].credential_for(key)
    assert (f"{credential.header}: {credential.scheme}", credential.beta) == (line, beta)


def test_the_owner_of_a_key_is_told_by_the_longest_prefix() -> None:
    assert owner_of_key("sk-ant-api03-abc") is PROVIDERS["anthropic"]
    assert owner_of_key("sk-abc") is PROVIDERS["openai"]
    assert owner_of_key("other") is None


def test_a_deployment_offers_what_its_operator_names_in_that_order() -> None:
    assert [row.name for row in offered(("anthropic", "openai"))] == ["anthropic", "openai"]
    assert [row.name for row in offered(DEFAULT_OFFER)] == ["openai", "anthropic"]


@pytest.mark.parametrize(
    ("names", "because"),
    [
        (("opnai",), "unknown provider opnai; known are"),
        (("openai", "openai"), "named twice"),
        ((), "at least one"),
    ],
)
def test_a_list_of_providers_that_cannot_be_offered_is_an_error(names: tuple[str, ...], because: str) -> None:
    with pytest.raises(UnknownProvider, match=because):
        offered(names)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_row_shows_how_a_box_reaches_the_provider(name: ProviderName) -> None:
    row = PROVIDERS[name]
    texts = [value for _, value in row.environment] + [snippet.code for snippet in row.snippets]
    filled = [with_addresses(text, row.local_base_url) for text in texts]
    assert not any("$BASE" in text for text in filled)
    assert any(row.local_base_url.rstrip("/") in text for text in filled)
    assert row.environment[0][0].endswith("_BASE_URL")
    assert len({snippet.id for snippet in row.snippets}) == len(row.snippets)
