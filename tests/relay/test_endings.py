"""How exchanges end: a leaving box, a breaking provider, and the view from each side."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
from pathlib import Path

import pytest

from tests.relay.conftest import DEADLINE_SECONDS, KEY, RunRelay, raw_upstream, request
from tests.support.answers import chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import Close, Reset, ScriptedUpstream, Send

KEYS = frozenset({KEY.encode()})
SSE_HEAD = head_bytes("200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])


class Endless:
    """An upstream with endless answers, which tells when its connections are gone."""

    def __init__(self, *, silent: bool = False, answer_at_once: bool = True) -> None:
        self.silent = silent
        self.answer_at_once = answer_at_once
        self.requests = 0
        self.gone = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            if not self.silent:
                writer.write(SSE_HEAD)
                while not reader.at_eof():
                    writer.write(chunk_bytes(b"data: x\n\n"))
                    await writer.drain()
                    await asyncio.sleep(0.002)
            await reader.read(-1)
        finally:
            self.gone.set()


async def _within(event: asyncio.Event) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await event.wait()


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_box_that_leaves_mid_answer_takes_the_upstream_with_it(run_relay: RunRelay, how: str) -> None:
    gateway, upstream = await run_relay(), Endless()
    async with raw_upstream(upstream) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request())
        await client.read_until(b"data: x")
        getattr(client, how)()
        await _within(upstream.gone)
    await gateway.settled(lambda: bool(gateway.books.records))
    assert gateway.books.records[0].outcome == "client_gone"
    assert gateway.relay.open_exchanges == 0
    assert len(gateway.relay.parts.pool) == 0


async def test_a_box_that_leaves_before_the_answer_takes_the_upstream_with_it(run_relay: RunRelay) -> None:
    gateway, upstream = await run_relay(), Endless(silent=True)
    async with raw_upstream(upstream) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request())
        await gateway.settled(lambda: upstream.requests == 1)
        client.close()
        await _within(upstream.gone)


async def test_a_box_that_leaves_mid_upload_takes_the_upstream_with_it(run_relay: RunRelay) -> None:
    gateway, upstream = await run_relay(), Endless(silent=True)
    async with raw_upstream(upstream) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Content-Length: 100000") + b"x" * 500)
        await gateway.settled(lambda: upstream.requests == 1)
        client.close()
        await _within(upstream.gone)


async def test_a_box_that_leaves_while_its_secret_loads_sends_nothing(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    loading, loaded = asyncio.Event(), asyncio.Event()

    async def load() -> None:
        loading.set()
        await loaded.wait()

    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        row = gateway.table.rows["org-0", "openai"]
        gateway.table.hold_loading("org-0", "openai", load)
        client = await gateway.connect()
        client.send(request())
        await _within(loading)
        client.close()
        await gateway.settled(lambda: bool(gateway.books.records))
        gateway.table.rows["org-0", "openai"] = row
        loaded.set()
        await asyncio.sleep(0.05)
    assert gateway.books.records[0].outcome == "client_gone"
    assert upstream.accepted == 0


async def test_a_first_request_waits_for_its_secret(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        row = gateway.table.rows["org-0", "openai"]

        async def load() -> None:
            await asyncio.sleep(0.01)
            gateway.table.rows["org-0", "openai"] = row

        gateway.table.hold_loading("org-0", "openai", load)
        upstream.queue(whole(b"ok"))
        assert (await gateway.ask(request("POST", body=b"abc", close=True))).endswith(b"\r\n\r\nok")
    assert upstream.requests[0].body == b"abc"


@pytest.mark.parametrize("ending", [Close(), Reset()], ids=["clean", "reset"])
async def test_an_upstream_that_breaks_mid_answer_is_a_visible_break(
    run_relay: RunRelay, ending: Close | Reset
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(SSE_HEAD), Send(chunk_bytes(b"data: half\n\n")), ending))
        client = await gateway.connect()
        client.send(request())
        await client.read_until(b"data: half\n\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.read_all()
    assert gateway.books.records[0].outcome == "upstream_broke"


async def test_a_bad_chunk_is_a_visible_break(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(SSE_HEAD + chunk_bytes(b"good")), Send(b"5\r\ntoo long\r\n")))
        client = await gateway.connect()
        client.send(request())
        with pytest.raises(ConnectionResetError):
            await client.read_until(b"never")


async def test_an_upstream_that_closes_without_an_answer_is_unreachable(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Close(),))
        answer = await gateway.ask(request("POST", body=b"x", close=True))
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"x-run9-error: upstream_unreachable" in answer
    assert b"x-should-retry" not in answer


async def test_a_refused_connection_is_unreachable(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    gateway.set_up("http://127.0.0.1:1/v1")
    answer = await gateway.ask(request(close=True))
    assert b"x-run9-error: upstream_unreachable" in answer
    assert b"the connection was refused" in answer


async def test_an_answer_that_ends_with_its_connection_survives_what_is_pipelined_behind_it(
    run_relay: RunRelay,
) -> None:
    """A connection closed under arriving bytes is reset, and the reset takes the answer's end away."""
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(head_bytes("200 OK", []) + b"all of it"), Close()))
        client = await gateway.connect()
        client.send(request() + request())
        assert (await client.read_all()).endswith(b"\r\nConnection: close\r\n\r\nall of it")
        for _ in range(5):
            client.send(request())
            await asyncio.sleep(0.02)
            assert not client.writer.is_closing()
    assert len(upstream.requests) == 1


