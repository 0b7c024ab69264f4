"""Tests of `shared/sealed_file.py`: a sealed version opens in its own place, whole, with its own key only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers import ProviderName
from shared.sealed_file import (
    KEY_BYTES,
    KEY_FILE,
    MAX_SEALED_BYTES,
    SealError,
    file_of,
    folder_of,
    read_key,
    seal,
    unseal,
    version_of,
)
from shared.secret_document import SecretDocumentError

KEY = bytes(range(KEY_BYTES))
PLAIN = b'{"api_key":"sk-canary-4f1d9a"}'
ORGS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,20}", fullmatch=True)
PLACES = st.tuples(ORGS, st.sampled_from(["openai", "anthropic"]), st.integers(1, 10**18))


@given(PLACES, st.binary(max_size=1000))
def test_what_is_sealed_opens_in_its_place(place: tuple[str, ProviderName, int], plain: bytes) -> None:
    assert unseal(KEY, *place, seal(KEY, *place, plain)) == plain


@given(PLACES, PLACES)
def test_a_file_that_was_moved_or_renamed_does_not_open(
    place: tuple[str, ProviderName, int], other: tuple[str, ProviderName, int]
) -> None:
    sealed = seal(KEY, *place, PLAIN)
    if place != other:
        with pytest.raises(SealError):
            unseal(KEY, *other, sealed)


@pytest.mark.parametrize(
    "other", [("acme", "openai", 2), ("acme", "anthropic", 1), ("acm", "openai", 1), ("acme1", "openai", 1)]
)
def test_a_neighbouring_place_does_not_open_it(other: tuple[str, ProviderName, int]) -> None:
    with pytest.raises(SealError):
        unseal(KEY, *other, seal(KEY, "acme", "openai", 1, PLAIN))


def test_an_altered_byte_anywhere_is_noticed() -> None:
    sealed = seal(KEY, "acme", "openai", 1, PLAIN)
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(SealError):
            unseal(KEY, "acme", "openai", 1, bytes(altered))


def test_a_cut_or_lengthened_file_is_noticed() -> None:
    sealed = seal(KEY, "acme", "openai", 1, PLAIN)
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            unseal(KEY, "acme", "openai", 1, sealed[:length])
    with pytest.raises(SealError):
        unseal(KEY, "acme", "openai", 1, sealed + b"\0")


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SealError):
        unseal(os.urandom(KEY_BYTES), "acme", "openai", 1, seal(KEY, "acme", "openai", 1, PLAIN))


def test_an_oversized_file_is_refused_before_it_is_decrypted() -> None:
    with pytest.raises(SealError, match="format"):
        unseal(KEY, "acme", "openai", 1, seal(KEY, "acme", "openai", 1, b"x" * MAX_SEALED_BYTES))


def test_two_seals_of_the_same_version_differ_and_show_nothing() -> None:
    one, other = (seal(KEY, "acme", "openai", 1, PLAIN) for _ in range(2))
    assert one != other
    assert b"canary" not in one
    assert b"api_key" not in one


def test_files_lie_below_their_org_and_provider(tmp_path: Path) -> None:
    path = file_of(tmp_path, "acme", "openai", 12)
    assert path == tmp_path / "orgs" / "acme" / "openai" / "12.sealed"
    assert path.parent == folder_of(tmp_path, "acme", "openai")
    assert version_of(path.name) == 12


def test_no_org_leads_out_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(SecretDocumentError):
        file_of(tmp_path, "../../etc", "openai", 1)


@pytest.mark.parametrize(
    "name",
    ["0.sealed", "01.sealed", "-1.sealed", "1.sealed.tmp", ".1.sealed", "1", "key", "1.SEALED", "٣.sealed"],
)
def test_a_file_of_another_kind_holds_no_version(name: str) -> None:
    assert version_of(name) is None


def _key_file(root: Path, content: bytes, mode: int) -> None:
    (root / KEY_FILE).write_bytes(content)
    (root / KEY_FILE).chmod(mode)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_of_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    _key_file(tmp_path, KEY, mode)
    assert read_key(tmp_path) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666, 0o601, 0o620])
def test_a_key_file_open_to_others_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    _key_file(tmp_path, KEY, mode)
    with pytest.raises(SealError, match=f"mode {mode:o}.*make it 600"):
        read_key(tmp_path)


@pytest.mark.parametrize("content", [b"", KEY[:-1], KEY + b"\n", KEY.hex().encode()])
def test_a_key_of_another_size_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    _key_file(tmp_path, content, 0o600)
    with pytest.raises(SealError, match="256-bit") as caught:
        read_key(tmp_path)
    assert KEY.hex()[:8] not in str(caught.value)


def test_a_missing_key_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="cannot be read"):
        read_key(tmp_path)
