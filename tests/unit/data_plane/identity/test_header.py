"""Box tokens in a header: the accepted tokens, the remembered tokens, and no mutation passes."""

from __future__ import annotations

import base64
import json
import os
import random
from dataclasses import dataclass, field

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.data_plane.core.unidentified import NotYetVerifiable, Unidentified
from services.data_plane.identity.header import HeaderIdentity
from services.data_plane.identity.refusals import IdentityRefusals
from services.data_plane.identity.token_verifier import TokenVerifier
from shared.box_token import AUDIENCE, TOKEN_TYPE, mint

NOW = 1_800_000_000.0
MUTATIONS = 5_000
NIGHTLY_MUTATIONS = 100_000


@dataclass
class Bench:
    now: float = NOW
    configured: bool = True
    max_tokens: int = 100
    node: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def __post_init__(self) -> None:
        self.keys: dict[str, Ed25519PublicKey] = {"kid-1": self.node.public_key()}
        self.refusals = IdentityRefusals()
        verifier = TokenVerifier(
            lambda: self.keys,
            configured=lambda: self.configured,
            clock=lambda: self.now,
            refusals=self.refusals,
        )
        self.identity = HeaderIdentity(verifier, max_tokens=self.max_tokens)

    def token(self, org: str = "acme", life_seconds: int = 300) -> bytes:
        made = mint(
            self.node,
            "kid-1",
            box="box-1",
            org=org,
            lifecycle="life-1",
            now=self.now,
            life_seconds=life_seconds,
        )
        return made.encode()

    def refused(self, token: bytes | None) -> str:
        with pytest.raises(Unidentified) as refusal:
            self.identity.identify(token)
        return str(refusal.value)


def test_a_valid_token_names_its_box() -> None:
    bench = Bench()
    box = bench.identity.identify(bench.token())
    assert (box.org, box.box, box.lifecycle, box.expires_at) == ("acme", "box-1", "life-1", NOW + 300)


def test_two_orgs_are_told_apart() -> None:
    bench = Bench()
    for org in ("acme", "other", "acme"):
        assert bench.identity.identify(bench.token(org)).org == org


@pytest.mark.parametrize("token", [None, b""])
def test_no_token_is_nobody(token: bytes | None) -> None:
    assert Bench().refused(token) == "no box token"


def test_a_remembered_token_expires_all_the_same() -> None:
    bench = Bench()
    token = bench.token(life_seconds=10)
    bench.identity.identify(token)
    bench.now += 9.9
    bench.identity.identify(token)
    bench.now += 0.1
    assert "expired" in bench.refused(token)
    bench.now -= 5
    assert bench.identity.identify(token).org == "acme"


def test_a_remembered_token_dies_with_its_node() -> None:
    bench = Bench()
    token = bench.token()
    bench.identity.identify(token)
    bench.keys = {}
    assert "node is not known" in bench.refused(token)


def test_a_remembered_token_dies_when_its_node_gets_another_key() -> None:
    bench = Bench()
    token = bench.token()
    bench.identity.identify(token)
    bench.keys = {"kid-1": Ed25519PrivateKey.generate().public_key()}
    assert "signature" in bench.refused(token)


def test_before_any_configuration_trying_again_may_help() -> None:
    bench = Bench(configured=False)
    bench.keys = {}
    with pytest.raises(NotYetVerifiable):
        bench.identity.identify(bench.token())


def test_only_so_many_tokens_are_remembered_and_the_rest_still_verify() -> None:
    bench = Bench(max_tokens=3)
    tokens = [bench.token(f"org-{number}") for number in range(10)]
    for number, token in enumerate(tokens * 2):
        assert bench.identity.identify(token).org == f"org-{number % 10}"
    assert len(bench.identity._verified) == 3


def test_refused_tokens_are_not_remembered() -> None:
    bench = Bench()
    for _ in range(5):
        bench.refused(os.urandom(40))
    assert not bench.identity._verified


def test_a_refusal_shows_nothing_of_the_token() -> None:
    bench = Bench()
    token = bench.token()[:-4] + b"AAAA"
    refusal = bench.refused(token)
    assert len(refusal) < 100
    assert not any(part.decode() in refusal for part in token.split(b"."))


