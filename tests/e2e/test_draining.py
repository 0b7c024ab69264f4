"""A data plane of two workers gets SIGTERM while released clients stream and hold WebSockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from tests.support.answers import chunk_bytes, head_bytes
from tests.support.data_planes import DataPlaneProcess
from tests.support.planes_apart import PlanesApart
from tests.support.polling import START_SECONDS, eventually
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor

KEY = "sk-key-of-acme-000000001"
STOP_DELAY_SECONDS = 2
SESSION = '{"type":"session.created","event_id":"e","session":{"type":"realtime"}}'
DONE = json.dumps(
    {
        "type": "response.done",
        "event_id": "e",
        "response": {"id": "r", "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}},
    }
)


@dataclass
class RealtimeProvider:
    """Greets; answers each question once the turn may end."""

    end_turn: asyncio.Event = field(default_factory=asyncio.Event)
    closes: list[Close | None] = field(default_factory=list)

    async def __call__(self, connection: ServerConnection) -> None:
        await connection.send(SESSION)
        async for _ in connection:
            await self.end_turn.wait()
            await connection.send(DONE)
        self.closes.append(connection.protocol.close_rcvd)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve; gives the endpoint."""
        async with serve(self, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"


@dataclass
class Site:
    """A data plane, and a client for each of two orgs: the first streams, the other talks by WebSocket."""

    plane: DataPlaneProcess
    streaming: AsyncOpenAI
    talking: AsyncOpenAI


@asynccontextmanager
async def site(folder: Path, upstream: ScriptedUpstream, realtime: str) -> AsyncIterator[Site]:
    planes = PlanesApart.in_folder(folder)
    plane = DataPlaneProcess.of(
        planes,
        AIGW_WORKERS="2",
        AIGW_DRAIN_SECONDS="40",
        AIGW_STOP_DELAY_SECONDS=str(STOP_DELAY_SECONDS),
    )
    with planes.plane("control-plane"):
        async with planes.rest() as control_plane:
            await planes.register_node(control_plane)
            clients = []
            orgs = [await control_plane.new_org() for _ in range(2)]
            for org, endpoint in zip(orgs, (f"{upstream.origin}/v1", realtime), strict=True):
                await control_plane.set_up(org, "openai", KEY, endpoint)
                url = f"http://127.0.0.1:{plane.box_port}/run9/ai/openai/v1"
                head = {"X-Run9-Box-Token": planes.box_token(org)}
                client = AsyncOpenAI(
                    api_key="run9-placeholder", base_url=url, default_headers=head, max_retries=0
                )
                clients.append(client)
            with plane:
                yield Site(plane, *clients)
            for client in clients:
                await client.close()


def _event(text: str) -> bytes:
    piece = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    said = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [piece]}
    return chunk_bytes(f"data: {json.dumps(said)}\n\n".encode())


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


async def test_streams_finish_and_websockets_close_with_1012_between_turns(tmp_path: Path) -> None:
    go_on, realtime = asyncio.Event(), RealtimeProvider()
    head = head_bytes("200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
    end = Send(_event("last") + chunk_bytes(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    async with (
        ScriptedUpstream(keys=frozenset({KEY.encode()})) as upstream,
        realtime.running() as endpoint,
        site(tmp_path, upstream, endpoint) as seen,
    ):
        upstream.queue((Send(head), Send(_event("first")), WaitFor(go_on), end))
        stream = await seen.streaming.chat.completions.create(
            model="m", stream=True, messages=[{"role": "user", "content": "hi"}]
        )
        pieces = aiter(stream)
        assert (await anext(pieces)).choices[0].delta.content == "first"
        async with (
            seen.talking.realtime.connect(model="m") as idle,
            seen.talking.realtime.connect(model="m") as busy,
        ):
            assert [(await idle.recv()).type, (await busy.recv()).type] == ["session.created"] * 2
            await busy.response.create()
            seen.plane.terminate()
            await _stops_being_ready(seen.plane)
            assert await _close_of(idle) == 1012
            realtime.end_turn.set()
            assert (await busy.recv()).type == "response.done"
            assert await _close_of(busy) == 1012
        go_on.set()
        rest = [chunk.choices[0].delta.content async for chunk in stream]
        assert rest == ["last"]
        assert await asyncio.to_thread(seen.plane.ended) == 0
        assert realtime.closes == [Close(1001, "")] * 2


async def _stops_being_ready(plane: DataPlaneProcess) -> None:
    async def not_ready() -> bool:
        return not await asyncio.to_thread(lambda: plane.is_ready)

    async def closed() -> bool:
        return not await asyncio.to_thread(_accepts, plane.box_port)

    await eventually(not_ready, "it is not ready", deadline_seconds=STOP_DELAY_SECONDS)
    assert _accepts(plane.box_port), "it accepts until load balancers have noticed"
    await eventually(closed, "it accepts no more", deadline_seconds=START_SECONDS)


async def _close_of(connection: object) -> int | None:
    """Wait for the end of a WebSocket; give the code of the Close frame."""
    with pytest.raises(ConnectionClosed) as caught:
        async with asyncio.timeout(START_SECONDS):
            await connection.recv()  # type: ignore[attr-defined]  # the SDK's connection
    return caught.value.rcvd.code if caught.value.rcvd else None
