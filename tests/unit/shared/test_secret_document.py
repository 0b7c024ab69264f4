"""Tests of `shared/secret_document.py`: a key, its destination and its owner are read together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers import ProviderName
from shared.secret import Secret
from shared.secret_document import (
    SecretDocument,
    SecretDocumentError,
    from_fields,
    from_json,
    path_of,
    to_fields,
    to_json,
)

CANARY = "sk-canary-4f1d9a"
FIELDS = {"org": "acme", "provider": "openai", "endpoint": "https://api.openai.com/v1", "api_key": CANARY}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXT, st.sampled_from(["openai", "anthropic"]), TEXT, TEXT)
def test_a_document_reads_back_as_it_was_written(
    org: str, provider: ProviderName, endpoint: str, key: str
) -> None:
    document = SecretDocument(org, provider, endpoint, Secret(key))
    assert from_json(to_json(document), org, provider) == document
    assert from_fields(to_fields(document), org, provider) == document


def test_a_document_does_not_show_its_key() -> None:
    assert CANARY not in repr(from_fields(FIELDS, "acme", "openai"))


@pytest.mark.parametrize(
    ("org", "provider"), [("other", "openai"), ("acme", "anthropic"), ("ACME", "openai")]
)
def test_the_document_of_another_integration_is_refused(org: str, provider: ProviderName) -> None:
    with pytest.raises(SecretDocumentError, match="another integration"):
        from_fields(FIELDS, org, provider)


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_refused(name: str) -> None:
    with pytest.raises(SecretDocumentError, match="expected fields"):
        from_fields({key: value for key, value in FIELDS.items() if key != name}, "acme", "openai")


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [None, 1, ["x"], {"x": "y"}, b"x"])
def test_a_field_that_is_no_text_is_refused(name: str, value: object) -> None:
    with pytest.raises(SecretDocumentError, match="not text"):
        from_fields(FIELDS | {name: value}, "acme", "openai")


def test_an_extra_field_is_refused() -> None:
    with pytest.raises(SecretDocumentError, match="expected fields"):
        from_fields(FIELDS | {"redirect_to": "https://evil.example"}, "acme", "openai")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe\xfd", b"1" * 5000])
def test_bytes_that_are_no_document_are_refused(data: bytes) -> None:
    with pytest.raises(SecretDocumentError):
        from_json(data, "acme", "openai")


def test_an_error_shows_nothing_of_the_document() -> None:
    broken: list[Any] = [FIELDS | {"org": "x"}, FIELDS | {"endpoint": 1}, [CANARY], {CANARY: CANARY}]
    for fields in broken:
        with pytest.raises(SecretDocumentError) as caught:
            from_json(json.dumps(fields).encode(), "acme", "openai")
        assert CANARY not in repr(caught.value)


def test_a_document_lies_below_its_org_and_provider() -> None:
    assert path_of("acme", "anthropic") == "orgs/acme/anthropic"


@pytest.mark.parametrize(
    "org",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a/../..",
        "/etc",
        "a\\b",
        "a\0b",
        "a b",
        "a\n",
        ".hidden",
        "é",
        "a" * 129,
    ],
)
def test_an_org_that_could_lead_out_of_its_folder_has_no_place(org: str) -> None:
    with pytest.raises(SecretDocumentError, match="no secret lies"):
        path_of(org, "openai")


def test_an_unknown_provider_has_no_place() -> None:
    provider: Any = "../other/openai"
    with pytest.raises(SecretDocumentError, match="no secret lies"):
        path_of("acme", provider)
