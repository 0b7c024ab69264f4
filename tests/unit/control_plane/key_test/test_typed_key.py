"""The key test itself against providers on loopback: every outcome, and where the key may go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import httpx
import pytest
import trustme

from services.control_plane.key_test.resolve import Requester
from services.control_plane.key_test.typed_key import (
    MAX_ANSWER_BYTES,
    MAX_PROBES,
    TypedKeyTester,
)
from shared.addresses import AddressPolicy
from shared.endpoint import parse_endpoint
from shared.key_test import KeyTestStep, verdict_of
from shared.providers import ProviderName
from shared.secret import Secret
from tests.support.canary import Canary
from tests.unit.control_plane.world import OWNER, FakeResolver

NAME = "provider.test"
ACME = Requester("acme", OWNER)
MODELS = json.dumps({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}).encode()
LOOPBACK = AddressPolicy.of(["127.0.0.0/8"])
Steps = tuple[KeyTestStep, ...]


@dataclass
class Provider:
    """A provider on loopback with the same answer to every request; keeps the heads of requests."""

    answer: bytes
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    serving: set[asyncio.Task[None] | None] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            if not self.answer:
                await reader.read()  # says nothing until the other side gives up
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def response(status: str, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.asynccontextmanager
async def provider(
    authority: trustme.CA, answer: bytes, *, name: str = NAME, tls: bool = True
) -> AsyncIterator[Provider]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    made = Provider(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context if tls else None)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await asyncio.gather(*filter(None, made.serving), return_exceptions=True)


async def probe(
    authority: trustme.CA,
    url: str,
    *,
    key: str = "sk-0123456789",
    addresses: Sequence[str] = ("127.0.0.1",),
    policy: AddressPolicy = LOOPBACK,
    provider_name: ProviderName = "openai",
) -> Steps:
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    trial = TypedKeyTester(FakeResolver({NAME: addresses}), policy, tls, read_seconds=0.5)
    return await trial.probe(ACME, provider_name, parse_endpoint(url), Secret(key))


def statuses(result: Steps) -> list[str]:
    assert [step.step for step in result] == ["dns", "tls", "authentication", "model_list"]
    assert all(step.detail.endswith(".") for step in result)
    return [step.status for step in result]


async def test_a_good_key_passes_every_step(authority: trustme.CA) -> None:
    async with provider(authority, response("200 OK", MODELS)) as there:
        result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert (statuses(result), verdict_of(result)) == (["ok"] * 4, "valid")
    assert "2 models" in result[3].detail
    head = there.heads[0].lower()
    assert head.startswith("get /v1/models http/1.1\r\n")
    assert f"host: {NAME}:{there.port}\r\n" in head
    assert "authorization: bearer sk-0123456789\r\n" in head


@pytest.mark.parametrize("base", ["", "/v1", "/gateway", "/gateway/v1"])
async def test_anthropic_is_asked_with_its_own_headers_below_any_base_path(
    authority: trustme.CA, base: str
) -> None:
    async with provider(authority, response("200 OK", MODELS)) as there:
        url = f"https://{NAME}:{there.port}{base}"
        await probe(authority, url, key="sk-ant-api03-0123", provider_name="anthropic")
        await probe(authority, url, key="sk-ant-oat01-0123", provider_name="anthropic")
    api, oauth = (head.lower() for head in there.heads)
    path = base.removesuffix("/v1") + "/v1/models"
    for head in (api, oauth):
        assert head.startswith(f"get {path} http/1.1\r\n")
        assert "anthropic-version: 2023-06-01\r\n" in head
    assert "x-api-key: sk-ant-api03-0123\r\n" in api
    assert "authorization:" not in api
    assert "authorization: bearer sk-ant-oat01-0123\r\n" in oauth
    assert "anthropic-beta: oauth-2025-04-20\r\n" in oauth
    assert "x-api-key:" not in oauth


RESTRICTED = b'{"error":{"message":"Missing scopes: api.model.read","code":"missing_scope"}}'


@pytest.mark.parametrize(
    ("status", "body", "steps", "verdict"),
    [
        ("401 Unauthorized", b"{}", ["failed", "skipped"], "invalid"),
        ("403 Forbidden", b'{"error":{"code":"invalid_api_key"}}', ["failed", "skipped"], "invalid"),
        ("403 Forbidden", b"{}", ["unknown", "skipped"], "unknown"),
        ("403 Forbidden", RESTRICTED, ["ok", "unknown"], "valid"),
        ("401 Unauthorized", RESTRICTED, ["ok", "unknown"], "valid"),
    ],
)
async def test_a_refusal_says_of_the_key_what_its_words_say(
    authority: trustme.CA, status: str, body: bytes, steps: list[str], verdict: str
) -> None:
    async with provider(authority, response(status, body)) as there:
        result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert (statuses(result), verdict_of(result)) == (["ok", "ok", *steps], verdict)


@pytest.mark.parametrize(
    "status",
    ["400 Bad", "404 Not Found", "408 Late", "429 Too Many", "500 Oops", "503 Away", "529 Overloaded"],
)
async def test_any_other_status_says_nothing_about_the_key(authority: trustme.CA, status: str) -> None:
    async with provider(authority, response(status, b"{}")) as there:
        result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert (statuses(result), verdict_of(result)) == (["ok", "ok", "unknown", "skipped"], "unknown")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_never_followed(authority: trustme.CA, status: str) -> None:
    async with provider(authority, response("200 OK", MODELS)) as elsewhere:
        location = f"location: https://{NAME}:{elsewhere.port}/v1/models"
        async with provider(authority, response(status, b"", location)) as there:
            result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert (verdict_of(result), elsewhere.connections) == ("unknown", 0)
    assert "redirect" in result[2].detail


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"data": 7}', b"[" * 100_000, b" " * (MAX_ANSWER_BYTES + 1)]
)
async def test_an_accepted_key_with_no_list_of_models_is_still_valid(
    authority: trustme.CA, body: bytes
) -> None:
    async with provider(authority, response("200 OK", body)) as there:
        result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert (statuses(result), verdict_of(result)) == (["ok", "ok", "ok", "unknown"], "valid")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"\0\1\2"])
async def test_silence_a_broken_answer_and_noise_are_unknown(authority: trustme.CA, answer: bytes) -> None:
    async with provider(authority, answer) as there:
        result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert statuses(result)[:2] == ["ok", "ok"]
    assert "unknown" in statuses(result)


async def test_a_certificate_for_another_name_is_refused_before_the_key_leaves(authority: trustme.CA) -> None:
    async with provider(authority, response("200 OK", MODELS), name="other.test") as there:
        result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert (statuses(result), verdict_of(result)) == (["ok", "failed", "skipped", "skipped"], "unknown")
    assert "certificate" in result[1].detail
    assert there.heads == []


async def test_a_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    async with provider(trustme.CA(), response("200 OK", MODELS)) as there:
        result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert statuses(result) == ["ok", "failed", "skipped", "skipped"]


async def test_what_speaks_no_tls_fails_at_tls(authority: trustme.CA) -> None:
    async with provider(authority, response("200 OK", MODELS), tls=False) as there:
        result = await probe(authority, f"https://{NAME}:{there.port}/v1")
    assert statuses(result) == ["ok", "failed", "skipped", "skipped"]


async def test_plain_http_skips_tls(authority: trustme.CA) -> None:
    async with provider(authority, response("200 OK", MODELS), tls=False) as there:
        result = await probe(authority, f"http://{NAME}:{there.port}/v1")
        literal = await probe(authority, f"http://127.0.0.1:{there.port}/v1")
    assert statuses(result) == ["ok", "skipped", "ok", "ok"]
    assert [step.seconds is None for step in result] == [False, True, False, False]
    assert statuses(literal) == ["ok", "skipped", "ok", "ok"]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["nonsense"]])
async def test_a_name_with_any_internal_address_is_never_connected_to(
    authority: trustme.CA, addresses: list[str]
) -> None:
    async with provider(authority, response("200 OK", MODELS)) as there:
        result = await probe(
            authority, f"https://{NAME}:{there.port}/v1", addresses=addresses, policy=AddressPolicy()
        )
    assert (statuses(result), verdict_of(result)) == (["failed", "skipped", "skipped", "skipped"], "unknown")
    assert there.connections == 0


async def test_the_name_is_looked_up_once_and_the_checked_address_is_used(authority: trustme.CA) -> None:
    class Rebinds(FakeResolver):
        """Answers differently at the second look."""

        async def resolve(self, requester: Requester, host: str, port: int) -> Sequence[str]:
            await super().resolve(requester, host, port)
            return ["127.0.0.1"] if len(self.asked) == 1 else ["127.0.0.2"]

    resolver = Rebinds({NAME: []})
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    async with provider(authority, response("200 OK", MODELS)) as there:
        trial = TypedKeyTester(resolver, LOOPBACK, tls)
        url = parse_endpoint(f"https://{NAME}:{there.port}/v1")
        result = await trial.probe(ACME, "openai", url, Secret("sk-0123456789"))
    assert (verdict_of(result), resolver.asked) == ("valid", [NAME])


async def test_the_next_address_is_tried_when_one_does_not_answer(authority: trustme.CA) -> None:
    async with provider(authority, response("200 OK", MODELS)) as there:
        url = f"https://{NAME}:{there.port}/v1"
        result = await probe(authority, url, addresses=["127.0.0.9", "127.0.0.1"])
    assert verdict_of(result) == "valid"


async def test_nothing_listening_fails_the_connection(authority: trustme.CA) -> None:
    result = await probe(authority, f"https://{NAME}:9/v1")
    assert statuses(result) == ["ok", "failed", "skipped", "skipped"]


async def test_a_name_that_does_not_exist_fails_at_dns(authority: trustme.CA) -> None:
    result = await probe(authority, "https://absent.test/v1")
    assert statuses(result) == ["failed", "skipped", "skipped", "skipped"]


async def test_the_key_is_in_no_result_and_no_log_whatever_the_provider_reflects(
    authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    canary = Canary()
    said = canary.text.encode()
    for answer in (
        response("401 " + canary.text, said, f"x-key: {canary.text}"),
        response("200 OK", json.dumps({"data": [{"id": canary.text}], "error": canary.text}).encode()),
        said,
    ):
        async with provider(authority, answer) as there:
            result = await probe(authority, f"https://{NAME}:{there.port}/v1", key=canary.text)
            assert canary.text in there.heads[0]
        assert canary.found_in(repr(result).encode(), "result") == []
    assert canary.found_in(caplog.text.encode(), "log") == []


async def test_waiting_for_a_turn_is_part_of_the_time(authority: trustme.CA) -> None:
    async with provider(authority, b"") as there:
        url = parse_endpoint(f"https://{NAME}:{there.port}/v1")
        tls = ssl.create_default_context()
        authority.configure_trust(tls)
        trial = TypedKeyTester(FakeResolver({NAME: ["127.0.0.1"]}), LOOPBACK, tls, total_seconds=0.5)
        orgs = [f"org-{number}" for number in range(2 * MAX_PROBES)]
        results = await asyncio.gather(
            *(trial.probe(Requester(org, OWNER), "openai", url, Secret("sk-0123456789")) for org in orgs)
        )
    first, last = results[0], results[-1]
    assert statuses(first) == ["ok", "ok", "unknown", "skipped"]
    assert statuses(last) == ["unknown", "skipped", "skipped", "skipped"]
    assert "Too many tests" in last[0].detail


@dataclass
class Proxy:
    """The operator's proxy: tunnels to a fixed port, whatever name is asked for, or refuses."""

    port: int
    refuses: bool = False
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if self.refuses:
            writer.write(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Established\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pipe(reader, back), pipe(there, writer))


