"""Each operation of the pinned SDKs is judged: any answering with a credential is refused or explained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from shared.providers import ProviderName
from tools import refused_routes_page
from tools.credential_answers import (
    HARMLESS_FIELDS,
    HARMLESS_OPERATIONS,
    PACKAGES,
    REVIEWED,
    Judged,
    judge_all,
    resources_of,
)

FEWEST_OPERATIONS: Mapping[ProviderName, int] = {"openai": 350, "anthropic": 250, "gemini": 80}
MINTING = {
    "openai": ("POST /realtime/client_secrets", "POST /realtime/translations/client_secrets",
               "POST /realtime/sessions", "POST /chatkit/sessions", "POST /webhook_endpoints",
               "POST /webhook_endpoints/{webhook_endpoint_id}/rotate_secret"),
    "anthropic": ("POST /v1/tunnels/{tunnel_id}/reveal_token", "POST /v1/tunnels/{tunnel_id}/rotate_token",
                  "POST /v1/user_profiles/{user_profile_id}/enrollment_url",
                  "GET /v1/environments/{environment_id}/work/poll"),
    "gemini": ("POST /webhooks", "POST /webhooks/{id}:rotateSigningSecret", "POST /environments",
               "POST /interactions/{interactionsId}/auth_tokens"),
}  # fmt: skip


@cache
def judged(provider: ProviderName) -> list[Judged]:
    return judge_all(provider)


def named(one: Judged) -> str:
    return f"{one.operation.method} {one.operation.path}"


@pytest.mark.parametrize("provider", PACKAGES)
def test_no_operation_that_may_answer_with_a_credential_is_forwarded_unexplained(
    provider: ProviderName,
) -> None:
    unjudged = {
        named(one): one.unexplained for one in judged(provider) if one.unexplained and not one.refused
    }
    assert not unjudged, "Refuse each in shared/providers, or explain it in tools/credential_answers.py."


@pytest.mark.parametrize("provider", PACKAGES)
def test_every_resource_of_the_sdk_was_reviewed(provider: ProviderName) -> None:
    assert resources_of(provider) <= REVIEWED[provider], "Read the new ones, then add them to REVIEWED."


@pytest.mark.parametrize("provider", PACKAGES)
def test_the_walk_finds_the_operations_and_the_known_minting_ones_among_them(provider: ProviderName) -> None:
    found = {named(one): one for one in judged(provider)}
    assert len(found) >= FEWEST_OPERATIONS[provider]
    for name in MINTING[provider]:
        assert found[name].suspicions, name
        assert found[name].refused, name


def test_every_explanation_is_of_something_that_still_exists() -> None:
    seen = {suspicion for provider in PACKAGES for one in judged(provider) for suspicion in one.suspicions}
    assert not {*HARMLESS_FIELDS, *HARMLESS_OPERATIONS} - seen


def test_the_page_is_the_one_that_the_rows_and_the_sdks_make() -> None:
    written = refused_routes_page.PAGE.read_text()
    assert written == refused_routes_page.page(), "Run `make docs` and commit docs/refused-routes.md."
