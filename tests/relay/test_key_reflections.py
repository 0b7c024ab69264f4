"""The canary matrix (threats 9, 25): a provider sends the org's key back in every place of every response.

No part of the key reaches the box, the access log, the status page or the metrics, in no spelling of the key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping

import pytest

from services.data_plane.account.access_log import format_line
from services.data_plane.account.last_errors import LastErrors
from services.data_plane.account.metrics import Metrics
from services.data_plane.account.record import ExchangeRecord
from services.data_plane.box_app.status import Status, as_json, as_text, provider_status
from services.data_plane.core.integration import NotReady
from shared.box_token import Box
from shared.providers import PROVIDERS, ProviderName
from tests.relay.conftest import HANDSHAKE, BoxClient, RelayUnderTest, RunRelay, request
from tests.support.answers import LAST_CHUNK, chunk_bytes, head_bytes
from tests.support.canary import Canary
from tests.support.scripted_upstream import Answer, Close, Pause, ScriptedUpstream, Send

PROVIDER_NAMES: tuple[ProviderName, ...] = ("openai", "anthropic", "gemini")
STATUSES = (
    "200 OK",
    "201 Created",
    "301 Moved Permanently",
    "304 Not Modified",
    "307 Temporary Redirect",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "426 Upgrade Required",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "529 Overloaded",
)
SEARCHED_BODIES = tuple(status for status in STATUSES if status[0] in "345" and status[:3] != "304")
SEARCHED_FOR_SPELLINGS = {
    "x-request-id",
    "request-id",
    "x-request-id behind other characters",
    "x-request-id that is too long to be kept",
    "location at the endpoint",
    "location elsewhere",
}
"""Of a success. Its other headers are searched for the key itself alone, because every search costs."""
SPELLED_STATUSES = ("200 OK", "307 Temporary Redirect", "401 Unauthorized", "429 Too Many Requests")
SWITCHED = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "x")]
CHUNKED = [("Transfer-Encoding", "chunked")]
SPLIT_PAUSE_SECONDS = 0.01


def _head_places(key: str) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Every place of a head, as (text behind the status, header lines)."""
    return {
        "x-request-id": ("", [("x-request-id", key)]),
        "request-id": ("", [("Request-Id", key)]),
        "x-request-id behind other characters": ("", [("X-Request-ID", f"req_{key}")]),
        "x-request-id that is too long to be kept": ("", [("x-request-id", "r" * 100 + key)]),
        "request-id beside another id": ("", [("x-request-id", "req_1"), ("request-id", key)]),
        "second x-request-id": ("", [("x-request-id", "req_1"), ("x-request-id", key)]),
        "location at the endpoint": ("", [("location", f"/v1/x?key={key}"), ("x-request-id", "req_1")]),
        "location elsewhere": ("", [("location", f"https://e.example/{key}"), ("x-request-id", key)]),
        "www-authenticate": ("", [("WWW-Authenticate", f'Bearer realm="{key}"'), ("request-id", "req_1")]),
        "another header": ("", [("x-echo", f"Authorization: Bearer {key}"), ("x-request-id", "req_1")]),
        "a header that the gateway drops": ("", [("Set-Cookie", f"k={key}"), ("x-request-id", key)]),
        "reason phrase": (f" {key}", [("x-request-id", "req_1")]),
        "error headers of the gateway": ("", [("x-run9-error", key), ("retry-after", key)]),
    }


def _with_head(status: str, place: tuple[str, list[tuple[str, str]]]) -> Answer:
    reason, lines = place
    bodiless = status[:3] == "304"
    framed = [] if bodiless else [("Content-Length", "2")]
    return (Send(head_bytes(status + reason, [*lines, *framed]) + (b"" if bodiless else b"{}")),)


