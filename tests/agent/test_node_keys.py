"""A node's key is rotated under load and the node removed, in front of real planes that meet over Redis."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from aigw.node_key import NodeKey
from shared.clock import unix_now
from shared.proxy_preface import encode_preface
from shared.tasks import TaskSet
from tests.agent.fleet import Fleet, Load, are_ready
from tests.support.answers import chunk_bytes, head_bytes, json_answer
from tests.support.node_agent import Agent
from tests.support.planes_apart import PLATFORM_TOKEN, PlanesApart
from tests.support.polling import START_SECONDS, eventually
from tests.support.scripted_upstream import Answer, ReceivedRequest, ScriptedUpstream, Send, WaitFor
from tests.support.servers.process import free_port, short_folder
from tests.support.servers.valkey import ValkeyServer

pytestmark = pytest.mark.timeout(300)
KEY: Final = "sk-key-of-the-fleet-0000001"
CUT_SECONDS: Final = 5.0
REFUSED_SECONDS: Final = 60.0
"""The bars of a removal. Of both, measured together, the test allows the sum."""

BASE: Final = b"GET /run9/ai/openai/v1/"
HOST: Final = b"Host: 10.0.2.2:1000\r\n"
STREAM: Final = BASE + b"stream HTTP/1.1\r\n" + HOST + b"\r\n"
WEB_SOCKET: Final = (
    BASE
    + b"realtime HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED: Final = head_bytes(
    "101 Switching Protocols",
    [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "x")],
)
EVENTS: Final = head_bytes(
    "200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
)
BEGUN: Final = b"begun"


class Opened:
    """A stream or WebSocket that goes on until an end comes from the other side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._ending = TaskSet().start(self._ended(), "opened until its end")

    @classmethod
    async def by(cls, port: int, request: bytes) -> Opened:
        """Ask, and wait until the answer has begun."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        await asyncio.wait_for(reader.readuntil(BEGUN), START_SECONDS)
        return cls(reader, writer)

    async def _ended(self) -> float:
        with suppress(ConnectionError):
            while await self._reader.read(1024):
                pass
        return time.monotonic()

    @property
    def goes_on(self) -> bool:
        return not self._ending.done()

    async def end(self, seconds: float) -> float:
        """Wait for the end; give the moment."""
        moment: float = await asyncio.wait_for(asyncio.shield(self._ending), seconds)
        self._writer.close()
        return moment


def responder(held: asyncio.Event) -> ScriptedUpstream:
    """Answer models at once, and begin everything else without ever ending."""

    def respond(request: ReceivedRequest) -> Answer:
        if request.target.endswith(b"/stream"):
            return Send(EVENTS + chunk_bytes(b"data: " + BEGUN + b"\n\n")), WaitFor(held)
        if request.target.endswith(b"/realtime"):
            return Send(SWITCHED + BEGUN), WaitFor(held)
        return json_answer({})

    return ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=respond)


async def put_keys(client: httpx.AsyncClient, **keys: NodeKey) -> None:
    """Register these keys, and these alone, as the node's."""
    body = {"keys": [{"kid": kid, "public_key": key.public_text} for kid, key in keys.items()]}
    head = {"authorization": f"Bearer {PLATFORM_TOKEN}"}
    (await client.put("/nodes/n1", json=body, headers=head)).raise_for_status()