async def test_a_dead_pooled_connection_costs_a_get_nothing(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    dead = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("200 OK", [("Content-Length", "2")]) + b"ok")
        if not dead.is_set():
            dead.set()
            # The next request finds a connection that takes it and dies without a word.
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()

    async with raw_upstream(once) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        for _ in range(2):
            client.send(request())
            assert (await client.read_answer())[1] == b"ok"
    assert [r.outcome for r in gateway.books.records] == ["answered", "answered"]


async def test_a_provider_that_refuses_an_upload_and_closes_is_heard(run_relay: RunRelay) -> None:
    """Its kernel resets the connection under the upload. A failing write must not hide the answer."""
    gateway, loop = await run_relay(), asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        gateway.set_up(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Content-Length: 10000") + b"x" * 1000)
        provider, _ = await loop.sock_accept(listener)
        assert await loop.sock_recv(provider, 10)
        box = next(iter(gateway.connections))
        # In one turn of the loop, so that it writes before it reads.
        provider.sendall(head_bytes("413 Content Too Large", [("Content-Length", "3")]) + b"big")
        provider.close()
        box.data_received(b"x" * 1000)
        gateway.relay.parts.batch.flush()
        head, body = await client.read_answer()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert body == b"big"
    assert [r.outcome for r in gateway.books.records] == ["answered"]
    assert len(gateway.relay.parts.pool) == 0


async def test_a_pooled_connection_that_breaks_after_an_interim_answer_was_not_dead(
    run_relay: RunRelay,
) -> None:
    """The provider has had the request and may have done the work: the request is not repeated."""
    gateway, asked = await run_relay(), list[bytes]()

    async def hinting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head_bytes("200 OK", [("Content-Length", "2")]) + b"ok")
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head_bytes("103 Early Hints", []))

    async with raw_upstream(hinting) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request())
        assert (await client.read_answer())[1] == b"ok"
        client.send(request())
        assert await client.read_head() == b"HTTP/1.1 103 Early Hints\r\n\r\n"
        assert b"x-run9-error: upstream_unreachable\r\n" in await client.read_head()
    assert len(asked) == 2


async def test_a_dead_pooled_connection_fails_a_post_without_sending_it_twice(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    seen: list[bytes] = []

    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head_bytes("200 OK", [("Content-Length", "2")]) + b"ok")
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    async with raw_upstream(dying) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request())
        await client.read_answer()
        client.send(request("POST", body=b"pay"))
        head, _ = await client.read_answer()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert len(seen) == 2


async def test_bytes_on_an_idle_connection_never_reach_the_next_request(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    chatted = asyncio.Event()

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("200 OK", [("Content-Length", "2")]) + b"ok")
        await writer.drain()
        if not chatted.is_set():
            await asyncio.sleep(0.05)
            writer.write(head_bytes("200 OK", [("Content-Length", "6")]) + b"shifty")
            await writer.drain()
            await reader.read(-1)
            chatted.set()

    async with raw_upstream(chatty) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request())
        assert (await client.read_answer())[1] == b"ok"
        await _within(chatted)
        client.send(request())
        assert (await client.read_answer())[1] == b"ok"


async def test_random_aborts_leave_nothing_behind_and_mix_nothing_up(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    dice = random.Random(20261123)
    async with ScriptedUpstream(keys=None, respond=lambda r: whole(r.body * 50)) as upstream:
        for org in ("org-0", "org-1"):
            gateway.set_up(f"{upstream.origin}/v1", org=org, key=f"sk-{org}-key-0123456789")
        before = _open_files()

        async def one(number: int) -> None:
            org = f"org-{number % 2}"
            nonce = b"%s %d;" % (org.encode(), number)
            raw = request("POST", "/v1/x", f"X-Run9-Box-Token: {org}/box", body=nonce)
            client = await gateway.connect()
            client.send(raw[: dice.randrange(len(raw) * 2)])
            if dice.random() < 0.5:
                client.abort()
                return
            await asyncio.sleep(dice.random() * 0.01)
            client.abort()
            # And one that stays, to see whose answer it gets.
            client = await gateway.connect()
            client.send(raw)
            assert (await client.read_answer())[1] == nonce * 50
            client.close()

        for start in range(0, 1000, 20):
            await asyncio.gather(*(one(number) for number in range(start, start + 20)))
            gateway.clients.clear()
        await gateway.settled(lambda: not gateway.connections)
        assert gateway.relay.open_exchanges == 0
        assert len(gateway.relay.parts.tasks) == 0
        assert len(gateway.relay.parts.pool) <= 128
        gateway.relay.parts.pool.close()
        await gateway.settled(lambda: upstream.closed == upstream.accepted)
        gc.collect()
        await gateway.settled(lambda: _open_files() <= before + 2)
        assert all(
            r.credentials == [b"sk-%s-key-0123456789" % r.body.split(b" ")[0]] for r in upstream.requests
        )


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_fault_of_the_gateway_itself_is_answered_and_logged(
    run_relay: RunRelay, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await run_relay()

    async def load() -> None:
        raise LookupError("a bug in the table")

    gateway.set_up("http://127.0.0.1:1/v1")
    gateway.table.hold_loading("org-0", "openai", load)
    answer = await gateway.ask(request(close=True))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"an internal fault of the gateway" in answer
    assert gateway.relay.open_exchanges == 0
    assert "an exchange could not be prepared" in caplog.text