def _with_body(status: str, key: str) -> dict[str, Answer]:
    """Every place of a body, also where the key is cut over two writes or two chunks."""
    raw, half = key.encode(), len(key) // 2
    sized = head_bytes(status, [("x-request-id", "req_1"), ("Content-Length", str(len(raw) + 8))])
    chunks = head_bytes(status, [("request-id", "req_1"), *CHUNKED])
    cut_chunks = chunk_bytes(b"your " + raw[:half]) + chunk_bytes(raw[half:] + b" is bad")
    return {
        "body's beginning": (Send(sized + raw + b" is bad."),),
        "body's middle": (Send(sized + b"the " + raw + b" is."),),
        "body's end": (Send(sized + b"your is " + raw),),
        "body in two writes": (
            Send(sized + b"the " + raw[:half]),
            Pause(SPLIT_PAUSE_SECONDS),
            Send(raw[half:] + b" is."),
        ),
        "body until the connection's end": (Send(head_bytes(status, []) + b"the " + raw + b"."), Close()),
        "chunk": (Send(chunks + chunk_bytes(b"the " + raw) + LAST_CHUNK),),
        "chunk of a later write": (
            Send(chunks + chunk_bytes(b"{}")),
            Pause(SPLIT_PAUSE_SECONDS),
            Send(chunk_bytes(b"{}")),
            Pause(SPLIT_PAUSE_SECONDS),
            Send(chunk_bytes(b"the " + raw)),
            Send(LAST_CHUNK),
        ),
        "two chunks of one write": (Send(chunks + cut_chunks + LAST_CHUNK),),
        "two chunks of two writes": (
            Send(chunks + chunk_bytes(b"{}")),
            Pause(SPLIT_PAUSE_SECONDS),
            Send(chunk_bytes(b"the " + raw[:half])),
            Pause(SPLIT_PAUSE_SECONDS),
            Send(chunk_bytes(raw[half:])),
            Send(LAST_CHUNK),
        ),
        "chunks of one byte": (
            Send(chunks + b"".join(chunk_bytes(raw[n : n + 1]) for n in range(len(raw))) + LAST_CHUNK),
        ),
        "chunk extension": (Send(chunks + b"2;k=" + raw + b"\r\n{}\r\n" + LAST_CHUNK),),
        "trailer": (Send(chunks + chunk_bytes(b"{}") + b"0\r\nx-echo: " + raw + b"\r\n\r\n"),),
        "trailer in two writes": (
            Send(chunks + chunk_bytes(b"{}") + b"0\r\nx-echo: " + raw[:half]),
            Pause(SPLIT_PAUSE_SECONDS),
            Send(raw[half:] + b"\r\n\r\n"),
        ),
    }


async def _everything(client: BoxClient) -> bytes:
    """Read until the connection ends, in any way."""
    data = b""
    try:
        async with asyncio.timeout(10):
            while piece := await client.reader.read(65536):
                data += piece
    except ConnectionError:
        pass  # a visible break is one of the right answers
    return data


def _shown(records: list[ExchangeRecord], provider: ProviderName) -> Iterator[tuple[str, bytes]]:
    """All words of the gateway on exchanges beside their answers, by the real parts of the gateway."""
    last_errors, metrics = LastErrors(), Metrics()
    for record in records:
        last_errors.note(record)
        metrics.count(record)
        yield "the access log", format_line(record).encode()
        error = last_errors.of("org-0", provider)
        item = provider_status(
            PROVIDERS[provider], NotReady.LOADING, origin="http://10.0.2.2:1000", last_error=error
        )
        page = Status(Box("org-0", "box-0", "life-1", float("inf")), "Org", (), "http://h", (item,))
        yield "the status page", (as_text(page) + json.dumps(as_json(page))).encode()
    yield "the metrics", metrics.exposition()


async def _findings(
    gateway: RelayUnderTest, provider: ProviderName, canary: Canary, answers: Mapping[str, Answer], ask: bytes
) -> list[str]:
    """Have every answer sent in turn, each on a connection of its own."""
    findings, keys = list[str](), frozenset({canary.text.encode()})
    async with ScriptedUpstream(keys=keys) as upstream:
        gateway.set_up(f"{upstream.origin}/v1", provider, key=canary.text)
        for place, answer in answers.items():
            upstream.queue(answer)
            client = await gateway.connect()
            client.send(ask)
            findings += canary.found_in(await _everything(client), f"the box, from {place}")
            records = gateway.books.records
            assert len(records) == 1, place
            for where, text in _shown(records, provider):
                findings += canary.found_in(text, f"{where}, from {place}")
            records.clear()
    return findings


def _handshake(provider: ProviderName) -> bytes:
    return request("GET", "/v1/realtime", *HANDSHAKE, provider=provider)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("provider", PROVIDER_NAMES)
