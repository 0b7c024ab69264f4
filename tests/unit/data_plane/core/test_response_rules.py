"""A provider's answer on its way to the box: passed, rewritten or refused (threats 8, 9 and 13)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_head import parse_response_head
from services.data_plane.core.response_rules import (
    check_response,
    is_held,
    local_address,
    local_location,
    prepare_response,
    tells_key,
)
from services.data_plane.core.route import forwarded_target, split_target
from shared.rejections import Rejection
from tests.corpus.replay import LIMITS, OPENAI_KEY, ROUTES, integration_of
from tests.unit.data_plane.core.test_request_head import HANDSHAKE, cut

OPENAI = integration_of("openai")
ANTHROPIC = integration_of("anthropic")
BARE = integration_of("openai", endpoint="https://h.example:8443")
V6 = integration_of("openai", endpoint="https://[2606:4700::1111]/v1")
WS = (*HANDSHAKE, b"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.k, openai-beta.realtime-v1")
SWITCH = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Accept: x")


def answer(status: int, *lines: bytes, request: tuple[bytes, ...] = (), version: bytes = b"1.1") -> bytes:
    raw = b"\r\n".join((b"HTTP/1.1 %d Why" % status, *lines, b"", b""))
    head = parse_response_head(raw, b"GET", LIMITS.max_head_fields)
    key_told = tells_key(head, raw, OPENAI)
    check_response(head, OPENAI, cut(*request, version=version), key_told=key_told)
    return prepare_response(head, OPENAI, close=False)


def refusal(
    status: int, *lines: bytes, request: tuple[bytes, ...] = (), version: bytes = b"1.1"
) -> Rejection:
    with pytest.raises(Refused) as caught:
        answer(status, *lines, request=request, version=version)
    assert OPENAI_KEY not in str(caught.value)
    return caught.value.rejection


@pytest.mark.parametrize(
    "status", [200, 201, 400, 402, 403, 404, 409, 413, 422, 429, 500, 503, 529, 599, 799]
)
def test_any_status_but_401_passes_with_its_reason_and_lines(status: int) -> None:
    lines = (b"retry-after: 1", b"X-Should-Retry: true", b"Content-Length: 3")
    assert answer(status, *lines) == b"\r\n".join((b"HTTP/1.1 %d Why" % status, *lines, b"", b""))


@pytest.mark.parametrize(
    ("status", "request_lines", "held"),
    [(401, (), True), (401, WS, True), (403, (), False), (403, WS, True), (200, WS, True), (101, WS, False)],
)
def test_a_401_and_the_refusal_of_a_websocket_are_judged_whole(
    status: int, request_lines: tuple[bytes, ...], *, held: bool
) -> None:
    head = parse_response_head(b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\n" % status, b"GET", 99)
    assert is_held(head, cut(*request_lines), OPENAI.provider) == held


@pytest.mark.parametrize(("status", "held"), [(200, False), (400, True), (401, False), (404, False)])
def test_a_row_says_with_which_statuses_its_provider_may_refuse_a_key(status: int, *, held: bool) -> None:
    head = parse_response_head(b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\n" % status, b"GET", 99)
    assert is_held(head, cut(), replace(OPENAI.provider, key_statuses=frozenset({400}))) == held


@pytest.mark.parametrize(
    ("address", "host", "local"),
    [
        (
            b"https://api.openai.com/v1/up?id=1",
            b"10.0.2.2:1000",
            b"http://10.0.2.2:1000/run9/ai/openai/v1/up?id=1",
        ),
        (b"https://api.openai.com/v1/up?id=1", None, b"http://10.0.2.2:1000/run9/ai/openai/v1/up?id=1"),
        (b"/v1/up", b"localhost", b"http://localhost/run9/ai/openai/v1/up"),
        (b"https://other.example/v1/up?id=1", b"localhost", None),
        (b"https://api.openai.com/v1/../up", b"localhost", None),
        (b"up?id=1", b"localhost", None),
    ],
)
def test_an_address_at_the_endpoints_origin_becomes_the_gateways(
    address: bytes, host: bytes | None, local: bytes | None
) -> None:
    assert local_address(address, OPENAI, host) == local


@pytest.mark.parametrize(
    "line", [b"X-Echo: Bearer %s", b"Location: https://e.example/?%s", b"%s: 1", b"Set-Cookie: %s"]
)
def test_a_head_that_repeats_the_key_never_passes(line: bytes) -> None:
    assert refusal(200, line % OPENAI_KEY.encode()) is Rejection.UPSTREAM_INVALID


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [b"https://evil.example/v1/x", b"//evil.example/v1/x", b"http://api.openai.com/v1/x", b"/v2/x",
     b"https://api.openai.com/v2/x",
     b"https://api.openai.com.evil.example/v1/x", b"https://api.openai.com@evil.example/v1/x", b"/",
     b"https://api.openai.com:8443/v1/x", b"javascript:alert(1)", b"/\\evil.example/v1/x",
     b"\\\\evil.example",
     b"/v1/../../anthropic/v1/x", b"/v1/%2e%2E/x", b"../../anthropic/v1/x", b"x/..", b".", b"/v1/.\t./x",
     b"/v1\\..\\x"],
)  # fmt: skip
def test_a_redirect_elsewhere_is_refused(status: int, location: bytes) -> None:
    assert refusal(status, b"Location: " + location) is Rejection.UPSTREAM_REDIRECT


@pytest.mark.parametrize(
    ("location", "local"),
    [
        (b"https://api.openai.com/v1/files/a%2Fb?x=/../y", b"/run9/ai/openai/v1/files/a%2Fb?x=/../y"),
        (b"HTTPS://API.OpenAI.com/v1/x", b"/run9/ai/openai/v1/x"),
        (b"https://api.openai.com:443/v1/x", b"/run9/ai/openai/v1/x"),
        (b"https://api.openai.com/v1", b"/run9/ai/openai/v1"),
        (b"https://api.openai.com/v1?x", b"/run9/ai/openai/v1?x"),
        (b"/v1/x", b"/run9/ai/openai/v1/x"),
        (b"x/y", b"x/y"),
        (b"?page=2", b"?page=2"),
        (b"https://api.openai.com/v1x", None),
        (b"https://api.openai.com", None),
    ],
)
def test_a_location_at_the_endpoints_origin_becomes_a_gateway_path(
    location: bytes, local: bytes | None
) -> None:
    assert local_location(location, OPENAI) == local


def test_a_location_is_rewritten_for_other_endpoints_too() -> None:
    assert local_location(b"https://api.anthropic.com/v1/x", ANTHROPIC) == b"/run9/ai/anthropic/v1/x"
    assert local_location(b"https://h.example:8443/x", BARE) == b"/run9/ai/openai/v1/x"
    assert local_location(b"https://h.example:8443", BARE) == b"/run9/ai/openai/v1"
    assert local_location(b"https://h.example/x", BARE) is None
    assert local_location(b"https://h.example:84430/x", BARE) is None
    assert local_location(b"https://[2606:4700::1111]/v1/x", V6) == b"/run9/ai/openai/v1/x"


@pytest.mark.parametrize("path", [b"/x", b"/v1", b"/v1/x", b"/v1?a=/v1", b"/v1/v1/x", b"/v1x", b"/v11/x"])
@pytest.mark.parametrize("integration", [OPENAI, ANTHROPIC, BARE])
def test_a_box_that_follows_a_location_reaches_what_the_provider_meant(
    integration: CompiledIntegration, path: bytes
) -> None:
    meant = integration.base_path + path
    local = local_location(integration.endpoint.origin.encode() + meant, integration)
    assert local is not None
    gateway_path, query = split_target(local)
    route = ROUTES.find(gateway_path)
    assert route is not None
    assert forwarded_target(integration.base_path, route, query) == meant


def test_a_location_elsewhere_that_is_no_redirect_passes_as_it_came() -> None:
    assert b"\r\nLocation: https://e.example/y\r\n" in answer(201, b"Location: https://e.example/y")


def test_a_followable_redirect_reaches_the_box_as_a_gateway_path() -> None:
    out = answer(307, b"location: https://api.openai.com/v1/y", b"Content-Length: 0")
    assert out.endswith(b"\r\nLocation: /run9/ai/openai/v1/y\r\n\r\n")
    assert b"api.openai.com" not in out


@pytest.mark.parametrize(
    ("lines", "passes"),
    [
        (SWITCH, True),
        ((*SWITCH, b"Sec-WebSocket-Protocol: realtime"), True),
        ((*SWITCH, b"Sec-WebSocket-Protocol: openai-beta.realtime-v1"), True),
        ((*SWITCH, b"Sec-WebSocket-Extensions: permessage-deflate"), True),
        ((*SWITCH, b"Sec-WebSocket-Protocol: openai-insecure-api-key.k"), False),
        ((*SWITCH, b"Sec-WebSocket-Protocol: other"), False),
        ((*SWITCH, b"Sec-WebSocket-Protocol: Realtime"), False),
        ((*SWITCH, b"Sec-WebSocket-Protocol:"), False),
        ((*SWITCH, b"Sec-WebSocket-Protocol: realtime, other"), False),
        ((*SWITCH, b"Sec-WebSocket-Protocol: realtime", b"Sec-WebSocket-Protocol: realtime"), False),
        ((b"Connection: Upgrade", b"Upgrade: h2c"), False),
        ((b"Connection: Upgrade",), False),
        ((*SWITCH, b"Upgrade: websocket"), False),
    ],
)
def test_only_a_switch_that_was_asked_for_passes(lines: tuple[bytes, ...], *, passes: bool) -> None:
    if not passes:
        assert refusal(101, *lines, request=WS) is Rejection.UPSTREAM_INVALID
        return
    out = answer(101, *lines, request=WS)
    assert out.startswith(b"HTTP/1.1 101 Why\r\n")
    assert out.endswith(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert out.lower().count(b"upgrade: websocket") == 1
    assert all(line in out for line in lines[2:])


def test_a_protocol_is_not_accepted_when_none_was_offered() -> None:
    refused = refusal(101, *SWITCH, b"Sec-WebSocket-Protocol: realtime", request=HANDSHAKE)
    assert refused is Rejection.UPSTREAM_INVALID


def test_a_switch_that_nobody_asked_for_is_refused() -> None:
    assert refusal(101, *SWITCH) is Rejection.UPSTREAM_INVALID


def test_an_http_10_client_gets_no_chunks() -> None:
    assert refusal(200, b"Transfer-Encoding: chunked", version=b"1.0") is Rejection.UPSTREAM_INVALID


@pytest.mark.parametrize(("reason", "line"), [(b"", b"HTTP/1.1 200 "), (b" Fine", b"HTTP/1.1 200 Fine")])
def test_a_missing_reason_keeps_its_space_and_close_is_said(reason: bytes, line: bytes) -> None:
    head = parse_response_head(b"HTTP/1.0 200%b\r\n\r\n" % reason, b"GET", LIMITS.max_head_fields)
    assert prepare_response(head, OPENAI, close=False) == line + b"\r\n\r\n"
    assert prepare_response(head, OPENAI, close=True) == line + b"\r\nConnection: close\r\n\r\n"
