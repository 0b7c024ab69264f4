"""Requests of a hostile box, or by a page read by an agent (threats 5, 10, 11, 12, 15, 16)."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

import pytest

from shared.providers import PROVIDERS
from tests.relay.conftest import KEY, BoxClient, RunRelay, request
from tests.support.answers import whole
from tests.support.scripted_upstream import ScriptedUpstream

KEYS = frozenset({KEY.encode()})
BASE = b"/base/v1"
CREDENTIAL_HEADERS = ("Authorization", "X-Api-Key", "Api-Key", "Proxy-Authorization", "Cookie")
ATTACKERS_KEY = "sk-attackers-own-key-0123456789"
PATHS = 3000


async def _status(client: BoxClient) -> int:
    head, _ = await client.read_answer()
    return int(head[9:12])


def _paths() -> Iterator[str]:
    """Paths trying to leave the endpoint's base path, in every spelling undone by some server."""
    dice = random.Random(5)
    parts = [
        "..",
        ".",
        "%2e%2e",
        "%252e%252e",
        "..;x",
        "%2f",
        "%5c",
        "\\",
        "//",
        "/",
        "a",
        "v1",
        "%00",
        "@",
        ":80",
    ]
    parts += ["%2e", "%c0%ae", "..%2f", "%2e./", ".%2e/", "%u002e", "%25252e", ";", "%3b", "%09", "~", "%ff"]
    for _ in range(PATHS):
        yield "/" + "".join(dice.choice(parts) + dice.choice(["/", ""]) for _ in range(dice.randint(1, 6)))


