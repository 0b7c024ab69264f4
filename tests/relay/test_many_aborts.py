"""Boxes that leave at random (threat 14): nothing is left behind, and no answer reaches another's request."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

import pytest

from tests.relay.conftest import RunRelay, request
from tests.support.answers import chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import Answer, Pause, ReceivedRequest, ScriptedUpstream, Send

ABORTS, NIGHTLY_ABORTS = 2_000, 20_000
AT_ONCE = 40
ORGS = {f"org-{n}": f"sk-org-{n}-key-0123456789" for n in range(2)}


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Crowd:
    """Requests that carry a nonce each; most are given up somewhere on the way."""

    def __init__(self, gateway_port: int, seed: int) -> None:
        self._port = gateway_port
        self._dice = random.Random(seed)
        self.mixed_up = 0
        self.whole = 0
        self.given_up = 0

    def answer(self, received: ReceivedRequest) -> Answer:
        """Answer with the nonce and the owner of the credential, in one of several shapes."""
        body = (received.credentials[0] + b" " + received.body + b";") * self._dice.randint(1, 200)
        match self._dice.randrange(3):
            case 0:
                return whole(body)
            case 1:
                head = head_bytes("200 OK", [("Transfer-Encoding", "chunked")])
                halves = (chunk_bytes(body[: len(body) // 2]), chunk_bytes(body[len(body) // 2 :]))
                return (Send(head + halves[0]), Pause(0.001), Send(halves[1] + b"0\r\n\r\n"))
            case _:
                head = head_bytes("200 OK", [("Content-Length", str(len(body)))])
                return (Pause(0.001), Send(head + body[:10]), Pause(0.001), Send(body[10:]))

    async def one(self, number: int) -> None:
        """Ask once; give up after a random part of the request or of the answer, or not at all."""
        org = f"org-{number % 2}"
        nonce = b"%b-%d" % (org.encode(), number)
        raw = request("POST", "/v1/x", f"X-Run9-Box-Token: {org}/box-{number % 7}", body=nonce, close=True)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            if self._dice.random() < 0.3:
                writer.write(raw[: self._dice.randrange(len(raw))])
                await asyncio.sleep(self._dice.random() * 0.002)
                self.given_up += 1
                return
            writer.write(raw)
            if self._dice.random() < 0.6:
                await self._look_at_a_part(reader, nonce, ORGS[org].encode())
                self.given_up += 1
                return
            async with asyncio.timeout(30):
                self._compare(await reader.read(-1), nonce, ORGS[org].encode())
            self.whole += 1
        finally:
            writer.transport.abort()

    async def _look_at_a_part(self, reader: asyncio.StreamReader, nonce: bytes, key: bytes) -> None:
        try:
            async with asyncio.timeout(self._dice.random() * 0.01):
                self._compare(await reader.readexactly(self._dice.randint(1, 3000)), nonce, key)
        except TimeoutError:
            pass  # it gives up before anything came
        except asyncio.IncompleteReadError as whole_answer:
            self._compare(whole_answer.partial, nonce, key)

    def _compare(self, data: bytes, nonce: bytes, key: bytes) -> None:
        others = [other.encode() for other in ORGS.values() if other.encode() != key]
        body = data.partition(b"\r\n\r\n")[2]
        named = {piece.rpartition(b" ")[2] for piece in body.split(b";")[:-1]} - {b""}
        self.mixed_up += any(other in data for other in others) or not named <= {nonce}


async def _assert_nothing_is_left(run_relay: RunRelay, aborts: int) -> None:
    # Nothing is opened ahead of requests: it would come while what is left is counted.
    gateway = await run_relay(warm_upstreams_per_endpoint=0)
    crowd = Crowd(gateway.port, aborts)
    keys = frozenset(key.encode() for key in ORGS.values())
    async with ScriptedUpstream(keys=keys, respond=crowd.answer) as upstream:
        for org, key in ORGS.items():
            gateway.set_up(f"http://localhost:{upstream.port}/v1", org=org, key=key)
        files, tasks = _open_files(), len(asyncio.all_tasks())
        for start in range(0, aborts, AT_ONCE):
            await asyncio.gather(*(crowd.one(number) for number in range(start, start + AT_ONCE)))
        await gateway.settled(lambda: not gateway.relay.connection_limits.connections)
        assert crowd.mixed_up == 0
        assert crowd.whole > aborts / 10
        assert crowd.given_up > aborts / 2
        assert gateway.relay.connection_limits._orgs == {}
        await gateway.settled(lambda: len(gateway.relay.parts.tasks) == 0)
        owners: dict[int, set[bytes]] = {}
        for received in upstream.requests:
            owners.setdefault(received.connection, set()).update(received.credentials)
        assert all(len(owner) == 1 for owner in owners.values())
        gateway.relay.parts.pool.close()
        await gateway.settled(lambda: upstream.closed == upstream.accepted)
        gc.collect()
        await gateway.settled(lambda: _open_files() <= files + 2)
        await gateway.settled(lambda: len(asyncio.all_tasks()) <= tasks)
    booked = [record.outcome for record in gateway.books.records]
    assert booked.count("answered") >= crowd.whole
    assert set(booked) <= {"answered", "client_gone"}


async def test_random_aborts_of_two_orgs_at_one_host_name_leave_nothing_and_mix_nothing(
    run_relay: RunRelay,
) -> None:
    await _assert_nothing_is_left(run_relay, ABORTS)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
async def test_twenty_thousand_random_aborts_leave_nothing_and_mix_nothing(run_relay: RunRelay) -> None:
    await _assert_nothing_is_left(run_relay, NIGHTLY_ABORTS)
