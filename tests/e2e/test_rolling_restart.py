"""Three data planes of two workers each behind haproxy: restarted one by one under load, nothing fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Length
from tests.support.answers import chunk_bytes, head_bytes, json_answer
from tests.support.data_planes import DataPlaneProcess, balanced
from tests.support.planes_apart import PlanesApart
from tests.support.polling import START_SECONDS, eventually
from tests.support.scripted_upstream import Answer, Pause, ReceivedRequest, ScriptedUpstream, Send

KEY = "sk-key-of-acme-000000001"
PLANES = 3
PIECES = 6
PIECE = chunk_bytes(b"data: {}\n\n")
PIECE_SECONDS = 0.5
"""A stream lasts 3 s: every restart meets some in the middle."""
CALL_SECONDS = 60.0


def _respond(request: ReceivedRequest) -> Answer:
    if request.method == b"GET":
        return json_answer({})
    head = head_bytes("200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
    steps = [step for _ in range(PIECES) for step in (Pause(PIECE_SECONDS), Send(PIECE))]
    return (Send(head), *steps, Send(b"0\r\n\r\n"))


@dataclass
class Load:
    """Clients that call and stream until they are told to stop; each on new connections.

    Attributes:
        outcomes: how often a call or a stream ended in which way.
    """

    url: str
    headers: dict[str, str]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    outcomes: Counter[str] = field(default_factory=Counter)

    async def call(self) -> None:
        """Call again and again."""
        while not self.stop.is_set():
            await self._count("call", self._called())

    async def stream(self) -> None:
        """Stream again and again."""
        while not self.stop.is_set():
            await self._count("stream", self._streamed())

    async def _count(self, kind: str, work: object) -> None:
        try:
            outcome = await work  # type: ignore[misc]  # a coroutine
        except httpx.HTTPError as error:
            outcome = repr(error)
        self.outcomes[f"{kind}: {outcome}"] += 1

    async def _called(self) -> str:
        async with httpx.AsyncClient(trust_env=False, timeout=CALL_SECONDS) as client:
            answer = await client.get(f"{self.url}/models", headers=self.headers)
            return "good" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"

    async def _streamed(self) -> str:
        async with httpx.AsyncClient(trust_env=False, timeout=CALL_SECONDS) as client:
            answer = await client.post(f"{self.url}/responses", headers=self.headers, content=b"{}")
            whole = answer.status_code == 200 and answer.text == "data: {}\n\n" * PIECES
            return "good" if whole else f"{answer.status_code} {answer.text[:200]}"


@asynccontextmanager
async def fleet(
    folder: Path, upstream: ScriptedUpstream
) -> AsyncIterator[tuple[list[DataPlaneProcess], Load]]:
    planes = PlanesApart.in_folder(folder)
    settings = {"AIGW_WORKERS": "2", "AIGW_DRAIN_SECONDS": "30", "AIGW_STOP_DELAY_SECONDS": "1"}
    running = [DataPlaneProcess.of(planes, **settings) for _ in range(PLANES)]
    with planes.plane("control-plane"), contextlib.ExitStack() as stack:
        async with planes.rest() as control_plane:
            await planes.register_node(control_plane)
            org = await control_plane.new_org()
            await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
        for one in running:
            await asyncio.to_thread(stack.enter_context, one)
        port = stack.enter_context(balanced(running))
        load = Load(f"http://127.0.0.1:{port}/run9/ai/openai/v1", {"X-Run9-Box-Token": planes.box_token(org)})
        yield running, load


@pytest.mark.timeout(900)
async def test_restarted_one_by_one_under_load_no_request_fails_and_streams_finish(
    tmp_path: Path, length: Length
) -> None:
    async with (
        ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=_respond) as upstream,
        fleet(tmp_path, upstream) as (running, load),
        asyncio.TaskGroup() as clients,
    ):
        for _ in range(length.callers):
            clients.create_task(load.call())
            clients.create_task(load.stream())
        await eventually(
            lambda: _has_counted(load, "stream: good"), "streams pass", deadline_seconds=START_SECONDS
        )
        for one in running * length.rounds:
            one.terminate()
            assert await asyncio.to_thread(one.ended) == 0
            await asyncio.to_thread(one.start)
        load.stop.set()
    assert set(load.outcomes) == {"call: good", "stream: good"}, load.outcomes


async def _has_counted(load: Load, outcome: str) -> bool:
    return load.outcomes[outcome] > 0
