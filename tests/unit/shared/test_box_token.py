"""Tests of `shared/box_token.py`: a minted token is accepted, and nothing else ever is."""

from __future__ import annotations

import json
import random
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from shared.box_token import (
    AUDIENCE,
    CLOCK_SKEW_SECONDS,
    MAX_LIFE_SECONDS,
    MAX_TOKEN_BYTES,
    TOKEN_TYPE,
    Box,
    BoxTokenError,
    mint,
    public_key_text,
    read_public_key,
    verify,
)

NOW = 1_793_700_000.5
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEYS = {"k1": KEY.public_key(), "k2": OTHER_KEY.public_key()}
HEADER: dict[str, Any] = {"alg": "EdDSA", "typ": TOKEN_TYPE, "kid": "k1"}
CLAIMS: dict[str, Any] = {
    "aud": AUDIENCE,
    "sub": "box-7",
    "org": "acme",
    "lid": "life-1",
    "iat": int(NOW),
    "exp": int(NOW) + 60,
}


def encoded(part: dict[str, Any] | bytes) -> bytes:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(raw).rstrip(b"=")


def signed(
    header: dict[str, Any] | bytes | None = None,
    claims: dict[str, Any] | bytes | None = None,
    key: Ed25519PrivateKey = KEY,
) -> bytes:
    """Sign whatever is given, as a stolen or careless signer could."""
    message = (
        encoded(HEADER if header is None else header) + b"." + encoded(CLAIMS if claims is None else claims)
    )
    return message + b"." + encoded(key.sign(message))


def minted(now: float = NOW, life_seconds: int = 60) -> bytes:
    return mint(
        KEY, "k1", box="box-7", org="acme", lifecycle="life-1", now=now, life_seconds=life_seconds
    ).encode()


def refused(token: bytes, now: float = NOW) -> str:
    with pytest.raises(BoxTokenError) as caught:
        verify(token, KEYS, now)
    return str(caught.value)


def test_a_minted_token_names_its_box() -> None:
    assert verify(minted(), KEYS, NOW) == Box("acme", "box-7", "life-1", int(NOW) + 60, "k1")


def test_the_hand_made_token_of_these_tests_is_a_good_one() -> None:
    assert verify(signed(), KEYS, NOW).org == "acme"


ID = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}", fullmatch=True)


@given(ID, ID, ID, st.integers(1, MAX_LIFE_SECONDS))
def test_any_valid_ids_and_life_come_back_as_they_went_in(
    org: str, box: str, lifecycle: str, life_seconds: int
) -> None:
    token = mint(KEY, "k1", box=box, org=org, lifecycle=lifecycle, now=NOW, life_seconds=life_seconds)
    assert verify(token.encode(), KEYS, NOW) == Box(org, box, lifecycle, int(NOW) + life_seconds, "k1")


@pytest.mark.parametrize("life_seconds", [0, -1, MAX_LIFE_SECONDS + 1])
def test_no_token_of_another_life_is_minted(life_seconds: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 300"):
        minted(life_seconds=life_seconds)


def test_a_token_is_good_until_its_last_second_and_not_longer() -> None:
    token = minted(life_seconds=300)
    assert verify(token, KEYS, int(NOW) + 299.9).box == "box-7"
    assert refused(token, int(NOW) + 300) == "the token has expired"


def test_a_token_from_the_future_is_good_within_the_clock_skew_only() -> None:
    token = minted(now=NOW + 1000)
    assert verify(token, KEYS, int(NOW) + 1000 - CLOCK_SKEW_SECONDS).box == "box-7"
    assert refused(token, int(NOW) + 1000 - CLOCK_SKEW_SECONDS - 1) == "the token is not valid yet"


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": ""},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": "Ed25519"},
        {"alg": "eddsa"},
        {"alg": None},
        {"alg": ["EdDSA"]},
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": TOKEN_TYPE.upper()},
        {"typ": "application/" + TOKEN_TYPE},
        {"typ": None},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": public_key_text(KEYS["k2"])}},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False},
        {"cty": "JWT"},
        {"zip": "DEF"},
    ],
)
def test_a_header_that_is_not_exactly_a_box_tokens_is_refused(change: dict[str, Any]) -> None:
    assert refused(signed(header=HEADER | change)) == "the token's header is not a box token's"


