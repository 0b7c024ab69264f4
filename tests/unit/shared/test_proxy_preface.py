"""The preface's bytes, beside the examples of the PROXY protocol's specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.box_token import MAX_TOKEN_BYTES
from shared.proxy_preface import (
    FAMILY_UNSPEC,
    FIXED_HEADER_BYTES,
    MAX_PREFACE_BYTES,
    SIGNATURE,
    TLV_BOX_TOKEN,
    encode_preface,
)


def test_a_preface_is_signature_command_family_length_and_one_tlv() -> None:
    signature = bytes.fromhex("0d0a0d0a000d0a515549540a")
    assert encode_preface(b"a.b.c") == signature + b"\x21\x00\x00\x08\xe7\x00\x05a.b.c"


def test_a_local_preface_without_a_token_is_the_fixed_header_alone() -> None:
    assert encode_preface(b"", command="local") == SIGNATURE + b"\x20\x00\x00\x00"


@given(st.binary(min_size=1, max_size=MAX_TOKEN_BYTES))
def test_the_lengths_in_a_preface_are_those_of_its_parts(token: bytes) -> None:
    preface = encode_preface(token)
    assert len(preface) <= MAX_PREFACE_BYTES
    assert preface[13] == FAMILY_UNSPEC
    assert int.from_bytes(preface[14:16]) == len(preface) - FIXED_HEADER_BYTES
    assert preface[16] == TLV_BOX_TOKEN
    assert int.from_bytes(preface[17:19]) == len(token)
    assert preface[19:] == token


def test_a_token_that_no_verifier_takes_is_refused_without_its_text() -> None:
    with pytest.raises(ValueError, match="at most 2048 bytes") as raised:
        encode_preface(b"t" * (MAX_TOKEN_BYTES + 1))
    assert "ttt" not in str(raised.value)
