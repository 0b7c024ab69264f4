"""The exact bytes sent to a provider: strip first, inject last (threats 9, 11, 13, 15, 16)."""

from __future__ import annotations

import re
from itertools import product

import pytest

from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.core.request_rules import is_repeatable, prepare_head
from services.data_plane.core.route import split_target
from tests.corpus.replay import (
    ANTHROPIC_KEY,
    OPENAI_KEY,
    ROUTES,
    SETUP_TOKEN,
    integration_of,
    replay,
)
from tests.unit.data_plane.core.test_request_head import HANDSHAKE, cut

OPENAI = integration_of("openai")
ANTHROPIC = integration_of("anthropic")
SETUP = integration_of("anthropic", SETUP_TOKEN)
BETA = b"oauth-2025-04-20"
CLIENT_CREDENTIALS = (
    b"Authorization: Bearer client", b"authorization:client", b"AUTHORIZATION: Basic e", b"x-api-key: client",
    b"X-API-KEY: client", b"api-key: client", b"Proxy-Authorization: client", b"Cookie: client",
    b"OpenAI-Organization: client", b"OpenAI-Project: client", b"x_api_key: client", b"api_key: client",
)  # fmt: skip
NAMED = (
    b"",
    b"authorization",
    b"Authorization, x-api-key",
    b"x-api-key, close",
    b"keep-alive, api-key, host2",
)


def sent(integration: CompiledIntegration, *lines: bytes, version: bytes = b"1.1") -> bytes:
    path, query = split_target(b"/run9/ai/%b/v1/x?q=1" % integration.provider.name.encode())
    route = ROUTES.find(path)
    assert route is not None
    return prepare_head(cut(*lines, version=version), route, query, integration)


def fields(head: bytes) -> list[bytes]:
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].split(b"\r\n")[1:]


def credentials(head: bytes) -> list[bytes]:
    return [line for line in fields(head) if re.match(rb"(?i)(authorization|x-api-key|api-key)\s*:", line)]


def test_a_request_leaves_with_host_first_its_own_lines_as_they_came_and_the_key_last() -> None:
    head = sent(OPENAI, b"X-B: 2", b"accept:*/*", b"Authorization: Bearer run9-placeholder", b"X-B: 1")
    assert head == (
        b"GET /v1/x?q=1 HTTP/1.1\r\nHost: api.openai.com\r\nX-B: 2\r\naccept:*/*\r\nX-B: 1\r\n"
        b"Authorization: Bearer " + OPENAI_KEY.encode() + b"\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("integration", "line"),
    [
        (OPENAI, b"Authorization: Bearer " + OPENAI_KEY.encode()),
        (integration_of("openai", "sk-svcacct-abcdefgh"), b"Authorization: Bearer sk-svcacct-abcdefgh"),
        (ANTHROPIC, b"x-api-key: " + ANTHROPIC_KEY.encode()),
        (SETUP, b"Authorization: Bearer " + SETUP_TOKEN.encode()),
        (integration_of("openai", "custom-key", "https://h.example/v1"), b"Authorization: Bearer custom-key"),
        (integration_of("anthropic", "custom-key", "https://h.example"), b"x-api-key: custom-key"),
    ],
    ids=["openai", "openai service account", "anthropic", "setup token", "other openai", "other anthropic"],
)
def test_each_kind_of_key_is_sent_in_its_own_header(integration: CompiledIntegration, line: bytes) -> None:
    assert credentials(sent(integration)) == [line]


@pytest.mark.parametrize(
    "integration", [OPENAI, ANTHROPIC, SETUP], ids=["openai", "anthropic", "setup token"]
)
def test_exactly_one_credential_arrives_whatever_the_client_sends_and_connection_names(
    integration: CompiledIntegration,
) -> None:
    for client, named in product(CLIENT_CREDENTIALS, NAMED):
        head = sent(integration, client, b"Connection: " + named, client)
        assert credentials(head) == [integration.credential_lines.removesuffix(b"\r\n")]
        assert b"client" not in head
        assert not any(line.lower().startswith(b"connection:") for line in fields(head))