@pytest.mark.parametrize("name", HEADER)
def test_a_header_that_lacks_a_name_is_refused(name: str) -> None:
    refused(signed(header={key: value for key, value in HEADER.items() if key != name}))


@pytest.mark.parametrize("kid", ["k3", "", None, 1, ["k1"], {"k1": 1}, "../k1", "K1"])
def test_an_unknown_key_id_is_refused(kid: object) -> None:
    assert refused(signed(header=HEADER | {"kid": kid})) == "the token's node is not known"


def test_the_key_of_another_node_does_not_sign_under_this_nodes_name() -> None:
    assert refused(signed(key=OTHER_KEY)) == "the token's signature is wrong"


def test_a_removed_node_is_no_longer_believed() -> None:
    token = minted()
    with pytest.raises(BoxTokenError, match="not known"):
        verify(token, {"k2": KEYS["k2"]}, NOW)
    with pytest.raises(BoxTokenError, match="not known"):
        verify(token, {}, NOW)


@pytest.mark.parametrize("signature", [b"", b"A", encoded(bytes(64)), encoded(bytes(63)), encoded(bytes(65))])
def test_no_signature_of_another_making_is_accepted(signature: bytes) -> None:
    refused(encoded(HEADER) + b"." + encoded(CLAIMS) + b"." + signature)


def test_the_none_algorithm_is_refused() -> None:
    refused(jwt.encode(CLAIMS, "", algorithm="none", headers={"typ": TOKEN_TYPE, "kid": "k1"}).encode())


@pytest.mark.parametrize(
    "secret",
    [
        KEY.public_key().public_bytes_raw(),
        public_key_text(KEY.public_key()).encode(),
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
)
@pytest.mark.parametrize("alg", ["HS256", "EdDSA"])
def test_an_hmac_with_the_public_key_is_no_signature(secret: bytes, alg: str) -> None:
    message = encoded(HEADER | {"alg": alg}) + b"." + encoded(CLAIMS)
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(message)
    refused(message + b"." + encoded(mac.finalize()))


@pytest.mark.parametrize("aud", [None, "", "other", AUDIENCE + "x", [AUDIENCE], {"aud": AUDIENCE}, 1])
def test_another_audience_is_refused(aud: object) -> None:
    assert refused(signed(claims=CLAIMS | {"aud": aud})) == "the token is for another audience"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": int(NOW) + MAX_LIFE_SECONDS + 1}, "life is too long"),
        ({"exp": 10**30}, "life is too long"),
        ({"iat": -(10**30)}, "life is too long"),
        ({"exp": int(NOW)}, "life is too long"),
        ({"iat": int(NOW) - 400, "exp": int(NOW) - 200}, "has expired"),
        ({"iat": int(NOW) + 10**6, "exp": int(NOW) + 10**6 + 60}, "not valid yet"),
        ({"iat": 0, "exp": 300}, "has expired"),
        ({"exp": float(NOW) + 60}, "no valid times"),
        ({"exp": str(int(NOW) + 60)}, "no valid times"),
        ({"exp": True}, "no valid times"),
        ({"exp": None}, "no valid times"),
        ({"iat": None}, "no valid times"),
        ({"iat": False}, "no valid times"),
    ],
)
def test_wrong_times_are_refused(change: dict[str, Any], reason: str) -> None:
    assert reason in refused(signed(claims=CLAIMS | change))


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_times_that_are_no_integers_of_json_are_refused(literal: bytes) -> None:
    claims = json.dumps(CLAIMS | {"exp": "@"}).encode().replace(b'"@"', literal)
    assert "no valid times" in refused(signed(claims=claims))


@pytest.mark.parametrize("name", CLAIMS)
def test_a_missing_claim_is_refused(name: str) -> None:
    refused(signed(claims={key: value for key, value in CLAIMS.items() if key != name}))


@pytest.mark.parametrize("name", ["org", "sub", "lid"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        True,
        ["acme"],
        {"a": 1},
        "",
        ".",
        "..",
        "-x",
        "a/b",
        "a b",
        "a\n",
        "a\0",
        "\ud800",
        "é",
        "a" * 129,
    ],
)
def test_an_id_that_is_no_id_is_refused(name: str, value: object) -> None:
    assert "names no valid" in refused(signed(claims=CLAIMS | {name: value}))