async def status_of(port: int, token: str) -> str:
    """Ask a data plane directly, behind a preface with this token."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(encode_preface(token.encode()) + BASE + b"models HTTP/1.1\r\n" + HOST + b"\r\n")
    with suppress(ConnectionError):
        line = await asyncio.wait_for(reader.readline(), START_SECONDS)
    writer.close()
    return line.decode().split(" ")[1] if line else "closed"


@dataclass(frozen=True, slots=True)
class Site:
    """Real planes over Redis, an agent, and the port of a box of an org with a key."""

    fleet: Fleet
    client: httpx.AsyncClient
    org: str
    agent: Agent
    port: int

    async def takes(self, kid: str, key: NodeKey, status: str) -> bool:
        """Whether every data plane answers this status to a token of this key."""
        token = key.mint(kid, box="b", org=self.org, lifecycle="1", now=unix_now(), life_seconds=300)
        return [await status_of(boxes, token) for boxes, _ in self.fleet.ports] == [status] * 2

    def successor(self, key_file: Path, kid: str) -> Agent:
        """Give an agent that takes over from the running one as soon as started, with another key."""
        changed = {"AIGW_AGENT_NODE_KEY_FILE": str(key_file), "AIGW_AGENT_KID": kid}
        return Agent(self.agent.folder, self.agent.targets, {**self.agent.environment, **changed})


@asynccontextmanager
async def site(folder: Path, redis_url: str) -> AsyncIterator[Site]:
    """Run the planes, two data planes, the agent and the provider."""
    planes, held = PlanesApart.in_folder(folder), asyncio.Event()
    planes.environment |= {
        "AIGW_EVENT_BUS_URL": redis_url,
        "AIGW_FEED_KEY": secrets.token_urlsafe(32),
        "AIGW_SNAPSHOT_POLL_SECONDS": "60",  # so that a change arrives over Redis
    }
    fleet, port = Fleet(planes, short_folder("keys")), free_port()
    async with AsyncExitStack() as stack:
        stack.enter_context(planes.plane("control-plane"))
        upstream = await stack.enter_async_context(responder(held))
        control_plane = await stack.enter_async_context(planes.rest())
        await put_keys(control_plane.client, n1=planes.node)
        org = await control_plane.new_org()
        await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
        agent = await stack.enter_async_context(fleet.running())
        async with agent.rest() as rest:
            await rest.attached("a", org, {"address": f"127.0.0.1:{port}"})
        await eventually(lambda: are_ready(agent, 2), "both are ready", deadline_seconds=START_SECONDS)
        yield Site(fleet, control_plane.client, org, agent, port)
        held.set()
    await asyncio.to_thread(planes.data.close)


async def test_a_key_is_rotated_without_a_failed_request_and_a_removed_node_is_cut_off(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    async with site(tmp_path, valkey.url) as here:
        client, former = here.client, here.fleet.planes.node
        newer = NodeKey.create(tmp_path / "newer.pem")
        successor = here.successor(tmp_path / "newer.pem", "n2")
        load = Load(f"http://127.0.0.1:{here.port}/run9/ai/openai/v1/models")
        async with load.going_on():
            await load.more(20)
            old_stream = await Opened.by(here.port, STREAM)
            await put_keys(client, n1=former, n2=newer)
            await eventually(
                lambda: here.takes("n2", newer, "200"),
                "the new key is known",
                deadline_seconds=REFUSED_SECONDS,
            )
            await asyncio.to_thread(successor.start)  # takes over from the running agent
            await load.more(40)
            assert old_stream.goes_on
            opened = [await Opened.by(here.port, request) for request in (STREAM, WEB_SOCKET)]
            await put_keys(client, n2=newer)
            await old_stream.end(CUT_SECONDS + REFUSED_SECONDS)  # the former key had proved its box
            await eventually(
                lambda: here.takes("n1", former, "400"),
                "the former key is refused",
                deadline_seconds=REFUSED_SECONDS,
            )
            await load.more(40)
            assert all(one.goes_on for one in opened)
        assert set(load.seen) == {"200"}, load.seen

        head = {"authorization": f"Bearer {PLATFORM_TOKEN}"}
        begun = time.monotonic()
        (await client.delete("/nodes/n1", headers=head)).raise_for_status()
        for one in opened:
            assert await one.end(CUT_SECONDS + REFUSED_SECONDS) - begun < CUT_SECONDS + REFUSED_SECONDS
        await eventually(
            lambda: here.takes("n2", newer, "400"), "both refuse", deadline_seconds=REFUSED_SECONDS
        )
        assert await load.ask() == "400"
    successor.process.stop()
