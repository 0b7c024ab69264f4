"""Boxes of several orgs at one address, through real QEMU: each is known by its own identity."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from tests.agent.node import Node
from tests.lab.conftest import Form
from tests.support.servers.tools import find_program, missing
from tools.guest import Guest, guest, namespace

pytestmark = [pytest.mark.xdist_group("laboratory"), pytest.mark.timeout(3600)]
PROGRAMS = Path(__file__).parent / "programs"
RUN_SECONDS = 1800
IN_NAMESPACE = {"address": "127.0.0.1:1000"}


async def run(box: Guest, *arguments: object) -> str:
    return await asyncio.to_thread(box.run, [sys.executable, *arguments], RUN_SECONDS)


async def test_every_box_of_every_org_is_answered_as_itself(node: Node, form: Form) -> None:
    with ExitStack() as stack:
        boxes: dict[str, tuple[str, Guest]] = {}
        for number in range(form.boxes):
            outer = stack.enter_context(namespace("host"))
            name, org = f"box-{number}", f"org-{number % form.orgs}"
            await node.rest.attached(name, org, {"netns": outer, **IN_NAMESPACE})
            boxes[name] = org, stack.enter_context(guest(node.folder, outer))
        each = form.requests // form.boxes
        printed = await asyncio.gather(
            *(run(box, PROGRAMS / "caller.py", org, name, each) for name, (org, box) in boxes.items())
        )
    results = [json.loads(text) for text in printed]
    counts: Counter[str] = sum((Counter(result["counts"]) for result in results), Counter())
    assert counts["wrong"] == 0
    assert counts["failed"] == 0, [result["failures"] for result in results]
    assert counts["right"] >= form.boxes * each
    assert sum(plane.refused for plane in node.planes) == 0


async def test_a_guest_finds_exactly_one_open_port(node: Node, form: Form) -> None:
    with namespace("host") as outer, guest(node.folder, outer) as box:
        await node.rest.attached("a", "acme", {"netns": outer, **IN_NAMESPACE})
        first, last = form.ports
        assert json.loads(await run(box, PROGRAMS / "scan.py", "10.0.2.2", first, last)) == [1000]
        assert json.loads(await run(box, PROGRAMS / "scan.py", "fec0::2", first, last)) == []


@pytest.mark.parametrize(
    "pipe",
    [f"{Path(sys.executable).with_name('aigw')} box-pipe ", "socat - UNIX-CONNECT:"],
    ids=["box-pipe", "socat"],
)
async def test_through_guestfwd_a_box_reaches_its_socket_and_nothing_else(
    node: Node, form: Form, pipe: str
) -> None:
    if pipe.startswith("socat") and find_program("socat") is None:
        missing("socat")
    path = f"{node.folder}/a.sock"
    await node.rest.attached("a", "acme", {"unix": path})
    user = f"restrict=on,host=10.0.2.9,guestfwd=tcp:10.0.2.2:1000-cmd:{pipe}{path}"
    with namespace("host") as outer, guest(node.folder, outer, user=user) as box:
        result = json.loads(await run(box, PROGRAMS / "caller.py", "acme", "a", 60))
        assert result["counts"] == {"right": result["counts"]["right"]}, result["failures"]
        first, last = form.ports
        assert json.loads(await run(box, PROGRAMS / "scan.py", "10.0.2.2", first, last)) == [1000]
        assert json.loads(await run(box, PROGRAMS / "scan.py", "10.0.2.9", first, min(last, 2_000))) == []


async def test_a_clone_is_known_as_itself_while_the_parents_stream_goes_on(node: Node) -> None:
    async with AsyncExitStack() as stack:
        parent, child = (stack.enter_context(namespace("host")) for _ in range(2))
        await node.rest.attached("parent", "acme", {"netns": parent, **IN_NAMESPACE})
        first = stack.enter_context(guest(node.folder, parent))
        reading = await asyncio.create_subprocess_exec(
            *first.command(["curl", "-sSN", "http://10.0.2.2:1000/stream"]), stdout=asyncio.subprocess.PIPE
        )
        assert reading.stdout is not None
        await reading.stdout.readuntil(b"data: 5\n")
        await node.rest.attached("child", "acme", {"netns": child, **IN_NAMESPACE}, life="2")
        second = stack.enter_context(guest(node.folder, child))
        found = json.loads(await asyncio.to_thread(second.run, ["curl", "-sS", "http://10.0.2.2:1000/"]))
        assert found == {"org": "acme", "box": "child", "life": "2"}
        await reading.stdout.readuntil(b"data: 50\n")
        assert (await node.rest.box("parent"))["connections"] == 1
        reading.kill()
        await reading.wait()
