"""From a row and a secret to the bytes sent by the relay, or a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.table.compile import CompileError, compile_integration
from shared.providers import ProviderName
from tests.support.config_truth import document, row


def compiled(
    provider: ProviderName = "openai",
    *,
    endpoint: str | None = None,
    key: str = "sk-test-key",
    allow_plain_http: bool = False,
) -> CompiledIntegration:
    return compile_integration(
        row(provider=provider, version=7),
        document(provider=provider, endpoint=endpoint, key=key),
        allow_plain_http=allow_plain_http,
    )


def test_an_openai_endpoint_carries_its_own_version() -> None:
    result = compiled()
    assert (result.base_path, result.host_line) == (b"/v1", b"Host: api.openai.com\r\n")
    assert (result.org, result.secret_version) == ("acme", 7)


@pytest.mark.parametrize(
    ("endpoint", "base_path", "host"),
    [
        (None, b"/v1", b"api.anthropic.com"),
        ("https://api.anthropic.com/v1", b"/v1", b"api.anthropic.com"),
        ("https://api.anthropic.com/v1/", b"/v1", b"api.anthropic.com"),
        ("https://llm.example:8443/anthropic", b"/anthropic/v1", b"llm.example:8443"),
        ("https://llm.example/anthropic/v1", b"/anthropic/v1", b"llm.example"),
        ("https://llm.example/av1", b"/av1/v1", b"llm.example"),
    ],
)
def test_an_anthropic_endpoint_gets_its_version_once(
    endpoint: str | None, base_path: bytes, host: bytes
) -> None:
    result = compiled("anthropic", endpoint=endpoint)
    assert (result.base_path, result.host_line) == (base_path, b"Host: %s\r\n" % host)


@pytest.mark.parametrize(
    ("provider", "key", "lines", "beta"),
    [
        ("openai", "sk-proj-1", b"Authorization: Bearer sk-proj-1\r\n", b""),
        ("openai", "gateway-key", b"Authorization: Bearer gateway-key\r\n", b""),
        ("openai", "sk-ant-oat01-1", b"Authorization: Bearer sk-ant-oat01-1\r\n", b""),
        ("anthropic", "sk-ant-api03-1", b"x-api-key: sk-ant-api03-1\r\n", b""),
        ("anthropic", "sk-ant-oat01-1", b"Authorization: Bearer sk-ant-oat01-1\r\n", b"oauth-2025-04-20"),
        ("anthropic", "gateway-key", b"x-api-key: gateway-key\r\n", b""),
        ("anthropic", "sk-proj-1", b"x-api-key: sk-proj-1\r\n", b""),
    ],
)
def test_each_kind_of_key_goes_into_its_own_header(
    provider: ProviderName, key: str, lines: bytes, beta: bytes
) -> None:
    result = compiled(provider, key=key)
    assert (result.credential_lines, result.beta_token, result.key_bytes) == (lines, beta, key.encode())


@pytest.mark.parametrize("key", ["", " sk", "sk ", "sk-\u00e9", "sk-\u2028", "k" * 513])
def test_a_key_that_is_no_header_value_is_refused(key: str) -> None:
    with pytest.raises(CompileError):
        compiled(key=key)


@given(st.integers(0, 255), st.integers(0, 6))
def test_a_control_byte_anywhere_in_a_key_is_refused(byte: int, position: int) -> None:
    key = "sk-key"[:position] + chr(byte) + "sk-key"[position:]
    if 0x21 <= byte <= 0x7E or (byte == 0x20 and 0 < position < 6):
        assert compiled(key=key).credential_lines == b"Authorization: Bearer %s\r\n" % key.encode()
    else:
        with pytest.raises(CompileError):
            compiled(key=key)


def test_plain_http_is_refused_unless_the_operator_allows_it() -> None:
    with pytest.raises(CompileError, match="plain http"):
        compiled(endpoint="http://127.0.0.1:9/v1")
    assert not compiled(endpoint="http://127.0.0.1:9/v1", allow_plain_http=True).endpoint.tls


@pytest.mark.parametrize(
    "endpoint", ["ftp://x", "https://u:p@x.example", "https://x.example/a?b", "https://"]
)
def test_a_malformed_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(CompileError, match="endpoint"):
        compiled(endpoint=endpoint)


@pytest.mark.parametrize("other", [document(org="evil"), document(provider="anthropic")])
def test_the_secret_of_another_integration_is_refused(other: object) -> None:
    with pytest.raises(CompileError, match="another integration"):
        compile_integration(row(), other, allow_plain_http=False)  # type: ignore[arg-type]  # parametrized


def test_neither_the_result_nor_a_refusal_shows_the_key() -> None:
    canary = "sk-canary-5f1e"
    assert canary not in repr(compiled(key=canary))
    with pytest.raises(CompileError) as refusal:
        compiled(key=canary + "\n")
    assert canary not in str(refusal.value)


def test_orgs_with_the_same_endpoint_share_one_parsed_copy() -> None:
    assert compiled().endpoint is compiled(key="sk-other").endpoint
