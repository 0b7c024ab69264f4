"""A data plane of two workers: a port for boxes, an admin listener, a worker killed under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Length
from tests.support.answers import json_answer
from tests.support.control_plane import ControlPlane
from tests.support.planes_apart import PlanesApart
from tests.support.polling import START_SECONDS, eventually
from tests.support.scripted_upstream import ScriptedUpstream

KEY = "sk-key-of-acme-000000001"
MAX_OWN_MEMORY_KIB = 80 * 1024
CALL_SECONDS = 120.0
"""A call waits for the newly started worker, on a machine with much other work."""
_LABELS = re.compile(r"\{.*\} ")


@dataclass
class Fleet:
    """A running data plane of two workers, and an org whose boxes may call through it."""

    planes: PlanesApart
    client: httpx.AsyncClient
    headers: dict[str, str]
    failures: list[str] = field(default_factory=list)
    answered: int = 0

    async def admin(self, path: str) -> httpx.Response:
        return await self.client.get(f"http://127.0.0.1:{self.planes.ports['admin_port']}{path}")

    async def call_once(self) -> int:
        """Make a call over a connection of its own, so the kernel chooses a worker."""
        async with httpx.AsyncClient(trust_env=False, timeout=CALL_SECONDS) as client:
            answer = await client.get(self.planes.box_url("openai/v1/models"), headers=self.headers)
            return answer.status_code

    async def call_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                status = await self.call_once()
            except httpx.HTTPError as error:
                self.failures.append(type(error).__name__)
            else:
                self.answered += status == 200
                if status != 200:
                    self.failures.append(str(status))

    async def total(self, metric: str) -> float:
        text = (await self.admin("/metrics")).text
        lines = [_LABELS.sub(" ", line) for line in text.splitlines() if line.startswith(metric)]
        return sum(float(line.split()[-1]) for line in lines)


@asynccontextmanager
async def fleet_of_two(folder: Path, upstream: ScriptedUpstream) -> AsyncIterator[Fleet]:
    planes = PlanesApart.in_folder(folder)
    planes.environment["AIGW_WORKERS"] = "2"
    with planes.plane("control-plane"), planes.plane("data-plane"):
        async with planes.rest() as control_plane:
            yield await _prepared(planes, control_plane, upstream)
        await asyncio.to_thread(planes.data.close)


async def _prepared(planes: PlanesApart, control_plane: ControlPlane, upstream: ScriptedUpstream) -> Fleet:
    await planes.register_node(control_plane)
    await planes.data_plane_is_ready()
    org = await control_plane.new_org()
    await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
    fleet = Fleet(planes, control_plane.client, {"X-Run9-Box-Token": planes.box_token(org)})

    async def live_everywhere() -> bool:
        answer = await control_plane.client.get(
            f"/orgs/{org}/ai-integrations/openai/rollout",
            headers={"authorization": f"Bearer {planes.owner_token}"},
        )
        rollout = answer.raise_for_status().json()
        return bool(rollout["total"] == rollout["live"] == 2)

    await eventually(live_everywhere, "both workers acknowledged it", deadline_seconds=START_SECONDS)
    return fleet


def _provider() -> ScriptedUpstream:
    return ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=lambda _: json_answer({}))


async def test_each_worker_acknowledges_a_change_and_the_admin_listener_speaks_for_both(
    tmp_path: Path,
) -> None:
    async with _provider() as upstream, fleet_of_two(tmp_path, upstream) as fleet:
        assert [await fleet.call_once() for _ in range(20)] == [200] * 20
        assert await fleet.total("aigw_exchanges_total") == 20
        for histogram in ("aigw_duration_seconds", "aigw_own_time_seconds", "aigw_time_to_head_seconds"):
            assert await fleet.total(f"{histogram}_count") == 20
        assert await fleet.total('aigw_secret_reads_total{result="read"}') >= 2  # each worker reads the key
        assert await fleet.total("aigw_workers") == 2
        shown = (await fleet.admin("/debug/config")).json()["workers"]
        assert len(shown) == 2
        assert len({one["revision"] for one in shown}) == 1


async def test_workers_import_nothing_from_the_folder_they_are_started_in(tmp_path: Path) -> None:
    tmp_path.joinpath("httpx.py").write_text("raise SystemExit('a stranger in the working folder')\n")
    async with _provider() as upstream, fleet_of_two(tmp_path, upstream) as fleet:
        assert await fleet.call_once() == 200


async def test_an_idle_worker_holds_little_memory_and_nothing_of_the_control_plane(tmp_path: Path) -> None:
    async with _provider() as upstream, fleet_of_two(tmp_path, upstream) as fleet:
        assert await fleet.call_once() == 200
        workers = [Path(f"/proc/{pid}") for pid in await _both(fleet)]
        held = [_own_memory_kib(worker) for worker in workers]
        assert max(held) <= MAX_OWN_MEMORY_KIB, held
        assert not [worker for worker in workers if "/sqlalchemy/" in worker.joinpath("maps").read_text()]


def _own_memory_kib(process: Path) -> int:
    """Read a process's memory without its mapped files, whose pages are shared with other processes."""
    lines = process.joinpath("status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


@pytest.mark.timeout(600)
async def test_a_worker_killed_under_load_costs_only_its_own_requests_in_flight(
    tmp_path: Path, length: Length
) -> None:
    async with _provider() as upstream, fleet_of_two(tmp_path, upstream) as fleet:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as callers:
            for _ in range(length.callers):
                callers.create_task(fleet.call_until(stop))
            for round_number in range(length.kills):
                await _kill_one(fleet, round_number)
                await asyncio.sleep(length.kill_pause_seconds)
            stop.set()
        # A caller has one request open at a time, so a kill can cost each caller one at most.
        assert len(fleet.failures) <= length.kills * length.callers
        assert set(fleet.failures) <= {"RemoteProtocolError", "ReadError"}, "only what was in flight is lost"
        assert fleet.answered > 0
        assert await fleet.total("aigw_worker_restarts_total") == length.kills
        assert (await fleet.admin("/readyz")).status_code == 200


async def _kill_one(fleet: Fleet, round_number: int) -> None:
    answered, victims = fleet.answered, await _both(fleet)
    os.kill(victims[round_number % 2], signal.SIGKILL)

    async def is_back() -> bool:
        with contextlib.suppress(OSError):
            pids = await asyncio.to_thread(_pids, fleet)
            return len(pids) == 2 and not set(victims) <= set(pids) and fleet.answered > answered
        return False

    await eventually(is_back, "another worker took its place and calls pass", deadline_seconds=START_SECONDS)


async def _both(fleet: Fleet) -> list[int]:
    pids: list[int] = []

    async def two() -> bool:
        pids[:] = await asyncio.to_thread(_pids, fleet)
        return len(pids) == 2

    await eventually(two, "two workers run", deadline_seconds=START_SECONDS)
    return pids


def _pids(fleet: Fleet) -> list[int]:
    """Find the worker processes of this fleet by their command line and their port."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"--box-descriptors" in b" ".join(words) and _belongs(path.parent, fleet):
                found.append(int(path.parent.name))
    return sorted(found)


def _belongs(process: Path, fleet: Fleet) -> bool:
    port = f"AIGW_BOX_PORT={fleet.planes.ports['box_port']}".encode()
    return port in process.joinpath("environ").read_bytes().split(b"\0")
