"""Boxes that come and go on the same ids, namespaces and ports, under load: no wrong answer, nothing left."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.node_agent.listeners.namespace import socket_inside
from tests.agent.node import Node
from tests.lab.conftest import Form
from tests.support.node_agent import Rest
from tests.support.polling import eventually
from tools.guest import namespace

pytestmark = [pytest.mark.xdist_group("laboratory"), pytest.mark.timeout(7200)]
SLOTS = 4
ORGS = 5
REQUEST = b"GET / HTTP/1.1\r\nhost: 10.0.2.2:1000\r\n\r\n"
ADDRESS = ("127.0.0.1", 1000)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def answered(netns: str) -> bytes | None:
    """Call from inside the namespace; None where the connection was refused or reset."""
    made = await asyncio.to_thread(
        socket_inside, netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    )
    made.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(made, ADDRESS)
        await loop.sock_sendall(made, REQUEST)
        return await loop.sock_recv(made, 4096) or None
    except OSError:
        return None
    finally:
        made.close()


class Slot:
    """One namespace in which boxes of different orgs follow each other, all with the same id and port.

    `allowed` is whose answers are right now: while a box is replaced, its own and its successor's are.
    """

    def __init__(self, rest: Rest, netns: str, name: str, counts: Counter[str]) -> None:
        self._rest = rest
        self._netns = netns
        self._name = name
        self._counts = counts
        self._allowed: set[bytes] = set()
        self._done = False

    async def live(self, lives: Iterator[int]) -> None:
        """Attach and detach one life after the other."""
        for number in lives:
            org, life = f"org-{number % ORGS}", f"life-{number}"
            mine = b'"org": "%b", "box": "%b", "life": "%b"' % (
                org.encode(),
                self._name.encode(),
                life.encode(),
            )
            self._allowed.add(mine)
            await self._rest.attached(
                self._name, org, {"netns": self._netns, "address": "127.0.0.1:1000"}, life=life
            )
            self._allowed &= {mine}  # nothing of an earlier life is right once this is attached
            self._judge(await answered(self._netns), must_answer=True)
            if number % 2:
                assert await self._rest.detach(self._name, life=life) == 204
                self._allowed.clear()
                self._judge(await answered(self._netns))
        self._done = True

    async def call(self) -> None:
        """Call all the time, also while boxes change."""
        while not self._done:
            before = set(self._allowed)
            found = await answered(self._netns)
            self._judge(found, allowed=before | self._allowed)
            await asyncio.sleep(0.01)

    def _judge(
        self, found: bytes | None, *, must_answer: bool = False, allowed: set[bytes] | None = None
    ) -> None:
        possible = self._allowed if allowed is None else allowed
        if found is None:
            self._counts["missing" if must_answer else "refused"] += 1
        else:
            self._counts["right" if any(one in found for one in possible) else "wrong"] += 1


async def test_no_answer_is_ever_of_another_life_and_nothing_is_left_behind(node: Node, form: Form) -> None:
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        spaces = [stack.enter_context(namespace("churn")) for _ in range(SLOTS)]
        await node.rest.attached("warm", "acme", {"netns": spaces[0], "address": "127.0.0.1:999"})
        assert await node.rest.detach("warm") == 204
        before = descriptors(node.agent.pid)
        async with node.agent.rest() as rest:  # its connections are gone when descriptors are counted again
            slots = [Slot(rest, space, f"box-{number}", counts) for number, space in enumerate(spaces)]
            lives = iter(range(form.churn))
            await asyncio.gather(*(slot.live(lives) for slot in slots), *(slot.call() for slot in slots))
            for number in range(SLOTS):
                found = await rest.client.get(f"/v1/boxes/box-{number}")
                if found.status_code == 200:
                    assert await rest.detach(f"box-{number}", life=found.json()["lifecycle_id"]) == 204
    assert counts["wrong"] == 0
    assert counts["missing"] == 0
    assert counts["right"] >= form.churn

    async def is_given_back() -> bool:
        # Besides, a health check of each data plane keeps its connection.
        return descriptors(node.agent.pid) <= before + len(node.planes)

    await eventually(is_given_back, "the agent holds no descriptor of a box that is gone")
    assert (await node.rest.client.get("/v1/boxes")).json() == {"boxes": []}