# -- a token that is not exactly what a known node signed proves nothing


def segment(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def forged_headers(bench: Bench) -> list[dict[str, object]]:
    good: dict[str, object] = {"alg": "EdDSA", "typ": TOKEN_TYPE, "kid": "kid-1"}
    return [
        {**good, "alg": "none"},
        {**good, "alg": "HS256"},
        {**good, "typ": "JWT"},
        {**good, "kid": "kid-2"},
        {**good, "kid": ["kid-1"]},
        {**good, "jwk": {"kty": "OKP", "x": bench.keys["kid-1"].public_bytes_raw().hex()}},
        {**good, "jku": "https://evil.example/keys"},
        {**good, "crit": ["exp"]},
        {key: value for key, value in good.items() if key != "typ"},
    ]


def test_a_header_that_points_elsewhere_is_refused_even_when_signed() -> None:
    bench = Bench()
    payload = bench.token().split(b".")[1]
    for header in forged_headers(bench):
        signed = segment(header) + b"." + payload
        signature = base64.urlsafe_b64encode(bench.node.sign(signed)).rstrip(b"=")
        bench.refused(signed + b"." + signature)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another"},
        {"aud": [AUDIENCE]},
        {"exp": NOW + 301},
        {"exp": NOW + 3_000},
        {"iat": NOW + 31, "exp": NOW + 60},
        {"exp": None},
        {"iat": None},
        {"org": ""},
        {"org": "../evil"},
        {"org": 7},
        {"sub": None},
        {"lid": None},
    ],
)
def test_claims_that_are_not_a_box_token_are_refused_even_when_signed(changed: dict[str, object]) -> None:
    bench = Bench()
    now = int(NOW)
    claims = {"aud": AUDIENCE, "sub": "box-1", "org": "acme", "lid": "l", "iat": now, "exp": now + 300}
    claims |= {name: int(value) if isinstance(value, float) else value for name, value in changed.items()}
    token = jwt.api_jws.encode(
        json.dumps(claims).encode(),
        bench.node,
        algorithm="EdDSA",
        headers={"typ": TOKEN_TYPE, "kid": "kid-1"},
    )
    bench.refused(token.encode())


def mutated(dice: random.Random, token: bytes, other: bytes) -> bytes:
    """Change a token in a way open to an attacker."""
    data = bytearray(token)
    place = dice.randrange(len(data))
    match dice.randrange(7):
        case 0:
            data[place] ^= 1 << dice.randrange(8)
        case 1:
            del data[place : place + dice.randrange(1, 9)]
        case 2:
            data[place:place] = dice.randbytes(dice.randrange(1, 9))
        case 3:
            data[place] = dice.choice(b"=+/.-_ \x00\r\n,")
        case 4:  # parts of two valid tokens
            ours, theirs = token.split(b"."), other.split(b".")
            return b".".join(dice.choice(pair) for pair in zip(ours, theirs, strict=True))
        case 5:
            data += dice.choice([b"=", b".", b".AAAA", b" ", b"\r\n", token])
        case _:
            dice.shuffle(parts := token.split(b"."))
            return b".".join(parts)
    return bytes(data)


def count_accepted_mutations(mutations: int, seed: int) -> int:
    """Give how many mutations of valid tokens name a box; the cache holds both originals."""
    bench, dice = Bench(), random.Random(seed)
    token, other = bench.token("acme"), bench.token("other")
    for original in (token, other):
        bench.identity.identify(original)
    accepted = 0
    for _ in range(mutations):
        changed = mutated(dice, token, other)
        if changed in {token, other}:
            continue
        try:
            bench.identity.identify(changed)
        except Unidentified:
            continue
        accepted += 1
    return accepted


def test_no_mutation_of_a_token_is_accepted() -> None:
    assert count_accepted_mutations(MUTATIONS, seed=1) == 0


@pytest.mark.nightly
def test_not_one_of_many_mutations_is_accepted() -> None:
    assert count_accepted_mutations(NIGHTLY_MUTATIONS, seed=random.SystemRandom().randrange(2**32)) == 0
