"""Slow boxes (threats 17 to 19): slowhttptest from a box, while another org's requests all succeed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.relay.conftest import KEY, BoxClient, RelayUnderTest, RunRelay, request
from tests.support.answers import head_bytes, whole
from tests.support.scripted_upstream import Answer, ReceivedRequest, ScriptedUpstream, Send, WaitFor
from tests.support.servers.tools import find_program, missing

MIB: Final = 1024 * 1024
MAX_GROWTH_BYTES: Final = 64 * MIB
OTHER_KEY: Final = "sk-other-org-key-0123456789"
KEYS: Final = frozenset({KEY.encode(), OTHER_KEY.encode()})
ATTACK_SECONDS: Final = 8
CONNECTIONS: Final = 300
READERS: Final = 60
ALL_STREAMS_OF_A_BOX: Final = 256
PIECE: Final = Send(b"x" * 65536)
BIG: Final = (Send(head_bytes("200 OK", [("Content-Length", str(400 * 65536))])), *(PIECE,) * 400)

ATTACKS: Final[dict[str, list[str]]] = {
    "head": ["-H", "-c", str(CONNECTIONS), "-r", "300", "-i", "1", "-x", "24"],
    "body": ["-B", "-c", str(CONNECTIONS), "-r", "300", "-i", "1", "-s", "8192", "-x", "10"],
    "read": ["-X", "-c", str(READERS), "-r", "60", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"],
}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _answer(received: ReceivedRequest) -> Answer:
    return whole(received.body) if received.credentials == [OTHER_KEY.encode()] else BIG


async def _attack(name: str, port: int) -> None:
    program = find_program("slowhttptest") or missing("slowhttptest")
    url = f"http://127.0.0.1:{port}/run9/ai/openai/v1/files"
    process = await asyncio.create_subprocess_exec(
        program,
        *ATTACKS[name],
        *("-l", str(ATTACK_SECONDS), "-p", "5", "-u", url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(ATTACK_SECONDS + 60):
        await process.wait()


async def _ask_until(gateway: RelayUnderTest, stop: asyncio.Event) -> list[bool]:
    """Ask as another org's box, now and then on a new connection; give whether each request succeeded."""
    succeeded: list[bool] = []
    while not stop.is_set():
        client = await gateway.connect()
        for _ in range(10):
            nonce = b"%d" % len(succeeded)
            client.send(request("POST", "/v1/x", "X-Run9-Box-Token: org-1/box", body=nonce))
            head, body = await client.read_answer()
            succeeded.append(head.startswith(b"HTTP/1.1 200 ") and body == nonce)
            await asyncio.sleep(0.002)
        client.close()
        gateway.clients.clear()
    return succeeded


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_slow_box_hurts_no_other_org_and_costs_little_memory(
    run_relay: RunRelay, attack: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await run_relay(head_seconds=3, body_progress_seconds=3, write_stall_seconds=4)
    async with ScriptedUpstream(keys=KEYS, respond=_answer) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        gateway.set_up(f"{upstream.origin}/v1", org="org-1", key=OTHER_KEY)
        stop, most = asyncio.Event(), 0
        gc.collect()
        before = _resident_bytes()

        async def watch() -> None:
            nonlocal most
            while not stop.is_set():
                most = max(most, len(gateway.relay.connection_limits.connections))
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_ask_until(gateway, stop))
            group.create_task(watch())
            await _attack(attack, gateway.port)
            growth = _resident_bytes() - before
            stop.set()
        assert all(asking.result())
        assert len(asking.result()) > 100
        assert most > READERS / 2, "the attack did not reach the relay"
        assert growth < MAX_GROWTH_BYTES
        await gateway.settled(lambda: gateway.relay.open_exchanges == 0)
    assert not [record for record in caplog.records if record.exc_info]


async def test_stalled_readers_cost_little_memory_each(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=_answer) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        gc.collect()
        before = _resident_bytes()
        readers = [await gateway.connect() for _ in range(30)]
        for reader in readers:
            reader.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
            reader.send(request())
        await gateway.settled(lambda: len(upstream.requests) == len(readers))
        await asyncio.sleep(1)
        assert gateway.relay.open_exchanges == len(readers)
        assert _resident_bytes() - before < 4 * MIB * len(readers)
        for reader in readers:
            reader.abort()
        await gateway.settled(lambda: gateway.relay.open_exchanges == 0)


@asynccontextmanager
async def _fast_provider() -> AsyncIterator[str]:
    command = (sys.executable, "-m", "tests.faults.relay.fast_provider")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}/v1"
    finally:
        process.kill()
        await process.wait()


async def test_all_streams_that_a_box_may_have_cost_little_memory_when_it_reads_none(
    run_relay: RunRelay,
) -> None:
    gateway = await run_relay()
    async with _fast_provider() as endpoint:
        gateway.set_up(endpoint)
        gc.collect()
        before = _resident_bytes()
        with contextlib.ExitStack() as sockets:
            for _ in range(ALL_STREAMS_OF_A_BOX):
                reader = sockets.enter_context(socket.socket())
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
                reader.connect(("127.0.0.1", gateway.port))
                reader.sendall(request())
                await asyncio.sleep(0.005)
            await gateway.settled(lambda: gateway.relay.open_exchanges == ALL_STREAMS_OF_A_BOX)
            await asyncio.sleep(2)
            assert _resident_bytes() - before < MAX_GROWTH_BYTES
        await gateway.settled(lambda: gateway.relay.open_exchanges == 0)


async def test_an_org_at_ten_times_its_capacity_takes_nothing_from_another(run_relay: RunRelay) -> None:
    gateway, hold = await run_relay(max_requests_per_org=20, max_requests_per_box=20), asyncio.Event()

    def respond(received: ReceivedRequest) -> Answer:
        mine = received.credentials == [OTHER_KEY.encode()]
        return whole(received.body) if mine else (WaitFor(hold), *whole(b"held"))

    async with ScriptedUpstream(keys=KEYS, respond=respond) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        gateway.set_up(f"{upstream.origin}/v1", org="org-1", key=OTHER_KEY)
        crowd = [await gateway.connect() for _ in range(200)]
        for number, client in enumerate(crowd):
            client.send(request("GET", "/v1/x", f"X-Run9-Box-Token: org-0/box-{number % 20}"))
        await gateway.settled(lambda: len(gateway.books.records) == 180)
        assert {record.code for record in gateway.books.records} == {"overloaded"}
        neighbour = await gateway.connect()
        for number in range(1000):
            neighbour.send(request("POST", "/v1/x", "X-Run9-Box-Token: org-1/box", body=b"%d" % number))
            assert (await neighbour.read_answer())[1] == b"%d" % number
        hold.set()
        await gateway.settled(lambda: gateway.relay.open_exchanges == 0)
        await _all_answered(crowd)


async def _all_answered(clients: list[BoxClient]) -> None:
    statuses = [(await client.read_answer())[0][9:12] for client in clients]
    assert (statuses.count(b"200"), statuses.count(b"503")) == (20, 180)