async def test_no_head_brings_the_key_anywhere(
    run_relay: RunRelay, provider: ProviderName, status: str
) -> None:
    canary = Canary()
    answers = {place: _with_head(status, head) for place, head in _head_places(canary.text).items()}
    ask = request("POST", provider=provider, body=b"{}", close=True)
    assert (
        await _findings(await run_relay(warm_upstreams_per_endpoint=0), provider, canary, answers, ask) == []
    )


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("provider", PROVIDER_NAMES)
async def test_no_head_that_refuses_a_websocket_brings_the_key_anywhere(
    run_relay: RunRelay, provider: ProviderName, status: str
) -> None:
    canary = Canary()
    answers = {place: _with_head(status, head) for place, head in _head_places(canary.text).items()}
    # What the gateway refuses leaves the connection open: bytes without a request end it.
    ask = _handshake(provider) + b"\r\n"
    assert (
        await _findings(await run_relay(warm_upstreams_per_endpoint=0), provider, canary, answers, ask) == []
    )


@pytest.mark.parametrize("provider", PROVIDER_NAMES)
async def test_no_switch_of_protocols_brings_the_key_anywhere(
    run_relay: RunRelay, provider: ProviderName
) -> None:
    canary = Canary()
    answers: dict[str, Answer] = {
        place: (Send(head_bytes(f"101 Switching{reason}", [*lines, *SWITCHED])),)
        for place, (reason, lines) in _head_places(canary.text).items()
    }
    ask = _handshake(provider)
    # A refused handshake leaves the box's connection open.
    gateway = await run_relay(keep_alive_seconds=0.2, warm_upstreams_per_endpoint=0)
    assert await _findings(gateway, provider, canary, answers, ask) == []


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints", "199 Odd"])
@pytest.mark.parametrize("provider", PROVIDER_NAMES)
async def test_no_interim_head_brings_the_key_anywhere(
    run_relay: RunRelay, provider: ProviderName, interim: str
) -> None:
    canary = Canary()
    final = head_bytes("200 OK", [("Content-Length", "2")]) + b"{}"
    answers: dict[str, Answer] = {
        place: (Send(head_bytes(interim + reason, lines) + final),)
        for place, (reason, lines) in _head_places(canary.text).items()
    }
    ask = request("POST", provider=provider, body=b"{}", close=True)
    assert (
        await _findings(await run_relay(warm_upstreams_per_endpoint=0), provider, canary, answers, ask) == []
    )


@pytest.mark.parametrize("status", SEARCHED_BODIES)
@pytest.mark.parametrize("provider", PROVIDER_NAMES)
async def test_no_body_brings_the_key_anywhere(
    run_relay: RunRelay, provider: ProviderName, status: str
) -> None:
    canary = Canary()
    ask = request("POST", provider=provider, body=b"{}", close=True)
    answers = _with_body(status, canary.text)
    assert (
        await _findings(await run_relay(warm_upstreams_per_endpoint=0), provider, canary, answers, ask) == []
    )


@pytest.mark.parametrize(
    "form", [form for form in Canary("sk-0123456789").forms() if "characters" not in form]
)
async def test_no_spelling_of_the_key_that_a_server_makes_by_itself_is_passed(
    run_relay: RunRelay, form: str
) -> None:
    """An echoed `Basic` credential, a URL, hexadecimal digits, JSON."""
    canary = Canary()
    spelled = canary.forms()[form].decode()
    answers: dict[str, Answer] = {}
    for status in SPELLED_STATUSES:
        for place, head in _head_places(spelled).items():
            if status[0] != "2" or place in SEARCHED_FOR_SPELLINGS:
                answers[f"{place} of {status}"] = _with_head(status, head)
        if status in SEARCHED_BODIES:
            answers |= {f"{place} of {status}": body for place, body in _with_body(status, spelled).items()}
    ask = request("POST", body=b"{}", close=True)
    assert (
        await _findings(await run_relay(warm_upstreams_per_endpoint=0), "openai", canary, answers, ask) == []
    )


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "400 Bad Request", "429 Too Many Requests"])
async def test_a_request_id_that_is_no_key_still_reaches_box_log_and_status_page(
    run_relay: RunRelay, status: str
) -> None:
    gateway = await run_relay()
    lines = [("x-request-id", "req_0123456789abcdef"), ("location", "/v1/x"), ("content-length", "0")]
    async with ScriptedUpstream() as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(head_bytes(status, lines)),))
        assert b"x-request-id: req_0123456789abcdef\r\n" in await gateway.ask(request(close=True))
    assert gateway.books.records[0].request_id == "req_0123456789abcdef"
