"""Real data-plane processes behind a real agent: killed, drained and all gone, while boxes call."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.agent.fleet import CALLERS, CONNECT_SECONDS, Fleet, Load, are_ready
from tests.support.answers import json_answer
from tests.support.planes_apart import PlanesApart
from tests.support.polling import START_SECONDS, eventually
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.servers.process import free_port, short_folder

pytestmark = pytest.mark.timeout(300)
KEY: Final = "sk-key-of-the-fleet-0000001"


async def test_killed_and_drained_data_planes_cost_only_what_was_in_flight(tmp_path: Path) -> None:
    planes, folder = PlanesApart.in_folder(tmp_path), short_folder("fleet")
    fleet = Fleet(planes, folder)
    upstream = ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=lambda _: json_answer({}))
    async with AsyncExitStack() as stack:
        stack.enter_context(planes.plane("control-plane"))
        async with upstream, planes.rest() as control_plane:
            await planes.register_node(control_plane)
            org = await control_plane.new_org()
            await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
            agent = await stack.enter_async_context(fleet.running())
            address = f"127.0.0.1:{free_port()}"
            async with agent.rest() as rest:
                await rest.attached("a", org, {"address": address})
            load = Load(f"http://{address}/run9/ai/openai/v1/models")
            await eventually(lambda: are_ready(agent, 2), "both are ready", deadline_seconds=START_SECONDS)

            async with load.going_on():
                await load.more(40)
                fleet.processes[0].kill()
                await load.more(40)
                killed = load.seen.total() - load.seen["200"]
                fleet.start(0)
                await eventually(
                    lambda: are_ready(agent, 2), "both are ready", deadline_seconds=START_SECONDS
                )
                await load.more(20)
                fleet.processes[1].signal(signal.SIGTERM)
                await load.more(60)
                drained = load.seen.total() - load.seen["200"] - killed
            assert killed <= CALLERS, load.seen
            assert drained == 0, load.seen

            fleet.processes[0].stop()
            begun = time.monotonic()
            answers = await asyncio.gather(*(load.ask() for _ in range(8)))
            assert answers == ["503"] * 8
            assert time.monotonic() - begun < CONNECT_SECONDS + 10
        await asyncio.to_thread(planes.data.close)
