"""Admission of requests: methods, Host, and requests possibly made by a web page (threats 6 and 12)."""

from __future__ import annotations

import pytest

from tests.corpus.replay import LIMITS, replay
from tests.unit.data_plane.core.test_request_head import HANDSHAKE

OWN = b"http://10.0.2.2:1000"


def outcome(
    *lines: bytes, method: bytes = b"GET", host: bytes = b"10.0.2.2:1000", target: bytes = b""
) -> str:
    start = method + b" " + (target or b"/run9/ai/openai/v1/models") + b" HTTP/1.1"
    return replay([b"\r\n".join((start, b"Host: " + host, *lines, b"", b""))]).outcomes[0]


@pytest.mark.parametrize(
    "method", [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"HEAD", b"QUERY", b"x"]
)
def test_any_other_method_passes(method: bytes) -> None:
    assert outcome(method=method) == "forwarded"


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE", b"TRACK"])
def test_a_method_that_is_never_forwarded_is_refused(method: bytes) -> None:
    assert outcome(method=method) == "method_not_allowed"


@pytest.mark.parametrize(
    "target", [b"http://10.0.2.2:1000/run9/ai/openai/v1/x", b"https://evil/", b"evil:80", b"x", b"?x", b"**"]
)
def test_only_a_path_is_a_target(target: bytes) -> None:
    assert outcome(target=target) == "bad_request"


@pytest.mark.parametrize("host", [b"10.0.2.2:1000", b"127.0.0.1:1000", b"localhost:1000", b"LocalHost:1000"])
def test_the_gateways_own_host_passes(host: bytes) -> None:
    assert outcome(host=host) == "forwarded"


@pytest.mark.parametrize(
    "host",
    [b"evil.example", b"10.0.2.2", b"10.0.2.2:1001", b"10.0.2.2:1000.evil.example", b"api.openai.com", b"",
     b"10.0.2.2:1000 evil", b"http://10.0.2.2:1000", b"x@10.0.2.2:1000", b"10.0.2.2:01000", b"167772674:1"],
)  # fmt: skip
def test_a_rebound_host_is_refused(host: bytes) -> None:
    assert outcome(host=host) == "browser_request_refused"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), "forwarded"),
        ((b"Origin: " + OWN,), "forwarded"),
        ((b"Origin: HTTP://LOCALHOST:1000",), "forwarded"),
        ((b"Sec-Fetch-Site: same-origin", b"Origin: " + OWN), "forwarded"),
        ((b"Sec-Fetch-Mode: cors",), "forwarded"),
        ((b"Origin: https://evil.example",), "browser_request_refused"),
        ((b"Origin: https://10.0.2.2:1000",), "browser_request_refused"),
        ((b"Origin: http://10.0.2.2",), "browser_request_refused"),
        ((b"Origin: http://localhost:3000",), "browser_request_refused"),
        ((b"Origin: null",), "browser_request_refused"),
        ((b"Origin:",), "browser_request_refused"),
        ((b"Origin: " + OWN, b"Origin: " + OWN), "browser_request_refused"),
        ((b"Sec-Fetch-Site: cross-site",), "browser_request_refused"),
        ((b"Sec-Fetch-Site: cross-site", b"Origin: " + OWN), "browser_request_refused"),
        ((b"Origin: https://evil.example", b"Authorization: Bearer x"), "forwarded"),
        ((b"Sec-Fetch-Site: cross-site", b"x-api-key: x"), "forwarded"),
        ((b"Sec-Fetch-Mode: cors", b"Authorization: Bearer x"), "forwarded"),
        ((*HANDSHAKE, b"Origin: https://evil.example"), "browser_request_refused"),
        ((*HANDSHAKE, b"Origin: https://evil.example", b"Authorization: Bearer x"), "forwarded"),
        (
            (*HANDSHAKE, b"Origin: https://e", b"Sec-WebSocket-Protocol: openai-insecure-api-key.x"),
            "browser_request_refused",
        ),
    ],
)
def test_what_a_page_can_send_blindly_is_refused(lines: tuple[bytes, ...], expected: str) -> None:
    assert outcome(*lines) == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [(LIMITS.max_body_bytes, "forwarded"), (LIMITS.max_body_bytes + 1, "body_too_large")],
)
def test_a_body_may_be_as_large_as_the_limit(length: int, expected: str) -> None:
    assert outcome(b"Content-Length: %d" % length, method=b"POST") == expected


def test_the_limit_lies_above_the_providers_own() -> None:
    assert LIMITS.max_body_bytes > 800 * 1000 * 1000


def test_a_refusal_carries_its_code_and_its_detail() -> None:
    result = replay([b"TRACE / HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"])
    assert result.details == ["CONNECT and TRACE are never forwarded"]
