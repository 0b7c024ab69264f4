"""A change of configuration while exchanges are under way."""

from __future__ import annotations

import asyncio
import socket

import pytest

from services.data_plane.core.integration import NotReady
from services.data_plane.relay.upstream.resolver import AddressInfo, Resolver
from shared.addresses import AddressPolicy
from tests.relay.conftest import KEY, RunRelay, request
from tests.support.answers import chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor

KEYS = frozenset({KEY.encode()})
SSE_HEAD = head_bytes("200 OK", [("Transfer-Encoding", "chunked")])


@pytest.mark.parametrize("found", [NotReady.DISABLED, NotReady.MISSING])
async def test_disable_and_clear_cut_a_running_stream_visibly(run_relay: RunRelay, found: NotReady) -> None:
    gateway = await run_relay()
    never = asyncio.Event()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(SSE_HEAD + chunk_bytes(b"data: 1\n\n")), WaitFor(never)))
        client = await gateway.connect()
        client.send(request())
        await client.read_until(b"data: 1")
        gateway.change(found)
        with pytest.raises(ConnectionResetError):
            await client.read_all()
        await gateway.settled(lambda: upstream.closed == 1 or upstream.accepted == 1)
    assert gateway.books.records[0].outcome == "cut"
    assert gateway.books.records[0].code == f"integration_{found.value}"


async def test_disable_answers_a_request_that_still_waits_for_its_answer(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    never = asyncio.Event()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((WaitFor(never),))
        client = await gateway.connect()
        client.send(request())
        await gateway.settled(lambda: len(upstream.requests) == 1)
        gateway.change(NotReady.DISABLED)
        head, _ = await client.read_answer()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-run9-error: integration_disabled" in head


async def test_a_rotated_key_lets_streams_finish_and_serves_the_next_request(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    go_on = asyncio.Event()
    new_key = "sk-org-new-key-0123456789"
    async with ScriptedUpstream(keys=KEYS | {new_key.encode()}) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(
            (Send(SSE_HEAD + chunk_bytes(b"1")), WaitFor(go_on), Send(chunk_bytes(b"2") + b"0\r\n\r\n")),
            whole(b"ok"),
        )
        client = await gateway.connect()
        client.send(request())
        await client.read_until(b"1\r\n1\r\n")
        gateway.set_up(f"{upstream.origin}/v1", key=new_key, version=2)
        gateway.relay.config_changed("org-0", "openai")
        go_on.set()
        assert await client.read_until(b"0\r\n\r\n") == b"1\r\n2\r\n0\r\n\r\n"
        client.send(request())
        assert (await client.read_answer())[1] == b"ok"
    assert [r.credentials for r in upstream.requests] == [[KEY.encode()], [new_key.encode()]]


async def test_a_changed_endpoint_drains_the_old_pool(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as old, ScriptedUpstream(keys=KEYS) as new:
        gateway.set_up(f"{old.origin}/v1")
        old.queue(whole(b"old"))
        new.queue(whole(b"new"))
        client = await gateway.connect()
        client.send(request())
        assert (await client.read_answer())[1] == b"old"
        gateway.set_up(f"{new.origin}/v1", version=2)
        gateway.relay.config_changed("org-0", "openai")
        await gateway.settled(lambda: old.closed == 1)
        client.send(request())
        assert (await client.read_answer())[1] == b"new"


class HeldName:
    """Every name is of this machine, which is told once it is released."""

    def __init__(self) -> None:
        self.asked, self.released = asyncio.Event(), asyncio.Event()

    async def __call__(self, host: str, port: int) -> list[AddressInfo]:  # noqa: ARG002  # the seam's signature
        self.asked.set()
        await self.released.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]


@pytest.mark.parametrize("moved", [False, True], ids=["the key", "the endpoint"])
async def test_what_is_replaced_while_a_request_waits_for_its_connection_is_not_used(
    run_relay: RunRelay,
    moved: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    name, new_key = HeldName(), "sk-org-new-key-0123456789"
    gateway = await run_relay(resolver=Resolver(AddressPolicy.of(["127.0.0.0/8"]), look_up=name))
    keys = frozenset({new_key.encode()})
    async with ScriptedUpstream(keys=keys) as old, ScriptedUpstream(keys=keys) as new:
        gateway.set_up(f"{old.origin}/v1".replace("127.0.0.1", "provider.test"))
        client = await gateway.connect()
        client.send(request())
        await name.asked.wait()
        server = new if moved else old
        server.queue(whole(b"ok"))
        origin = server.origin.replace("127.0.0.1", "provider.test")
        gateway.set_up(f"{origin}/v1", key=new_key, version=2)
        gateway.relay.config_changed("org-0", "openai")
        name.released.set()
        assert (await client.read_answer())[1] == b"ok"
    assert [seen.credentials for seen in server.requests] == [[new_key.encode()]]
    assert not moved or (old.requests, old.accepted - old.closed) == ([], 0)
