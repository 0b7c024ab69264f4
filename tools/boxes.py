"""`make boxes`: an embedded gateway, a node agent and boxes of two orgs on real QEMU networking.

Prints the commands for entering a box and calling a provider from there. Ctrl-C ends everything. Needs root.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tools.guest import Guest, guest, namespace

ORGS: Final = ("demo", "second")
BOXES_PER_ORG: Final = 2
PREFACE_SOCKET: Final = "boxes.sock"
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 20.0
_AIGW: Final = str(Path(sys.executable).with_name("aigw"))
_OWNER_ROLE: Final = {"role": "owner"}
_CALL: Final = (
    "curl -sS http://10.0.2.2:1000/run9/ai/openai/v1/chat/completions -H 'content-type: application/json' "
    '-d \'{"model": "demo", "messages": [{"role": "user", "content": "Who am I?"}]}\''
)


def main() -> None:
    """Start everything, print the commands, and wait for Ctrl-C."""
    missing = [program for program in ("ip", "qemu-system-x86_64") if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        sys.exit("make boxes needs root, iproute2 and qemu-system-x86 (make test-tools installs the two).")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # unwinds what follows, as Ctrl-C does
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="aigw-boxes-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ready = stack.enter_context(_gateway(folder))
        _set_up_second_org(ready, folder)
        rest = stack.enter_context(_agent(folder, ready))
        boxes = [
            stack.enter_context(_box(folder, rest, org, n)) for org in ORGS for n in range(BOXES_PER_ORG)
        ]
        print(_instructions(folder, ready, boxes))
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


@contextmanager
def _gateway(folder: Path) -> Iterator[dict[str, Any]]:
    ready_file = folder / "ready.json"
    command = [_AIGW, "up", "--identity-mode", "header", "--data-dir", str(folder / "data")]
    command += ["--ready-file", str(ready_file), "--port-base", "0"]
    command += ["--preface-socket", str(folder / PREFACE_SOCKET)]
    with _running("gateway", command, folder, ready_file.exists):
        yield json.loads(ready_file.read_text())


def _set_up_second_org(ready: dict[str, Any], folder: Path) -> None:
    """Give the second org the demo provider as well, by the platform's and an owner's REST calls."""
    platform = {"authorization": f"Bearer {ready['platform_token']}"}
    owner = {"authorization": f"Bearer {ready['owner_token']}"}
    second = ORGS[1]
    with httpx.Client(base_url=f"{ready['control_plane_url']}/api/v1", trust_env=False, timeout=20) as client:
        email = client.get("/me", headers=owner).raise_for_status().json()["email"]
        client.put(f"/orgs/{second}", json={"name": "Second"}, headers=platform).raise_for_status()
        path = f"/orgs/{second}/members/{email}"
        client.put(path, json=_OWNER_ROLE, headers=platform).raise_for_status()
        for provider in ("openai", "anthropic"):
            endpoint = client.get(f"/orgs/{ORGS[0]}/ai-integrations/{provider}", headers=owner).json()[
                "endpoint"
            ]
            key = (folder / "data" / f"demo-{provider}-key").read_text()
            path = f"/orgs/{second}/ai-integrations/{provider}"
            head = owner | {"if-match": client.get(path, headers=owner).headers["etag"]}
            body = {"api_key": key, "endpoint": endpoint, "enabled": True}
            client.put(path, json=body, headers=head).raise_for_status()


@contextmanager
def _agent(folder: Path, ready: dict[str, Any]) -> Iterator[httpx.Client]:
    path = folder / "agent.sock"
    environment = {
        **os.environ,  # noqa: TID251  # what a child process inherits is this tool's business
        "AIGW_AGENT_SOCKET": str(path),
        "AIGW_AGENT_FOLDER": str(folder / "agent"),
        "AIGW_AGENT_TARGETS": f"unix://{folder / PREFACE_SOCKET}={ready['admin_url']}",
        "AIGW_AGENT_NODE_KEY_FILE": ready["node_key_file"],
        "AIGW_AGENT_KID": ready["node_kid"],
    }
    with (
        _running("node-agent", [_AIGW, "node-agent"], folder, path.exists, environment),
        httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)), base_url="http://agent", timeout=30
        ) as client,
    ):
        yield client


@contextmanager
def _box(folder: Path, rest: httpx.Client, org: str, number: int) -> Iterator[tuple[str, str, Guest]]:
    name = f"{org}-{number + 1}"
    with namespace("host") as outer:
        listen = {"netns": outer, "address": "127.0.0.1:1000"}
        body = {"org": org, "lifecycle_id": "1", "listen": listen}
        rest.put(f"/v1/boxes/{name}", json=body).raise_for_status()
        with guest(folder, outer) as started:
            try:
                yield name, org, started
            finally:
                rest.delete(f"/v1/boxes/{name}", params={"lifecycle_id": "1"})


@contextmanager
def _running(
    name: str,
    command: list[str],
    folder: Path,
    is_ready: Callable[[], bool],
    environment: dict[str, str] | None = None,
) -> Iterator[None]:
    """Run a program with its output in a file, until the block ends."""
    log_file = folder / f"{name}.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"The {name} did not start:\n{log_file.read_text()}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()


def _instructions(folder: Path, ready: dict[str, Any], boxes: list[tuple[str, str, Guest]]) -> str:
    lines = [
        f"Portal    {ready['portal_sign_in_url'] or ready['portal_url']}",
        f"Agent     curl --unix-socket {folder}/agent.sock http://agent/v1/boxes",
        f"Logs      {folder}/*.log",
        "",
    ]
    for name, org, box in boxes:
        lines.append(f"Box {name} of org {org}. A shell in it:  ip netns exec {box.inner} bash")
    entered = f"ip netns exec {boxes[0][2].inner}"
    lines += [
        "",
        "Is it known?",
        f"  {entered} curl -sS http://10.0.2.2:1000/run9/ai/",
        "",
        "Call a provider:",
    ]
    lines += [f"  {entered} {_CALL}", "", "Ctrl-C ends everything."]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