@pytest.mark.parametrize("part", ["header", "claims"])
def test_a_repeated_name_is_refused(part: str) -> None:
    good = HEADER if part == "header" else CLAIMS
    for name, value in good.items():
        twice = json.dumps(good).encode()[:-1] + b', "%s": %s}' % (name.encode(), json.dumps(value).encode())
        header, claims = (twice, CLAIMS) if part == "header" else (HEADER, twice)
        assert refused(signed(header, claims)) == "the token repeats a name"


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'"x"', b"1", b"{", b"{}x", b"\xff", b"[" * 1200])
def test_parts_that_are_no_json_object_are_refused(raw: bytes) -> None:
    refused(signed(header=raw))
    refused(signed(claims=raw))


def test_one_text_per_token_other_spellings_of_base64_are_refused() -> None:
    token = minted()
    head, claims, signature = token.split(b".")
    last = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = [head + b"." + claims + b"." + signature[:-1] + bytes([char]) for char in last]
    assert [spelling for spelling in spellings if not _is_refused(spelling)] == [token]
    for spelling in (
        token + b"=",
        token + b"==",
        token + b"\n",
        b" " + token,
        token.replace(b"-", b"+").replace(b"_", b"/") + b"+",
        head + b"=." + claims + b"." + signature,
        head + b".\n" + claims + b"." + signature,
        b64encode(b"x" * 10) + token,
    ):
        refused(spelling)


@pytest.mark.parametrize("token", [b"", b".", b"..", b"...", b"a.b", b"a.b.c.d", b"\xff.\xff.\xff", b"a..c"])
def test_what_is_no_jwt_is_refused(token: bytes) -> None:
    refused(token)


def test_parts_cannot_be_added_dropped_or_exchanged() -> None:
    head, claims, signature = minted().split(b".")
    other_claims, other_signature = signed(claims=CLAIMS | {"org": "evil"}).split(b".")[1:]
    for parts in (
        (head, claims),
        (head, claims, signature, signature),
        (claims, head, signature),
        (head, other_claims, signature),
        (head, claims, other_signature),
    ):
        refused(b".".join(parts))


def test_an_oversized_token_is_refused_before_it_is_read() -> None:
    assert refused(signed(claims=CLAIMS | {"pad": "x" * MAX_TOKEN_BYTES})) == "the token is too long"
    assert refused(b"a" * (MAX_TOKEN_BYTES + 1)) == "the token is too long"


def _is_refused(token: bytes) -> bool:
    try:
        verify(token, KEYS, NOW)
    except BoxTokenError:
        return True
    return False


def _mutated(token: bytes, chance: random.Random) -> bytes:
    """Change, drop, add, repeat or move bytes; now and then decode a part, change a bit, encode it again."""
    changed = bytearray(token)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed))
        match chance.randrange(6):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at] ^= 1 << chance.randrange(8)
            case 2:
                del changed[at : at + chance.randint(1, 4)]
            case 3:
                changed.insert(at, chance.choice(b"abcXYZ019-_.=+/ "))
            case 4:
                other = chance.randrange(len(changed))
                changed[at], changed[other] = changed[other], changed[at]
            case _:
                end = at + chance.randint(1, 20)
                changed[at:at] = changed[at:end]
    return bytes(changed)


def test_of_twenty_thousand_mutated_tokens_none_is_accepted() -> None:
    chance = random.Random(7)
    token = minted()
    mutants = {_mutated(token, chance) for _ in range(20_000)} - {token}
    assert len(mutants) > 15_000
    assert [mutant for mutant in mutants if not _is_refused(mutant)] == []


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_without_another_error(token: bytes) -> None:
    refused(token)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_signed_bytes_are_refused_without_another_error(header: bytes, claims: bytes) -> None:
    refused(signed(header=header))
    refused(signed(claims=claims))


def test_an_error_shows_no_byte_of_the_token() -> None:
    for token in (signed(claims=CLAIMS | {"org": "canary org"}), signed(header=HEADER | {"kid": "canary"})):
        assert "canary" not in refused(token)


def test_a_public_key_reads_back_as_it_was_written() -> None:
    text = public_key_text(KEY.public_key())
    assert "=" not in text
    assert read_public_key(text).public_bytes_raw() == KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    "text", ["", "AAAA", "A" * 42, "A" * 44, "!" * 43, "A" * 42 + "B", "é" * 43, "A" * 43 + "="]
)
def test_a_text_that_is_no_public_key_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"32 bytes|base64url"):
        read_public_key(text)
