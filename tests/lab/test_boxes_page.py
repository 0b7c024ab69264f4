"""The lines of `make boxes` and of docs/boxes.md, run as written: entering, attaching, calling, detaching."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.agent.node import Node
from tests.support.gateway import clean_environment
from tests.support.laboratory import need_a_laboratory
from tests.support.servers.process import short_folder
from tools.guest import guest

pytestmark = [pytest.mark.xdist_group("laboratory"), pytest.mark.timeout(600)]
ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "boxes.md").read_text()
START_SECONDS: Final = 180.0
RUN_SECONDS: Final = 60.0
LAST_LINE: Final = "Ctrl-C ends everything."
REST: Final = "/run/aigw-node-agent/agent.sock"
"""Of the page; tests put their own in its place, and their own names in place of `box-7`."""

QEMU_GOES_ON: Final = "-M none -display none -serial none -monitor stdio <<<quit"
"""In place of the page's `…`: QEMU accepts the line, and ends."""


def shell(script: str) -> str:
    """Run lines as a person types them; give the output. They must succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        env=clean_environment(),
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def block(kind: str, start: str) -> str:
    """Give the page's only block of this kind with this start."""
    found = [
        text
        for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        if language == kind and text.startswith(start)
    ]
    assert len(found) == 1, f"{len(found)} blocks start with {start!r}"
    return str(found[0])


@contextmanager
def make_boxes(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the program behind `make boxes`; give its process and the printed lines."""
    log = folder / "printed"
    with log.open("wb") as out:
        process = subprocess.Popen(
            # A shell starts its background jobs with SIGINT ignored, and a program inherits that.
            ["env", "--default-signal=INT", sys.executable, "-m", "tools.boxes"],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            env=clean_environment(TMPDIR=str(folder)),
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while LAST_LINE not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process, log.read_text()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(RUN_SECONDS)


def processes_of(folder: Path) -> list[str]:
    """Give the command lines that name the folder, or one of its files."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes()
            if f"{folder}/".encode() in line:
                found.append(line.replace(b"\0", b" ").decode())
    return found


def test_the_lines_of_make_boxes_enter_every_box_and_ctrl_c_leaves_nothing_behind() -> None:
    need_a_laboratory()
    folder = short_folder("make")
    with make_boxes(folder) as (process, printed):
        shells = re.findall(r"^Box (\S+) of org (\S+)\. A shell in it:  (.+)$", printed, re.MULTILINE)
        assert [name for name, _, _ in shells] == ["demo-1", "demo-2", "second-1", "second-2"]
        for name, org, line in shells:
            shown = shell(f"{line} -c 'curl -sS http://10.0.2.2:1000/run9/ai/'")
            assert re.search(rf"^Box +{name}$", shown, re.MULTILINE), shown
            assert f"({org})" in shown
        known, called = re.findall(r"^  (ip netns exec .+)$", printed, re.MULTILINE)
        assert "OpenAI: ON" in shell(known)
        answer: dict[str, Any] = json.loads(shell(called))
        assert "You wrote: Who am I?" in answer["choices"][0]["message"]["content"]
        (listing,) = re.findall(r"^Agent +(curl .+)$", printed, re.MULTILINE)
        assert len(json.loads(shell(listing))["boxes"]) == 4
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does to every process of the foreground
        assert process.wait(RUN_SECONDS) == 0
    spaces = re.findall(r"ip netns exec (\S+) ", printed)
    assert not set(spaces) & set(shell("ip netns list").split())
    assert processes_of(folder) == []
    assert [path.name for path in folder.iterdir()] == ["printed"]


async def refused_in(box: list[str]) -> bool:
    """Whether nothing accepts at the box's address any more."""
    asked = await asyncio.create_subprocess_exec(
        *box, "curl", "-sS", "-m", "20", "http://10.0.2.2:1000/", stderr=asyncio.subprocess.DEVNULL
    )
    return await asked.wait() != 0


async def test_the_pages_shell_lines_attach_a_box_start_qemu_and_detach_the_box(node: Node) -> None:
    name = f"box-7-{os.getpid()}"

    def ours(text: str) -> str:
        return text.replace(REST, str(node.agent.socket)).replace("box-7", name).replace("…", QEMU_GOES_ON)

    attach = ours(block("sh", "ip netns add box-7"))
    detach, deleted = ours(block("sh", "curl --unix-socket")).strip().splitlines()
    assert attach.count(name) >= 5
    try:
        await asyncio.to_thread(shell, attach)
        with guest(node.folder, name) as box:
            found = await asyncio.to_thread(box.run, ["curl", "-sS", "http://10.0.2.2:1000/"])
            assert json.loads(found) == {"org": "acme", "box": name, "life": "boot-1"}
            await asyncio.to_thread(shell, detach)
            assert await refused_in(box.command([]))
        assert (await node.rest.client.get(f"/v1/boxes/{name}")).status_code == 404
    finally:
        await asyncio.to_thread(shell, deleted)
    assert name not in (await asyncio.to_thread(shell, "ip netns list")).split()


async def test_the_pages_python_attaches_a_box_and_detaches_the_box(node: Node) -> None:
    name = f"box-7-py-{os.getpid()}"
    await asyncio.to_thread(shell, f"ip netns add {name} && ip -n {name} link set lo up")
    try:
        with guest(node.folder, name) as box:
            text = block("python", "import httpx").replace(REST, str(node.agent.socket))
            before, _, after = text.replace("box-7", name).partition("# … the box runs …\n")
            assert before
            assert after
            values: dict[str, Any] = {}
            await asyncio.to_thread(exec, before, values)
            found = await asyncio.to_thread(box.run, ["curl", "-sS", "http://10.0.2.2:1000/"])
            assert json.loads(found) == {"org": "acme", "box": name, "life": "boot-1"}
            await asyncio.to_thread(exec, after, values)
            values["agent"].close()
            assert await refused_in(box.command([]))
        assert (await node.rest.client.get(f"/v1/boxes/{name}")).status_code == 404
    finally:
        await asyncio.to_thread(shell, f"ip netns del {name}")


async def test_the_pages_guestfwd_line_brings_a_box_to_its_socket(node: Node) -> None:
    path = f"{node.folder}/7.sock"
    await node.rest.attached("a", "acme", {"unix": path})
    line = block("", "-netdev user,").strip()
    user = line.removeprefix("-netdev user,id=net0,")
    assert user != line
    user = user.replace("/usr/bin/aigw", str(Path(sys.executable).with_name("aigw")))
    name = f"box-7-fwd-{os.getpid()}"
    await asyncio.to_thread(shell, f"ip netns add {name} && ip -n {name} link set lo up")
    try:
        with guest(node.folder, name, user=user.replace("/run/boxes/7.sock", path)) as box:
            found = await asyncio.to_thread(box.run, ["curl", "-sS", "http://10.0.2.2:1000/"])
            assert json.loads(found) == {"org": "acme", "box": "a", "life": "1"}
    finally:
        await asyncio.to_thread(shell, f"ip netns del {name}")
