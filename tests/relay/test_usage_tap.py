"""Usage is read from answers on their way, and nothing of them changes for it."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from services.data_plane.core.usage.tokens import NoUsage, Usage
from tests.relay.conftest import KEY, RunRelay, request
from tests.support.answers import chat_completion, chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import Answer, ScriptedUpstream, Send, WaitFor

KEYS = frozenset({KEY.encode()})
FOLDER = Path(__file__).parents[1] / "corpus" / "streams"
SAID = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
DOCUMENT = json.dumps({**chat_completion("hello"), "usage": SAID}).encode()
GZIP = ("content-encoding", "gzip")


def recorded(name: str) -> Answer:
    return (Send((FOLDER / f"{name}.http").read_bytes()),)


def sent(answer: Answer) -> bytes:
    return b"".join(step.data for step in answer if isinstance(step, Send)).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        (whole(DOCUMENT), Usage(7, 0, 0, 5, 0)),
        (whole(gzip.compress(DOCUMENT), head=[GZIP]), Usage(7, 0, 0, 5, 0)),
        (whole(b"\x8b\x03\x80\x01\x02\x03", head=[("content-encoding", "br")]), NoUsage.UNREADABLE),
        (whole(b"{}"), NoUsage.ABSENT),
        (whole(DOCUMENT, status="400 Bad Request"), None),
        (recorded("openai-chat"), Usage(9, 0, 0, 7, 0)),
        (recorded("openai-responses"), Usage(9, 0, 0, 7, 0)),
        (recorded("anthropic-messages-with-ping"), Usage(25, 0, 0, 15, 0)),
    ],
    ids=["json", "gzip", "br", "absent", "error", "chat", "responses", "messages"],
)
async def test_an_answer_passes_as_it_was_sent_and_its_usage_is_booked(
    run_relay: RunRelay, answer: Answer, usage: Usage | NoUsage | None
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(answer)
        received = await gateway.ask(request("POST", body=b"{}", close=True))
        await gateway.settled(lambda: len(gateway.books.records) == 1)
    assert received.partition(b"\r\n\r\n")[2] == sent(answer)
    assert gateway.books.records[0].usage == usage


async def test_what_a_box_has_used_that_left_before_the_last_usage_is_unknown(run_relay: RunRelay) -> None:
    gateway, never = await run_relay(), asyncio.Event()
    start = b'data: {"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}\n\n'
    head = head_bytes("200 OK", [("Transfer-Encoding", "chunked")])
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1", "anthropic")
        upstream.queue((Send(head), Send(chunk_bytes(start)), WaitFor(never)))
        client = await gateway.connect()
        client.send(request("POST", "/v1/messages", body=b"{}", provider="anthropic"))
        await client.read_until(b"message_start")
        client.abort()
        await gateway.settled(lambda: len(gateway.books.records) == 1)
    record = gateway.books.records[0]
    assert (record.outcome, record.usage) == ("client_gone", NoUsage.CUT)


async def test_answers_to_gets_are_looked_through_only_where_answers_are_polled(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(DOCUMENT))
        await gateway.ask(request(close=True))
    assert gateway.books.records[0].usage is None


async def test_an_operator_may_switch_it_off(run_relay: RunRelay) -> None:
    gateway = await run_relay(usage_tap=False)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(DOCUMENT))
        assert (await gateway.ask(request("POST", body=b"{}", close=True))).endswith(DOCUMENT)
    assert gateway.books.records[0].usage is None