@pytest.mark.parametrize(
    "named",
    [
        b"host",
        b"x-api-key",
        b"authorization",
        b"anthropic-beta",
        b"content-type",
        b"accept",
        b"x-own",
        b"via",
        b"te",
    ],
)
def test_connection_never_takes_away_what_the_gateway_sets(named: bytes) -> None:
    if named == b"host":
        raw = b"GET /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nConnection: host\r\n\r\n"
        assert replay([raw]).outcomes == ["bad_request"]
        return
    head = sent(SETUP, b"Connection: close, " + named, named + b": client")
    assert fields(head) == [
        b"Host: api.anthropic.com",
        b"anthropic-beta: " + BETA,
        b"Authorization: Bearer " + SETUP_TOKEN.encode(),
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), [b"anthropic-beta: " + BETA]),
        ((b"Anthropic-Beta: a",), [b"Anthropic-Beta: a," + BETA]),
        ((b"anthropic-beta: a, b \t",), [b"anthropic-beta: a, b," + BETA]),
        ((b"anthropic-beta: a", b"X: 1", b"anthropic-beta: b"),
         [b"anthropic-beta: a," + BETA, b"X: 1", b"anthropic-beta: b"]),
        ((b"anthropic-beta: a, " + BETA,), [b"anthropic-beta: a, " + BETA]),
        ((b"anthropic-beta: a", b"X: 1", b"anthropic-beta: " + BETA),
         [b"anthropic-beta: a", b"X: 1", b"anthropic-beta: " + BETA]),
        ((b"anthropic-beta: x" + BETA,), [b"anthropic-beta: x" + BETA + b"," + BETA]),
        ((b"anthropic-beta:",), [b"anthropic-beta:," + BETA]),  # an empty element: RFC 9110 §5.6.1.2
    ],
)  # fmt: skip
def test_a_setup_tokens_beta_is_merged_into_the_list_once(
    lines: tuple[bytes, ...], expected: list[bytes]
) -> None:
    assert fields(sent(SETUP, *lines))[1:-1] == expected


def test_an_ordinary_key_leaves_the_betas_alone() -> None:
    assert fields(sent(ANTHROPIC, b"anthropic-beta: a"))[1:-1] == [b"anthropic-beta: a"]


def test_an_http_10_request_stays_one_and_ends_its_connection() -> None:
    head = sent(OPENAI, b"X-A: 1", b"Connection: keep-alive", version=b"1.0")
    assert head.startswith(
        b"GET /v1/x?q=1 HTTP/1.0\r\nConnection: close\r\nHost: api.openai.com\r\nX-A: 1\r\n"
    )


def test_a_handshake_is_written_again_without_credentials() -> None:
    lines = (
        *HANDSHAKE, b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        b"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.client, openai-organization.client",
        b"sec-websocket-protocol: openai-project.client, openai-beta.realtime-v1",
    )  # fmt: skip
    head = sent(OPENAI, *lines)
    assert fields(head) == [
        b"Host: api.openai.com", *lines[2:5], b"Connection: Upgrade", b"Upgrade: websocket",
        b"Sec-WebSocket-Protocol: realtime, openai-beta.realtime-v1",
        b"Authorization: Bearer " + OPENAI_KEY.encode(),
    ]  # fmt: skip
    assert b"client" not in head.replace(b"client_max_window_bits", b"")


def test_another_upgrade_is_not_passed_on() -> None:
    head = sent(OPENAI, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
    assert fields(head) == [b"Host: api.openai.com", b"Authorization: Bearer " + OPENAI_KEY.encode()]


POSITIONS = {
    "method": b"G%cT /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
    "path": b"GET /run9/ai/openai/v1/a%cb HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
    "query": b"GET /run9/ai/openai/v1/x?a%cb HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
    "version": b"GET /run9/ai/openai/v1/x HTTP/1.%c\r\nHost: 10.0.2.2:1000\r\n\r\n",
    "name": b"GET /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nX-%cA: 1\r\n\r\n",
    "value": b"GET /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nX-A: a%cb\r\n\r\n",
    "value's end": b"GET /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nX-A: a%c\r\n\r\n",
    "protocol": b"GET /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Protocol: a%cb\r\n\r\n",
    "beta": b"GET /run9/ai/anthropic/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nanthropic-beta: a%cb\r\n\r\n",
}


@pytest.mark.parametrize("position", POSITIONS)
def test_no_cr_lf_or_nul_is_ever_forwarded(position: str) -> None:
    forwarded = 0
    for byte in range(256):
        raw = POSITIONS[position].replace(b"%c", bytes([byte]))
        for request in replay([raw]).sent:
            forwarded += 1
            assert byte not in b"\r\n\0"
            stray = request.sent_head.replace(b"\r\n", b"")
            assert not any(control in stray for control in (b"\r", b"\n", b"\0"))
            assert request.sent_head.count(b"\r\n\r\n") == 1
    assert forwarded > 0


@pytest.mark.parametrize(
    ("method", "lines", "length", "expected"),
    [
        (b"GET", (), b"", True),
        (b"HEAD", (), b"", True),
        (b"OPTIONS", (b"Content-Length: 0",), b"0", True),
        (b"GET", (b"Content-Length: 3",), b"3", False),
        (b"GET", (b"Transfer-Encoding: chunked",), b"", False),
        (b"POST", (b"Content-Length: 0",), b"0", False),
        (b"DELETE", (), b"", False),
    ],
)
def test_only_a_safe_request_without_a_body_may_be_sent_again(
    method: bytes, lines: tuple[bytes, ...], length: bytes, *, expected: bool
) -> None:
    assert is_repeatable(cut(*lines, method=method), length) == expected
