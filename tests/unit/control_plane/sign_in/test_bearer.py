"""Which tokens name a person."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.sign_in.bearer import SignIn, TrustedIssuer
from services.control_plane.sign_in.keys import KeysUnavailable
from shared.secret import Secret
from tests.unit.control_plane.world import AUDIENCE, ISSUER, OWNER, PLATFORM_TOKEN, Issuer

CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "email": OWNER, "email_verified": True, "exp": 2**33}


class OneKey:
    """A `KeySource` of a single key, or out of order."""

    def __init__(self, jwk: dict[str, object] | None) -> None:
        self._jwk = jwk

    def key(self, kid: str) -> jwt.PyJWK | None:
        if self._jwk is None:
            raise KeysUnavailable("down")
        return jwt.PyJWK(self._jwk) if kid == "key-1" else None


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def sign_in(issuer: Issuer) -> SignIn:
    return SignIn({ISSUER: TrustedIssuer(AUDIENCE, issuer)}, Secret(PLATFORM_TOKEN))


def problem_of(signs: SignIn, token: str) -> Problem:
    with pytest.raises(ProblemError) as caught:
        signs.person(f"Bearer {token}")
    assert token not in str(caught.value)
    return caught.value.problem


def test_a_good_token_names_a_person(issuer: Issuer) -> None:
    assert sign_in(issuer).person(f"bearer {issuer.token('Owner@Acme.test')}").email == OWNER


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.test"},
        {"iss": None},
        {"iss": ["https://issuer.test"]},
        {"aud": "another"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": 2**40},
        {"email": None},
        {"email": 7},
        {"email": "nobody"},
        {"email": "a@b.test\n"},
        {"email_verified": False},
        {"email_verified": "false"},
        {"email_verified": None},
        {"email_verified": "yes"},
        {"email_verified": 1},
    ],
)
def test_a_token_with_a_wrong_or_missing_claim_is_401(issuer: Issuer, changes: dict[str, Any]) -> None:
    assert problem_of(sign_in(issuer), issuer.token(**changes)) is Problem.SIGN_IN_REQUIRED


@pytest.mark.parametrize("verified", ["true", "True"])
def test_an_issuer_may_write_the_boolean_as_text(issuer: Issuer, verified: str) -> None:
    signs = SignIn({ISSUER: TrustedIssuer(AUDIENCE, issuer)}, None)
    assert signs.person(f"Bearer {issuer.token(email_verified=verified)}").email == OWNER


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"aud": "of mallory"}, "claim aud"),
        ({"exp": None}, "claim exp is missing"),
        ({"email_verified": False}, "claim email_verified is false"),
        ({"email": None}, "claim email is missing"),
    ],
    ids=str,
)
def test_the_log_names_the_claim_of_a_refused_token_and_none_of_an_unsigned_one(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], named: str
) -> None:
    signs = SignIn({ISSUER: TrustedIssuer(AUDIENCE, issuer)}, None)
    token = issuer.token(**changes)
    assert problem_of(signs, token) is Problem.SIGN_IN_REQUIRED
    assert named in caplog.text
    assert "mallory" not in caplog.text
    caplog.clear()
    assert problem_of(signs, token[:-8] + "AAAAAAAA") is Problem.SIGN_IN_REQUIRED
    assert caplog.text == "", "anybody can write such a token, as often as they like"


def test_an_operator_may_vouch_for_an_issuer_that_never_says_email_verified(issuer: Issuer) -> None:
    trusted = TrustedIssuer(AUDIENCE, issuer, assume_email_verified=True)
    signs = SignIn({ISSUER: trusted}, None)
    assert signs.person(f"Bearer {issuer.token(email_verified=None)}").email == OWNER
    for verified in (False, "false", "yes", 0):
        assert problem_of(signs, issuer.token(email_verified=verified)) is Problem.SIGN_IN_REQUIRED


@pytest.mark.parametrize("payload", [b"", b"[]", b"7", b"{", b"[" * 5000, b"\xff", b'{"iss": {}}'])
def test_a_payload_that_is_no_object_is_401(issuer: Issuer, payload: bytes) -> None:
    assert problem_of(sign_in(issuer), issuer.signed(payload)) is Problem.SIGN_IN_REQUIRED


def test_a_token_signed_by_another_key_is_401(issuer: Issuer) -> None:
    assert problem_of(sign_in(issuer), Issuer().token()) is Problem.SIGN_IN_REQUIRED


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_unsigned_or_symmetric_token_is_401(issuer: Issuer, algorithm: str) -> None:
    claims = CLAIMS
    key = "" if algorithm == "none" else "0123456789abcdef0123456789abcdef"
    token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "key-1"})
    assert problem_of(sign_in(issuer), token) is Problem.SIGN_IN_REQUIRED


def test_an_algorithm_outside_the_list_is_401_even_with_the_issuers_key() -> None:
    private = ec.generate_private_key(ec.SECP384R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    signs = SignIn({ISSUER: TrustedIssuer(AUDIENCE, OneKey({**jwk, "kid": "key-1"}))}, None)
    claims = CLAIMS
    token = jwt.encode(claims, private, algorithm="ES384", headers={"kid": "key-1"})
    assert problem_of(signs, token) is Problem.SIGN_IN_REQUIRED


def test_rs256_and_eddsa_are_taken_too() -> None:
    claims = CLAIMS | {"exp": int(time.time()) + 60}  # noqa: TID251  # PyJWT reads the real clock
    rsa_key = rsa.generate_private_key(65537, 2048)
    okp_key = Ed25519PrivateKey.generate()
    for algorithm, private, jwk in (
        ("RS256", rsa_key, RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True)),
        ("EdDSA", okp_key, OKPAlgorithm.to_jwk(okp_key.public_key(), as_dict=True)),
    ):
        signs = SignIn(
            {ISSUER: TrustedIssuer(AUDIENCE, OneKey({**jwk, "kid": "key-1", "alg": algorithm}))}, None
        )
        token = jwt.encode(claims, private, algorithm=algorithm, headers={"kid": "key-1"})
        assert signs.person(f"Bearer {token}").email == OWNER


def test_a_token_without_a_known_key_id_is_401(issuer: Issuer) -> None:
    claims = CLAIMS
    for headers in ({}, {"kid": "key-2"}):
        token = jwt.encode(claims, issuer.private, algorithm="ES256", headers=headers)
        assert problem_of(sign_in(issuer), token) is Problem.SIGN_IN_REQUIRED


def test_two_issuers_do_not_vouch_for_each_others_tokens(issuer: Issuer) -> None:
    other = Issuer()
    trusted = {
        ISSUER: TrustedIssuer(AUDIENCE, issuer),
        "https://other.test": TrustedIssuer(AUDIENCE, other),
    }
    signs = SignIn(trusted, None)
    assert signs.person(f"Bearer {other.token(iss='https://other.test')}").email == OWNER
    assert problem_of(signs, other.token()) is Problem.SIGN_IN_REQUIRED


def test_keys_that_cannot_be_had_are_503_and_not_401(issuer: Issuer) -> None:
    signs = SignIn({ISSUER: TrustedIssuer(AUDIENCE, OneKey(None))}, None)
    assert problem_of(signs, issuer.token()) is Problem.SIGN_IN_UNAVAILABLE


def test_without_a_platform_token_nobody_is_the_platform(issuer: Issuer) -> None:
    signs = SignIn({}, None)
    for authorization in ("Bearer x", f"Bearer {PLATFORM_TOKEN}", None, "Bearer "):
        with pytest.raises(ProblemError):
            signs.require_platform(authorization)
    sign_in(issuer).require_platform(f"Bearer {PLATFORM_TOKEN}")
