"""The strict parser of prefaces: accepted prefaces, refused prefaces, and a bounded wait for bytes."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.proxy_preface import BadPreface, NoPreface, Preface, read_preface
from shared.box_token import MAX_TOKEN_BYTES, BoxTokenError, mint, verify
from shared.proxy_preface import ADDRESS_BYTES, FAMILY_UNSPEC, MAX_PREFACE_BYTES, SIGNATURE, encode_preface

MUTATIONS, NIGHTLY_MUTATIONS = 5_000, 100_000
NOW = 1_800_000_000.0
NODE = Ed25519PrivateKey.generate()
KEYS = {"kid-1": NODE.public_key()}
TOKEN = mint(NODE, "kid-1", box="box-1", org="acme", lifecycle="l", now=NOW, life_seconds=300).encode()
GOOD = encode_preface(TOKEN)


def raw(tlvs: bytes, *, first: int = 0x21, family: int = FAMILY_UNSPEC, length: int | None = None) -> bytes:
    said = len(tlvs) if length is None else length
    return SIGNATURE + bytes([first, family]) + said.to_bytes(2, "big") + tlvs


def tlv(value: bytes, kind: int = 0xE7) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def test_an_encoded_preface_gives_its_token_and_its_size() -> None:
    assert read_preface(GOOD) == Preface(TOKEN, len(GOOD))
    assert read_preface(GOOD + b"GET / HTTP/1.1\r\n") == Preface(TOKEN, len(GOOD))


@given(st.binary(min_size=1, max_size=MAX_TOKEN_BYTES), st.binary(max_size=50))
def test_every_token_comes_back_as_it_went_in(token: bytes, rest: bytes) -> None:
    written = encode_preface(token)
    assert read_preface(written + rest) == Preface(token, len(written))


@pytest.mark.parametrize(("family", "size"), ADDRESS_BYTES.items())
def test_addresses_of_every_known_family_are_skipped(family: int, size: int) -> None:
    written = raw(bytes(size) + tlv(b"t"), family=family)
    assert read_preface(written) == Preface(b"t", len(written))


@pytest.mark.parametrize("end", range(len(GOOD)))
def test_a_preface_that_is_not_whole_asks_for_more_at_every_byte(end: int) -> None:
    assert read_preface(GOOD[:end]) is None


def test_a_local_command_carries_no_identity_even_with_a_token() -> None:
    assert read_preface(encode_preface(b"", command="local")) == Preface(None, 16)
    told = encode_preface(TOKEN, command="local")
    assert read_preface(told) == Preface(None, len(told))


@pytest.mark.parametrize(
    "data",
    [b"G", b"GET / HTTP/1.1\r\n", b"\r\nGET", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", b"\x16\x03\x01", b"\0"],
)
def test_what_does_not_begin_like_a_preface_is_none_at_its_first_wrong_byte(data: bytes) -> None:
    with pytest.raises(NoPreface):
        read_preface(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (raw(tlv(TOKEN), first=0x11), "another version"),
        (raw(tlv(TOKEN), first=0x31), "another version"),
        (raw(tlv(TOKEN), first=0x22), "unknown command"),
        (raw(tlv(TOKEN), family=0x12), "unknown family"),
        (raw(tlv(TOKEN), family=0xFF), "unknown family"),
        (raw(b""), "no token"),
        (raw(tlv(b"")), "no token"),
        (raw(b"\xe7\0"), "no token"),
        (raw(tlv(TOKEN, 0xE6)), "something else"),
        (raw(tlv(b"x", 0x04) + tlv(TOKEN)), "something else"),
        (raw(tlv(TOKEN) + tlv(TOKEN)), "more or less"),
        (raw(tlv(TOKEN) + b"\0"), "more or less"),
        (raw(tlv(TOKEN)[:-1]), "more or less"),
        (raw(tlv(bytes(MAX_TOKEN_BYTES + 1))), "too long"),
        (raw(b"", length=0xFFFF), "too long"),
        (raw(b"", length=MAX_PREFACE_BYTES - 15), "too long"),
        (raw(bytes(11), family=0x11), "shorter than its addresses"),
        (raw(bytes(12), family=0x11), "no token"),
    ],
)
def test_what_is_almost_a_preface_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadPreface, match=reason):
        read_preface(data)


@pytest.mark.parametrize("bad", [raw(b"", first=0x11)[:13], raw(b"", family=0x12)[:14]])
def test_a_wrong_byte_is_refused_before_the_rest_has_come(bad: bytes) -> None:
    assert read_preface(bad[:-1]) is None
    with pytest.raises(BadPreface):
        read_preface(bad)


@given(st.binary(max_size=4_000))
def test_any_bytes_behind_the_signature_give_a_verdict_and_never_ask_for_more_than_the_bound(
    data: bytes,
) -> None:
    try:
        found = read_preface(SIGNATURE + data)
    except BadPreface:
        return
    assert found is not None or len(SIGNATURE + data) < MAX_PREFACE_BYTES


def mutated(dice: random.Random) -> bytes:
    """Change, drop, add, repeat or exchange some bytes of a good preface."""
    changed = bytearray(GOOD)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(changed))
        match dice.randrange(5):
            case 0:
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                changed[at] = dice.randrange(256)
            case 2:
                del changed[at : at + dice.randint(1, 16)]
            case 3:
                changed[at:at] = dice.randbytes(dice.randint(1, 16))
            case _:
                changed[at:at] = changed[at : at + dice.randint(1, 40)]
    return bytes(changed)


def accepted(data: bytes) -> bool:
    try:
        found = read_preface(data)
        return bool(found and found.token and verify(found.token, KEYS, NOW))
    except (NoPreface, BadPreface, BoxTokenError):
        return False


def count_accepted(mutations: int, seed: int) -> int:
    dice = random.Random(seed)
    # A mutant that still begins with the good preface is a good preface with bytes of the box behind it.
    mutants = (mutated(dice) for _ in range(mutations))
    return sum(accepted(mutant) for mutant in mutants if not mutant.startswith(GOOD))


def test_the_unchanged_preface_of_these_tests_is_accepted() -> None:
    assert accepted(GOOD)


def test_no_mutation_of_a_preface_is_accepted() -> None:
    assert count_accepted(MUTATIONS, seed=1) == 0


@pytest.mark.nightly
def test_not_one_of_many_mutations_of_a_preface_is_accepted() -> None:
    assert count_accepted(NIGHTLY_MUTATIONS, seed=random.SystemRandom().randrange(2**32)) == 0
