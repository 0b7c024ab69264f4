"""The facts noted of a request's head: host, framing, connection, handshake, caller."""

from __future__ import annotations

import pytest

from services.data_plane.core.framing import ChunkedFraming, LengthFraming
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import RequestHead, check_incomplete, parse_request_head
from tests.corpus.replay import LIMITS

HOST = b"Host: 10.0.2.2:1000"
HANDSHAKE = (b"Connection: Upgrade", b"Upgrade: websocket")
LONG = "x" * 24


def cut(*lines: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> RequestHead:
    start = method + b" /run9/ai/openai/v1/x HTTP/" + version
    return parse_request_head(b"\r\n".join((start, HOST, *lines, b"", b"")), LIMITS.max_head_fields)


def test_the_kept_lines_are_byte_for_byte_what_came() -> None:
    lines = (
        b"X-StainLess-Lang:  js ",
        b"accept:*/*",
        b"ACCEPT: a",
        b"X-A:",
        b"x-codex-\xe9".replace(b"\xe9", b"a:1"),
    )
    assert cut(*lines).kept == b"\r\n".join(lines)


@pytest.mark.parametrize(
    ("lines", "method", "length", "chunked"),
    [
        ((), b"GET", None, False),
        ((), b"POST", None, False),
        ((b"Content-Length: 0",), b"POST", 0, False),
        ((b"Content-Length: 12",), b"POST", 12, False),
        ((b"Transfer-Encoding: chunked",), b"POST", None, True),
        ((b"transfer-encoding: Chunked",), b"PUT", None, True),
        ((b"Content-Length: 3",), b"GET", 3, False),
    ],
)
def test_the_framing_is_a_length_or_chunks_or_none(
    lines: tuple[bytes, ...], method: bytes, length: int | None, *, chunked: bool
) -> None:
    head = cut(*lines, method=method)
    assert (head.content_length, head.chunked) == (length, chunked)
    kind = ChunkedFraming if chunked else LengthFraming if length else type(None)
    assert isinstance(head.framing(), kind)


@pytest.mark.parametrize(
    ("lines", "version", "keep_alive"),
    [
        ((), b"1.1", True),
        ((), b"1.0", False),
        ((b"Connection: close",), b"1.1", False),
        ((b"Connection: CLOSE",), b"1.1", False),
        ((b"Connection: keep-alive",), b"1.1", True),
        ((b"Connection: keep-alive",), b"1.0", False),  # which would have to be told so
        ((b"Connection: Keep-Alive, x-a",), b"1.0", False),
        ((b"Connection: keep-alive, close",), b"1.1", False),
        ((b"Connection: x-a", b"Connection: , close"), b"1.1", False),
        ((b"Connection: closed",), b"1.1", True),
    ],
)
def test_the_connection_is_kept_as_the_client_says(
    lines: tuple[bytes, ...], version: bytes, *, keep_alive: bool
) -> None:
    assert cut(*lines, version=version).keep_alive == keep_alive


@pytest.mark.parametrize(
    ("lines", "method", "websocket"),
    [
        (HANDSHAKE, b"GET", True),
        ((b"connection: keep-alive, upgrade", b"upgrade: WebSocket"), b"GET", True),
        ((*HANDSHAKE, b"Content-Length: 0"), b"GET", True),
        ((b"Connection: Upgrade", b"Upgrade: h2c"), b"GET", False),
        ((b"Connection: Upgrade", b"Upgrade: websocket, h2c"), b"GET", False),
        ((b"Connection: Upgrade",), b"GET", False),
        ((b"Upgrade: websocket",), b"GET", False),
        ((*HANDSHAKE, b"Upgrade: websocket"), b"GET", False),
    ],
)
def test_only_a_websocket_handshake_is_one(
    lines: tuple[bytes, ...], method: bytes, *, websocket: bool
) -> None:
    assert cut(*lines, method=method).websocket == websocket


@pytest.mark.parametrize(
    ("lines", "method"),
    [(HANDSHAKE, b"POST"), ((*HANDSHAKE, b"Content-Length: 1"), b"GET"),
     ((*HANDSHAKE, b"Transfer-Encoding: chunked"), b"GET")],
)  # fmt: skip
def test_a_handshake_with_a_body_is_refused(lines: tuple[bytes, ...], method: bytes) -> None:
    with pytest.raises(Refused, match="a GET without a body"):
        cut(*lines, method=method)


@pytest.mark.parametrize(
    ("offered", "passed"),
    [
        (("realtime",), b"realtime"),
        (("realtime, openai-insecure-api-key.sk-x, openai-beta.v1",), b"realtime, openai-beta.v1"),
        (("realtime", "openai-insecure-api-key.sk-x"), b"realtime"),
        (("openai-organization.org-1, openai-project.proj_1 ,realtime",), b"realtime"),
        (("OpenAI-Insecure-API-Key.sk-x,realtime",), b"realtime"),
        (("openai-insecure-api-key.sk-x",), None),
        ((", ,",), None),
        ((), None),
    ],
)  # fmt: skip
def test_credentials_fall_out_of_the_offered_protocols(
    offered: tuple[str, ...], passed: bytes | None
) -> None:
    head = cut(*HANDSHAKE, *(b"Sec-WebSocket-Protocol: " + value.encode() for value in offered))
    assert head.ws_protocols == passed
    assert b"sec-websocket-protocol" not in head.kept.lower()


def test_a_credential_among_the_protocols_is_no_proof_that_a_program_calls() -> None:
    head = cut(*HANDSHAKE, b"Sec-WebSocket-Protocol: openai-insecure-api-key.x")
    assert not head.has_credential


@pytest.mark.parametrize("name", [b"Authorization", b"x-api-key", b"API-KEY"])
def test_a_credential_header_is_noted_and_does_not_pass(name: bytes) -> None:
    head = cut(name + b": Bearer run9-placeholder")
    assert head.has_credential
    assert not head.leaked_key
    assert head.kept == b""


@pytest.mark.parametrize(
    ("line", "leaked"),
    [
        (f"Authorization: Bearer sk-proj-{LONG}", True),
        (f"Authorization: sk-{LONG}", True),
        (f"x-api-key: sk-ant-api03-{LONG}", True),
        (f"x-api-key: sk-ant-oat01-{LONG}", True),
        (f"api-key: sk-{LONG}", True),
        (f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-{LONG}", True),
        ("Authorization: Bearer sk-placeholder", False),
        ("Authorization: Bearer run9-placeholder", False),
        (f"Authorization: Bearer {LONG}", False),
        (f"X-Other: sk-{LONG}", False),
    ],
)
def test_a_key_that_looks_real_is_told(line: str, *, leaked: bool) -> None:
    assert cut(line.encode()).leaked_key == leaked


@pytest.mark.parametrize("name", [b"content-length", b"Transfer-Encoding", b"HOST", b"x-run9-box-token"])
def test_connection_cannot_take_away_what_frames_or_routes_the_message(name: bytes) -> None:
    with pytest.raises(Refused, match="cannot be taken away"):
        cut(b"Connection: close, " + name)


def test_what_connection_names_falls_out() -> None:
    head = cut(b"Connection: X-One, anthropic-beta", b"x-one: 1", b"X-Two: 2", b"Anthropic-Beta: a")
    assert head.kept == b"X-Two: 2"
    assert head.beta is None


def test_protocols_that_connection_names_are_not_offered() -> None:
    head = cut(b"Connection: Upgrade, Sec-WebSocket-Protocol", HANDSHAKE[1], b"Sec-WebSocket-Protocol: a")
    assert head.websocket
    assert head.ws_protocols is None


def test_a_box_token_is_read_once_and_does_not_pass() -> None:
    head = cut(b"X-Run9-Box-Token: abc.def")
    assert (head.box_token, head.kept) == (b"abc.def", b"")
    with pytest.raises(Refused, match="more than one box token"):
        cut(b"X-Run9-Box-Token: a", b"x-run9-box-token: b")


@pytest.mark.parametrize(
    ("line", "expects"),
    [
        (b"Expect: 100-Continue", True),
        (b"Expect: other, 100-continue", True),
        (b"Expect: other\r\nExpect: 100-continue", True),
        (b"Expect: other", False),
        (b"X: 100-continue", False),
    ],
)
def test_an_expectation_is_noted_and_passes(line: bytes, *, expects: bool) -> None:
    head = cut(line, method=b"POST")
    assert head.expects_continue == expects
    assert head.kept == line


def test_no_byte_of_a_refused_head_stands_in_the_refusal() -> None:
    with pytest.raises(Refused) as caught:
        cut(b"X-Secret : canary")
    assert "canary" not in str(caught.value)
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(
    "beginning", [b"G", b"GET", b"GET ", b"GET /x HTTP/1.1\r", b"GET /x HTTP/1.1\r\nA: b\r\n"]
)
def test_a_beginning_that_may_become_a_head_is_waited_for(beginning: bytes) -> None:
    check_incomplete(bytearray(beginning), 0)


@pytest.mark.parametrize(
    "beginning", [b"\x16\x03\x01", b"\r\n", b" G", b"GET /x\n", b"GET /x\rH", b"GET /\0", b"A" * 33, b"G\x80"]
)
def test_a_beginning_that_can_never_become_one_is_refused_early(beginning: bytes) -> None:
    with pytest.raises(Refused):
        check_incomplete(bytearray(beginning), 0)
