"""A 401 on its way to the box: whose fault it is, which reason is told, and what never passes."""

from __future__ import annotations

import gzip
import json

import pytest

from services.data_plane.account.key_verdicts import KeyVerdicts
from shared.providers import ProviderName
from tests.relay.conftest import HANDSHAKE, KEY, RelayUnderTest, RunRelay, request
from tests.support.answers import chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import Answer, Close, ScriptedUpstream, Send

KEYS = frozenset({KEY.encode()})
CORS = "CORS requests must set 'anthropic-dangerous-direct-browser-access' header"
SCOPES = "You have insufficient permissions for this operation. Missing scopes: model.request."


def anthropic_error(message: str) -> bytes:
    return json.dumps(
        {"type": "error", "error": {"type": "authentication_error", "message": message}}
    ).encode()


async def refused(
    gateway: RelayUnderTest,
    upstream: ScriptedUpstream,
    answer: Answer,
    *,
    provider: ProviderName = "anthropic",
) -> tuple[bytes, bytes]:
    gateway.set_up(f"{upstream.origin}/v1", provider)
    upstream.queue(answer)
    path = "/v1/messages" if provider == "anthropic" else "/v1/responses"
    received = await gateway.ask(request("POST", path, body=b"{}", provider=provider, close=True))
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("coding", ["plain", "gzip", "chunked", "until close"])
async def test_the_reason_of_a_401_that_is_not_about_the_key_reaches_the_box(
    run_relay: RunRelay, coding: str
) -> None:
    gateway, body = await run_relay(), anthropic_error(CORS)
    answers: dict[str, Answer] = {
        "plain": whole(body, status="401 Unauthorized"),
        "gzip": whole(gzip.compress(body), status="401 Unauthorized", head=[("content-encoding", "gzip")]),
        "chunked": (
            Send(head_bytes("401 Unauthorized", [("Transfer-Encoding", "chunked")])),
            *(Send(chunk_bytes(body[at : at + 9])) for at in range(0, len(body), 9)),
            Send(b"0\r\n\r\n"),
        ),
        "until close": (Send(head_bytes("401 Unauthorized", [("Connection", "close")]) + body), Close()),
    }
    async with ScriptedUpstream(keys=KEYS) as upstream:
        head, said = await refused(gateway, upstream, answers[coding])
        await gateway.settled(lambda: len(gateway.books.records) == 1)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-run9-error: upstream_request_refused" in head
    assert b"x-run9-error-source: upstream" in head
    assert CORS in json.loads(said)["error"]["message"]
    verdicts = KeyVerdicts()
    verdicts.note(gateway.books.records[0])
    assert verdicts.news() == ()


async def test_a_restricted_key_is_not_a_rejected_one(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        answer = whole(json.dumps({"error": {"message": SCOPES, "code": None}}).encode(), status="401 No")
        head, said = await refused(gateway, upstream, answer, provider="openai")
    assert b"x-run9-error: upstream_request_refused" in head
    assert b"Missing scopes: model.request" in said


async def test_a_401_about_the_key_blames_the_key_and_names_who_refused(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        head, said = await refused(
            gateway, upstream, whole(anthropic_error("invalid x-api-key"), status="401 Unauthorized")
        )
        await gateway.settled(lambda: len(gateway.books.records) == 1)
    assert b"x-run9-error: upstream_key_rejected" in head
    assert b"did not accept the organization's API key" in said
    verdicts = KeyVerdicts()
    verdicts.note(gateway.books.records[0])
    assert [seen.verdict for seen in verdicts.news()] == ["rejected"]


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"error":"Unauthorized"}', b"{" * 200_000])
async def test_a_401_that_nobody_explains_blames_nobody(run_relay: RunRelay, body: bytes) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        head, said = await refused(gateway, upstream, whole(body, status="401 Unauthorized"))
        await gateway.settled(lambda: len(gateway.books.records) == 1)
    assert b"x-run9-error: upstream_refused_unexplained" in head
    assert b"for no known reason" in said
    verdicts = KeyVerdicts()
    verdicts.note(gateway.books.records[0])
    assert verdicts.news() == ()


@pytest.mark.parametrize("shown", [KEY, KEY[:8] + "...", "..." + KEY[-4:]], ids=["key", "beginning", "end"])
async def test_a_reason_that_shows_the_key_or_its_ends_is_withheld(run_relay: RunRelay, shown: str) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        answer = whole(anthropic_error(f"CORS requests of {shown} are odd"), status="401 Unauthorized")
        head, said = await refused(gateway, upstream, answer)
    assert b"x-run9-error: upstream_request_refused" in head
    assert shown.encode() not in said


async def test_a_connection_that_brought_a_401_is_used_again(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        for _ in range(2):
            await refused(gateway, upstream, whole(anthropic_error(CORS), status="401 Unauthorized"))
        await gateway.settled(lambda: len(gateway.books.records) == 2)
    assert [record.reused for record in gateway.books.records] == [False, True]


async def test_a_refused_websocket_tells_the_providers_sentence_and_when_to_come_again(
    run_relay: RunRelay,
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        body = json.dumps(
            {"error": {"message": "Too many sessions are open.", "code": "rate_limit"}}
        ).encode()
        for seconds, told in ((b"7", b"retry-after: 7\r\n"), (b"86400", b"retry-after: 60\r\n")):
            upstream.queue(
                whole(body, status="429 Too Many Requests", head=[("retry-after", seconds.decode())])
            )
            client = await gateway.connect()
            client.send(request("GET", "/v1/responses", *HANDSHAKE))
            received = await client.read_until(b"are open.")
            assert received.startswith(b"HTTP/1.1 426 ")
            assert told in received
            assert b"status 429: Too many sessions are open." in received
