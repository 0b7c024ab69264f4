"""The log names the claim behind a refused sign-in, and nothing of the token."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.control_plane.sign_in.provider import Provider
from tests.unit.control_plane.sign_in.test_oidc import refused


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"iss": "https://other.test"}, "claim iss"),
        ({"aud": "of mallory"}, "claim aud"),
        ({"aud": None}, "claim aud is missing"),
        ({"exp": 1}, "claim exp is past"),
        ({"exp": None}, "claim exp is missing"),
        ({"iat": 2**40}, "claim iat"),
        ({"sub": None}, "claim sub is missing"),
        ({"nonce": "of another sign-in"}, "claim nonce"),
        ({"azp": "of mallory"}, "claim azp"),
        ({"at_hash": "of mallory"}, "claim at_hash"),
        ({"email": None}, "claim email is missing"),
        ({"email_verified": None}, "claim email_verified is missing"),
        ({"email_verified": "false"}, "claim email_verified is false"),
        ({"email": "mallory"}, "claim email is no address"),
    ],
    ids=str,
)
async def test_the_log_names_the_claim_of_a_refusal_and_nothing_of_the_token(
    provider: Provider, caplog: pytest.LogCaptureFixture, claims: dict[str, Any], named: str
) -> None:
    provider.configuration = {"userinfo_endpoint": None}
    provider.claims = claims
    await refused(provider)
    (line,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert named in line
    assert not [
        value for value in claims.values() if isinstance(value, str) and len(value) > 5 and value in line
    ]