async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
    finally:
        sink.close()


async def by_proxy(authority: trustme.CA, proxy: Proxy, url: str) -> tuple[Steps, FakeResolver]:
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    resolver = FakeResolver()
    way = httpx.Proxy(f"http://127.0.0.1:{port}", auth=("operator", "word"))
    trial = TypedKeyTester(resolver, AddressPolicy(), tls, proxy=way, read_seconds=0.5)
    async with server:
        result = await trial.probe(ACME, "openai", parse_endpoint(url), Secret("sk-0123456789"))
    return result, resolver


@pytest.mark.parametrize(
    ("name", "expected"),
    [(NAME, ["skipped", "ok", "ok", "ok"]), ("other.test", ["skipped", "failed", "skipped", "skipped"])],
)
async def test_by_the_operators_proxy_the_name_is_verified_and_no_key_shown(
    authority: trustme.CA, name: str, expected: list[str]
) -> None:
    async with provider(authority, response("200 OK", MODELS), name=name) as there:
        proxy = Proxy(there.port)
        result, resolver = await by_proxy(authority, proxy, f"https://{NAME}/v1")
    assert statuses(result) == expected
    assert proxy.asked[0].startswith(f"CONNECT {NAME}:443 HTTP/1.1\r\n")
    assert "proxy-authorization: basic" in proxy.asked[0].lower()
    assert "sk-0123456789" not in proxy.asked[0]
    assert resolver.asked == []


async def test_a_proxy_that_refuses_is_named(authority: trustme.CA) -> None:
    result, _ = await by_proxy(authority, Proxy(0, refuses=True), f"https://{NAME}/v1")
    assert statuses(result) == ["skipped", "failed", "skipped", "skipped"]
    assert result[1].detail == "The operator's egress proxy did not connect to it."


async def test_no_proxy_is_asked_for_an_internal_address(authority: trustme.CA) -> None:
    proxy = Proxy(0)
    result, _ = await by_proxy(authority, proxy, "https://10.0.0.1/v1")
    assert (statuses(result)[0], proxy.asked) == ("failed", [])
