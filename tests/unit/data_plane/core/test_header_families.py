"""Tests of `core/header_families.py`: which families a name belongs to; the lists are in the rules' tests."""

from __future__ import annotations

import pytest

from services.data_plane.core.header_families import is_account_selector, is_credential, is_dropped_family


@pytest.mark.parametrize("name", [b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key"])
def test_a_key_of_any_gateway_is_a_credential(name: bytes) -> None:
    assert is_credential(name)
    assert not is_account_selector(name)


@pytest.mark.parametrize("name", [b"openai-project", b"anthropic-workspace-id", b"x-goog-user-project"])
def test_an_account_selector_is_dropped_and_no_credential(name: bytes) -> None:
    assert is_account_selector(name)
    assert is_dropped_family(name)
    assert not is_credential(name)


@pytest.mark.parametrize("name", [b"x-original-url", b"x-real-ip", b"x-run9-org"])
def test_an_override_or_address_is_dropped(name: bytes) -> None:
    assert is_dropped_family(name)


@pytest.mark.parametrize("name", [b"accept", b"anthropic-beta", b"idempotency-key", b"x-stainless-os", b""])
def test_an_ordinary_name_is_of_no_family(name: bytes) -> None:
    assert not is_dropped_family(name)
    assert not is_credential(name)