async def test_no_path_leaves_the_endpoints_base_path_and_what_passes_passes_raw(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, base_path=BASE, respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(upstream.origin + BASE.decode())
        client, passed = await gateway.connect(), list[bytes]()
        for path in _paths():
            client.send(request("GET", path))
            head, _ = await client.read_answer()
            if head.startswith(b"HTTP/1.1 200 "):
                passed.append(path.encode())
            if b"connection: close" in head:
                client = await gateway.connect()
        left = [r.target for r in upstream.requests]
    assert len(left) == len(passed) > 20
    for target, asked in zip(left, passed, strict=True):
        rest = target.removeprefix(BASE)
        assert asked.endswith(rest)
        assert asked.removesuffix(rest).replace(b"/", b"") in {b"", b"v1", b"v1v1"}
        for reading in (rest, unquote_to_bytes(rest), unquote_to_bytes(unquote_to_bytes(rest))):
            assert not {s.partition(b";")[0] for s in re.split(rb"[/\\]", reading)} & {b".", b".."}


def _spellings(route: str) -> Iterator[str]:
    yield route
    yield route.upper()
    yield f"/{route}"
    yield f"v1/{route}"
    yield f"v1/v1/{route}/x"
    yield "%76%31/" + route
    yield "".join(f"%{ord(char):02x}" for char in route)
    yield quote("".join(f"%{ord(char):02X}" for char in route))
    yield route.replace("/", "%2f") + "%2Fx"
    yield route.replace("/", "//") + ";a=b"
    yield route.replace("/", "%5c") + "?x=y"
    yield route + "/.x"


ROUTES = [(name, "/".join(route)) for name, p in PROVIDERS.items() for route in p.refused_routes]


@pytest.mark.parametrize(("provider", "route"), ROUTES)
async def test_a_route_that_mints_credentials_is_refused_in_every_spelling(
    run_relay: RunRelay, provider: str, route: str
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        gateway.set_up(upstream.origin, "anthropic")
        for spelling, method in itertools.product(_spellings(route), ("GET", "POST", "DELETE")):
            client = await gateway.connect()
            client.send(request(method, f"/{spelling}", provider=provider, close=True))
            assert await _status(client) == 400, spelling
        assert upstream.accepted == 0


@pytest.mark.parametrize("header", CREDENTIAL_HEADERS)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_an_attackers_own_key_is_never_sent(run_relay: RunRelay, header: str, provider: str) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        gateway.set_up(upstream.origin, "anthropic")
        for name, prefix in itertools.product((header, header.lower(), header.upper()), ("", "Bearer ")):
            line = f"{name}: {prefix}{ATTACKERS_KEY}"
            answer = await gateway.ask(request("POST", "/v1/x", line, line, provider=provider, close=True))
            assert answer.endswith(b"ok")
        assert not [r for r in upstream.requests if ATTACKERS_KEY.encode() in r.head + r.raw_body]
        assert len(upstream.requests) == 6


NAMED = (
    "x-api-key",
    "authorization",
    "api-key",
    "anthropic-version",
    "cookie",
    "close, x-api-key",
    "keep-alive, Authorization",
)


@pytest.mark.parametrize("named", NAMED)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_connection_cannot_take_the_orgs_credential_away(
    run_relay: RunRelay, named: str, provider: str
) -> None:
    gateway = await run_relay()
    key = "sk-ant-oat01-setup-token-0123456789" if provider == "anthropic" else KEY
    async with ScriptedUpstream(keys=frozenset({key.encode()}), respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        gateway.set_up(upstream.origin, "anthropic", key=key)
        lines = (f"Connection: {named}", "Connection: close", "Anthropic-Version: 1", "X-Api-Key: box")
        assert (await gateway.ask(request("POST", "/v1/x", *lines, provider=provider))).endswith(b"ok")
    assert len(upstream.requests[0].credentials) == 1


@pytest.mark.parametrize("named", ["host", "content-length", "transfer-encoding", "x-run9-box-token"])
async def test_connection_cannot_name_what_frames_or_routes_a_request(
    run_relay: RunRelay, named: str
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        answer = await gateway.ask(request("POST", "/v1/x", f"Connection: {named}", body=b"abc"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert upstream.accepted == 0


POSITIONS = {
    "in a header's value": b"X-A: b%bc",
    "at the start of a value": b"X-A:%bb",
    "at the end of a value": b"X-A: b%b",
    "in a header's name": b"X%bA: b",
    "before a header's name": b"%bX-A: b",
    "before the colon": b"X-A%b: b",
}


@pytest.mark.parametrize("position", POSITIONS)
async def test_no_stray_byte_of_a_header_is_sent_on(run_relay: RunRelay, position: str) -> None:
    """All 256 values: a passing value is a single line more with just these bytes; CR, LF, NUL never pass."""
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        plain = request("GET", "/v1/x", "Connection: close")
        for value in range(256):
            line = POSITIONS[position] % bytes([value])
            answer = await gateway.ask(plain[:-2] + line + b"\r\n\r\n")
            assert answer[9:12] in {b"200", b"400"}, value
        for received in upstream.requests:
            extra = [f for f in received.headers if f[0].lower() not in {b"host", b"authorization"}]
            assert len(extra) <= 1
            assert not {b"\r", b"\n", b"\0"} & {bytes([byte]) for pair in extra for byte in b"".join(pair)}
    assert len(upstream.requests) < 256


@pytest.mark.parametrize("position", ["/v1/a%bb", "/v1/%b", "/v1/x?a=%b", "%b/v1/x"])
async def test_no_stray_byte_of_a_path_is_sent_on(run_relay: RunRelay, position: str) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        for value, form in itertools.product(range(256), (b"%c", b"%%%02x", b"%%25%02x")):
            path = position.encode() % (form % value)
            client = await gateway.connect()
            client.send(b"GET /run9/ai/openai" + path + b" HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n")
            await client.read_head()
            client.abort()
        for received in upstream.requests:
            assert all(0x20 < byte < 0x7F for byte in received.target)
            path = received.target.partition(b"?")[0].lower()
            assert not any(bad in path for bad in (b"%0d", b"%0a", b"%00", b"%250a"))


PAGES = {
    "a form": ("POST", ["Origin: https://evil.example", "Content-Type: application/x-www-form-urlencoded"]),
    "a text/plain form": ("POST", ["Origin: https://evil.example", "Content-Type: text/plain"]),
    "a sandboxed frame": ("POST", ["Origin: null", "Content-Type: text/plain"]),
    "a blind fetch": ("POST", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"]),
    "an image": ("GET", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image"]),
    "a link": ("GET", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"]),
    "a beacon": ("POST", ["Origin: http://10.0.2.2:8080", "Content-Type: text/plain;charset=UTF-8"]),
    "a preflight": ("OPTIONS", ["Origin: https://evil.example", "Access-Control-Request-Method: POST"]),
    "another scheme": ("POST", ["Origin: https://10.0.2.2:1000"]),
    "two origins": ("POST", ["Origin: http://10.0.2.2:1000", "Origin: https://evil.example"]),
    "an extension": ("POST", ["Origin: moz-extension://10.0.2.2:1000"]),
}


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_cannot_call_blindly(run_relay: RunRelay, page: str) -> None:
    gateway = await run_relay()
    method, lines = PAGES[page]
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        body = b"a=b" if method == "POST" else b""
        answer = await gateway.ask(request(method, "/v1/chat/completions", *lines, body=body, close=True))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"x-run9-error: browser_request_refused" in answer
        assert b"access-control-" not in answer.lower()
        assert upstream.accepted == 0


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:1000", "10.0.2.2.evil.example:1000", "10.0.2.2:1001", "localhost"]
)
async def test_a_name_rebound_to_the_gateway_is_refused_even_with_a_credential(
    run_relay: RunRelay, host: str
) -> None:
    gateway = await run_relay()
    raw = request("POST", "/v1/x", "Authorization: Bearer x", body=b"{}", close=True)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        answer = await gateway.ask(raw.replace(b"Host: 10.0.2.2:1000", f"Host: {host}".encode()))
        assert b"x-run9-error: browser_request_refused" in answer
        assert upstream.accepted == 0


NODE_FETCH = ["connection: keep-alive", "authorization: Bearer run9-placeholder", "accept: */*"]
NODE_FETCH += ["accept-language: *", "sec-fetch-mode: cors", "user-agent: node", "accept-encoding: br, gzip"]


@pytest.mark.parametrize(
    "lines",
    [
        NODE_FETCH,
        ["Authorization: Bearer x", "Origin: https://evil.example"],
        ["Origin: http://10.0.2.2:1000"],
        [],
    ],
    ids=["node's fetch", "a credential", "the gateway's own origin", "a plain program"],
)
async def test_a_program_passes(run_relay: RunRelay, lines: list[str]) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        client.send(request("POST", "/v1/chat/completions", *lines, body=b"{}"))
        head, body = await client.read_answer()
        assert body == b"ok"
        assert b"access-control-" not in head.lower()
