"""Tests of `core/refused_routes.py`: self-explaining names, and an operator's rules."""

from __future__ import annotations

import pytest

from services.data_plane.core.refused import Refused
from services.data_plane.core.refused_routes import (
    BadRouteRule,
    RefusedRoutes,
    is_speaking_name,
    parse_route_rules,
)
from shared.providers import PROVIDERS, ProviderName

ROWS = tuple(PROVIDERS.values())
SPEAKING = (
    *("client_secret", "client_secrets", "clientsecrets", "clientSecret", "client-secrets", "signing_secret"),
    *(
        "secret",
        "secrets",
        "token",
        "access_token",
        "session_token",
        "reveal_token",
        "rotate_token",
        "revealToken",
    ),
    *(
        "auth_tokens",
        "authTokens",
        "access_tokens",
        "ephemeral_tokens",
        "refresh_token",
        "personal_access_tokens",
    ),
    *(
        "rotate_secret",
        "rotate_key",
        "rotate-credentials",
        "rotate_api_key",
        "reveal",
        "reveal_key",
        "reveal_x",
    ),
    *("api_key", "api_keys", "apikeys", "admin_api_keys", "ephemeral_keys", "generate_key", "create_api_key"),
    *(
        "enrollment_url",
        "enrollment_urls",
        "action_urls",
        "invite_link",
        "login_url",
        "signed_url",
        "magic_link",
    ),
    *("credentials", "credential", "password", "tunnels:revealToken", "x:mint_token", "regenerate_secret"),
)
SILENT = (
    *("count_tokens", "countTokens", "input_tokens", "output_tokens", "max_tokens", "tokens", "tokenize"),
    *(
        "models",
        "messages",
        "completions",
        "sessions",
        "responses",
        "files",
        "content",
        "results",
        "url",
        "curl",
    ),
    *("gpt-5:countTokens", "secretary", "passwordless", "keys", "key", "monkeys", "rotate", "image_url", "x"),
    *("generate", "create", "generate_content", "gemini-3-pro:generateContent", "batch_embed", "", "?"),
)


def judge(provider: ProviderName, path: str, *entries: str) -> bool:
    routes = RefusedRoutes(PROVIDERS[provider], parse_route_rules(entries, ROWS))
    try:
        routes.check(path.encode())
    except Refused:
        return True
    return False


@pytest.mark.parametrize("name", SPEAKING)
def test_a_name_that_tells_of_a_credential_speaks(name: str) -> None:
    assert is_speaking_name(name.lower())
    assert judge("openai", f"/x/{name}")
    assert judge("anthropic", f"/x/y/{name}/z")


@pytest.mark.parametrize("name", SILENT)
def test_the_name_of_an_ordinary_operation_does_not(name: str) -> None:
    assert not is_speaking_name(name.lower())
    assert not judge("openai", f"/x/{name}")


@pytest.mark.parametrize(
    ("path", "entries", "refused"),
    [
        ("/files/x", ("+openai:files",), True),
        ("/FILES%2fx", ("+openai:/v1/files/",), True),
        ("/file", ("+openai:files",), False),
        ("/files/x/content", ("+openai:files/*/content",), True),
        ("/files/x", ("+openai:files/*/content",), False),
        ("/files/x", ("+anthropic:files",), False),
        ("/vaults/x", ("-openai:vaults",), False),
        ("/vaults/x/credentials", ("-openai:vaults",), True),
        ("/vaults/x/credentials", ("-openai:vaults/*/credentials",), False),
        ("/organization/usage/completions", ("-openai:organization/usage",), False),
        ("/organization/users", ("-openai:organization/usage",), True),
        ("/organization%3f/usage", ("-openai:organization/usage",), True),
        ("/organization%2fusage", ("-openai:organization/usage",), True),
        ("/organization/us%61ge", ("-openai:organization/usage",), True),
        ("/realtime/client_secrets", ("-openai:realtime/client_secrets",), False),
        ("/realtime/translations/client_secrets", ("-openai:realtime/client_secrets",), True),
        ("/files/x", ("+openai:files", "-openai:files/x"), False),
        ("/files/y", ("+openai:files", "-openai:files/x"), True),
    ],
)
def test_the_rule_with_the_most_segments_decides(
    path: str,
    entries: tuple[str, ...],
    refused: bool,  # noqa: FBT001  # the table's last column
) -> None:
    assert judge("openai", path, *entries) is refused


@pytest.mark.parametrize(
    ("entry", "because"),
    [
        ("openai:files", r"\+provider:path or -provider:path"),
        ("+openai", "provider:path"),
        ("+openai:", "provider:path"),
        ("+openai:///", "provider:path"),
        ("+:files", "provider:path"),
        ("+OpenAI:files", "provider:path"),
        ("+opnai:files", "unknown provider opnai; known are openai, anthropic"),
        ("+openai:files/../x", r"\.\. is no name"),
        ("+openai:files//x", "an empty segment is no name"),
        ("+openai:files%2fx", "is no name"),
        ("+openai:files?x", "is no name"),
        ("+openai:*", "needs one segment with a name"),
        ("+openai:*/*", "needs one segment with a name"),
        ("-openai:vault", "not refused, so nothing can be taken away"),
        ("-openai:organizations", "not refused"),
        ("-anthropic:user_profiles", "not refused"),
    ],
)
def test_a_rule_that_cannot_be_read_or_changes_nothing_is_an_error(entry: str, because: str) -> None:
    with pytest.raises(BadRouteRule, match=because) as caught:
        parse_route_rules((entry,), ROWS)
    assert str(caught.value).startswith(entry)


def test_two_rules_for_one_route_are_an_error() -> None:
    with pytest.raises(BadRouteRule, match="two rules"):
        parse_route_rules(("+openai:files", "-openai:v1/Files"), ROWS)
