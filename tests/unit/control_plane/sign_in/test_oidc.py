"""Which answers of an OpenID Connect issuer sign a person in, and which do not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from services.control_plane.sign_in.bounded_transport import MAX_ANSWER_BYTES
from services.control_plane.sign_in.keys import KeysUnavailable
from services.control_plane.sign_in.oidc import (
    IssuerUnavailable,
    OidcSignIn,
    SignInFailed,
    _at_hash,
)
from tests.unit.control_plane.sign_in.provider import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    URL,
    Provider,
    at_hash,
)
from tests.unit.control_plane.world import OWNER, Issuer

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def provider() -> Provider:
    return Provider()


async def refused(provider: Provider, gateway: OidcSignIn | None = None, **query: str) -> str:
    with pytest.raises(SignInFailed) as caught:
        await provider.sign_in(gateway or provider.client(), **query)
    assert type(caught.value) is SignInFailed, "the issuer did answer"
    return str(caught.value)


async def test_an_honest_issuer_names_a_person(provider: Provider) -> None:
    assert (await provider.sign_in(provider.client())).email == OWNER
    assert provider.asked == [DISCOVERY, "/token"]


async def test_the_configuration_is_read_once(provider: Provider) -> None:
    gateway = provider.client()
    for _ in range(3):
        await provider.sign_in(gateway)
    assert provider.asked.count(DISCOVERY) == 1
    assert provider.keys_asked_at == [f"{URL}/jwks"]


# -- the ID token (OpenID Connect Core §3.1.3.7)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.test"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": ["another", "third"]},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"iat": 2**40},
        {"sub": None},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"azp": "another"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"at_hash": at_hash("another access token")},
        {"at_hash": ""},
        {"at_hash": 7},
    ],
    ids=str,
)
async def test_an_id_token_with_a_wrong_or_missing_claim_proves_nothing(
    provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    assert await refused(provider) == "The issuer's answer does not prove who you are."


@pytest.mark.parametrize(
    "claims",
    [
        {"azp": CLIENT_ID},
        {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID},
        {"at_hash": at_hash(ACCESS_TOKEN)},
    ],
    ids=str,
)
async def test_an_id_token_that_says_more_and_is_right_is_taken(
    provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    assert (await provider.sign_in(provider.client())).email == OWNER


def test_the_access_tokens_hash_is_as_the_standard_has_it() -> None:
    """OpenID Connect Core, appendix A.3; EdDSA is of SHA-512, so its half has 32 bytes."""
    assert _at_hash("RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"
    assert len(_at_hash("EdDSA", ACCESS_TOKEN)) == 43


def signed_as(algorithm: str, key: Any, kid: str = "key-1") -> Callable[[dict[str, Any]], str]:
    return lambda claims: jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


async def test_an_id_token_signed_by_another_key_proves_nothing(provider: Provider) -> None:
    provider.sign = signed_as("ES256", provider.issuer.private)
    assert (await provider.sign_in(provider.client())).email == OWNER
    provider.sign = signed_as("ES256", Issuer().private)
    assert "does not prove" in await refused(provider)


async def test_an_id_token_whose_key_is_not_published_proves_nothing(provider: Provider) -> None:
    provider.sign = signed_as("ES256", provider.issuer.private, "key-2")
    assert "does not prove" in await refused(provider)


@pytest.mark.parametrize(("algorithm", "key"), [("none", ""), ("HS256", CLIENT_SECRET * 2)])
async def test_an_unsigned_or_symmetric_id_token_proves_nothing(
    provider: Provider, algorithm: str, key: str
) -> None:
    provider.sign = signed_as(algorithm, key)
    assert "does not prove" in await refused(provider)


async def test_an_algorithm_outside_the_list_proves_nothing_even_with_the_issuers_key(
    provider: Provider,
) -> None:
    private = ec.generate_private_key(ec.SECP384R1())
    provider.issuer.jwk = {**ECAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "key-1"}
    provider.sign = signed_as("ES384", private)
    assert "does not prove" in await refused(provider)


# -- the way back


@pytest.mark.parametrize("state", ["", "of another browser"])
async def test_the_way_back_carries_the_state_that_left(provider: Provider, state: str) -> None:
    assert await refused(provider, state=state) == "This sign-in was not begun in this browser."
    assert "/token" not in provider.asked, "a foreign code must not be redeemed"


async def test_the_way_back_of_another_sign_in_is_not_taken(provider: Provider) -> None:
    """A code of the attacker's own sign-in, with the state of the victim's: PKCE refuses it at the issuer."""
    gateway = provider.client()
    victim = await gateway.leave()
    attacker = await gateway.leave()
    stolen = provider.authorize(attacker.url)
    with pytest.raises(SignInFailed):
        await gateway.arrive(stolen | {"state": victim.memory["state"]}, victim.memory)


async def test_an_issuer_that_says_so_names_itself_on_the_way_back(provider: Provider) -> None:
    """RFC 9207 §2.4."""
    assert "another issuer" in await refused(provider, iss="https://other.test")
    assert (await provider.sign_in(provider.client(), iss=URL)).email == OWNER
    provider.configuration = {"authorization_response_iss_parameter_supported": True}
    assert "another issuer" in await refused(provider)
    assert (await provider.sign_in(provider.client(), iss=URL)).email == OWNER


async def test_a_refusal_there_is_one_here(provider: Provider) -> None:
    assert "cancelled or refused" in await refused(provider, error="access_denied")
    assert "/token" not in provider.asked


async def test_every_sign_in_has_secrets_of_its_own(provider: Provider) -> None:
    gateway = provider.client()
    first, second = (await gateway.leave()).memory, (await gateway.leave()).memory
    assert first.keys() == second.keys() == {"state", "nonce", "code_verifier", "prompt"}
    assert not ({*first.values()} - {""}) & {*second.values()}
    url = (await gateway.leave()).url
    assert first["code_verifier"] not in url


@pytest.mark.parametrize(("secret", "scheme"), [(CLIENT_SECRET, "Basic "), (None, "")])
async def test_the_client_secret_goes_to_the_token_endpoint_alone(
    provider: Provider, secret: str | None, scheme: str
) -> None:
    seen: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(400, json={"error": "invalid_client"})

    provider.answers["/token"] = refuse
    await refused(provider, provider.client(secret=secret))
    (request,) = seen
    assert request.headers.get("authorization", "").startswith(scheme)
    assert CLIENT_SECRET not in request.content.decode() + str(request.url)


# -- the address, and whether it is verified


@pytest.mark.parametrize("verified", [None, False, "false", "yes", "", 1, 0], ids=repr)
async def test_an_address_counts_when_the_issuer_says_that_it_is_verified(
    provider: Provider, verified: object
) -> None:
    provider.claims = {"email_verified": verified}
    provider.user = {"sub": "ada", "email": OWNER}
    assert "no verified email address" in await refused(provider)


@pytest.mark.parametrize("verified", ["true", "True"])
async def test_an_issuer_may_write_the_boolean_as_text(provider: Provider, verified: str) -> None:
    provider.claims = {"email_verified": verified}
    assert (await provider.sign_in(provider.client())).email == OWNER
    provider.claims = {"email_verified": "false"}
    assert "no verified" in await refused(provider, provider.client(assume_email_verified=True))


async def test_an_operator_may_vouch_for_an_issuer_that_does_not_say_it(provider: Provider) -> None:
    provider.claims = {"email_verified": None}
    provider.user = {"sub": "ada", "email": OWNER}
    trusting = provider.client(assume_email_verified=True)
    assert (await provider.sign_in(trusting)).email == OWNER
    provider.claims = {"email_verified": False}
    assert "no verified email address" in await refused(provider, trusting)


async def test_user_info_is_asked_for_what_the_id_token_leaves_out(provider: Provider) -> None:
    provider.user = {"sub": "ada", "email": OWNER, "email_verified": True}
    for left_out in ({"email": None, "email_verified": None}, {"email_verified": None}):
        provider.claims = left_out
        assert (await provider.sign_in(provider.client())).email == OWNER
    assert provider.asked.count("/me") == 2


@pytest.mark.parametrize("sub", ["mallory", None, "", 7, ["ada"]])
async def test_user_info_of_somebody_else_is_not_taken(provider: Provider, sub: object) -> None:
    provider.claims = {"email": None}
    provider.user = {"sub": sub, "email": "mallory@acme.test", "email_verified": True}
    assert "does not prove" in await refused(provider)


async def test_what_user_info_says_of_another_address_verifies_nothing(provider: Provider) -> None:
    provider.claims = {"email_verified": None}
    provider.user = {"sub": "ada", "email_verified": True}
    assert "no verified email address" in await refused(provider)


async def test_user_info_nested_deeper_than_can_be_read_proves_nothing(provider: Provider) -> None:
    provider.claims = {"email": None, "email_verified": None}
    provider.answers["/me"] = lambda _: httpx.Response(200, content=b"[" * 100_000)
    assert "does not prove" in await refused(provider)


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b"not json"])
async def test_user_info_that_is_no_object_proves_nothing(provider: Provider, body: bytes) -> None:
    provider.claims = {"email": None}
    provider.answers["/me"] = lambda _: httpx.Response(200, content=body)
    assert "does not prove" in await refused(provider)


# -- what the issuer publishes


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://other.test"},
        {"issuer": URL + "/"},
        {"issuer": None},
        {"authorization_endpoint": "http://login.test/auth"},
        {"token_endpoint": "http://login.test/token"},
        {"jwks_uri": "http://login.test/jwks"},
        {"userinfo_endpoint": "http://login.test/me"},
        {"end_session_endpoint": "http://login.test/end"},
        {"token_endpoint": None},
        {"token_endpoint": 7},
        {"token_endpoint": "https://["},
        {"jwks_uri": "file:///etc/passwd"},
    ],
    ids=str,
)
async def test_a_configuration_of_another_issuer_or_in_the_clear_is_not_used(
    provider: Provider, configuration: dict[str, Any]
) -> None:
    provider.configuration = configuration
    with pytest.raises(IssuerUnavailable):
        await provider.client().leave()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"location": "https://other.test/"}),
        httpx.Response(200, content=b"not json"),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b" " * (MAX_ANSWER_BYTES + 1)),
    ],
    ids=["500", "redirect", "not json", "list", "too large"],
)
async def test_an_issuer_without_a_readable_configuration_is_unavailable(
    provider: Provider, answer: httpx.Response
) -> None:
    provider.answers[DISCOVERY] = lambda _: answer
    with pytest.raises(IssuerUnavailable):
        await provider.client().leave()


async def test_a_token_answer_has_a_limit_too(provider: Provider) -> None:
    provider.answers["/token"] = lambda _: httpx.Response(200, content=b" " * (MAX_ANSWER_BYTES + 1))
    with pytest.raises(IssuerUnavailable):
        await provider.sign_in(provider.client())


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b"{}", b'"x"', b"not json", b'{"id_token": 7}'])
async def test_a_token_answer_of_another_shape_proves_nothing(provider: Provider, body: bytes) -> None:
    provider.answers["/token"] = lambda _: httpx.Response(200, content=body)
    assert "does not prove" in await refused(provider)


async def test_a_token_in_a_refusal_is_none(provider: Provider) -> None:
    honest = {"access_token": ACCESS_TOKEN, "token_type": "Bearer"}
    for status in (201, 302, 400):
        provider.answers["/token"] = lambda _, status=status: httpx.Response(  # type: ignore[misc]  # mypy infers no default
            status, json={**honest, "id_token": provider.id_token()}
        )
        assert "does not prove" in await refused(provider)


async def test_an_issuer_that_goes_away_meanwhile_is_unavailable_and_not_a_refusal(
    provider: Provider,
) -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("gone", request=request)

    for answer in (gone, lambda _: httpx.Response(503)):
        provider.answers["/token"] = answer
        with pytest.raises(IssuerUnavailable):
            await provider.sign_in(provider.client())


async def test_a_token_endpoint_that_is_no_address_is_the_issuers_fault(provider: Provider) -> None:
    provider.configuration = {"token_endpoint": "https://login.test:port/token"}
    with pytest.raises(IssuerUnavailable):
        await provider.sign_in(provider.client())


class NoKeys:
    def key(self, kid: str) -> jwt.PyJWK | None:
        raise KeysUnavailable(kid)


async def test_keys_that_cannot_be_had_are_not_a_refusal(provider: Provider) -> None:
    provider.issuer.key = NoKeys().key  # type: ignore[method-assign]  # the fake's one seam
    with pytest.raises(IssuerUnavailable):
        await provider.sign_in(provider.client())


async def test_neither_code_nor_token_nor_verifier_reaches_the_log(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.claims = {"nonce": "wrong"}
    gateway = provider.client()
    departure = await gateway.leave()
    with pytest.raises(SignInFailed):
        await gateway.arrive(provider.authorize(departure.url), departure.memory)
    for secret in (CODE, ACCESS_TOKEN, CLIENT_SECRET, departure.memory["code_verifier"]):
        assert secret not in caplog.text
