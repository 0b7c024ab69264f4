"""Another user of the node at the agent's REST socket."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from services.node_agent.rest.peers import PeerProtocol
from shared.health_routes import add_health_routes
from shared.listener import bind_unix, serve
from shared.tasks import TaskSet
from tests.agent.node import Node
from tests.support.servers.process import short_folder
from tests.support.servers.tools import missing

STRANGER: Final = 65_534
ATTACH: Final = {"org": "acme", "lifecycle_id": "1", "listen": {"address": "127.0.0.1:1"}}


def called_as(user: int, socket: Path, *arguments: str) -> tuple[int, str]:
    """Call by curl as a user; give the status and the body."""
    done = subprocess.run(
        ["curl", "-sS", "--unix-socket", str(socket), "-w", "\n%{http_code}", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        user=user,
        group=user,
        extra_groups=[],
        cwd="/",
    )
    body, _, status = done.stdout.rpartition("\n")
    assert done.returncode == 0, done.stderr
    return int(status), body


async def test_another_user_is_refused_even_where_the_socket_lets_everybody_connect(node: Node) -> None:
    if os.geteuid() != 0:
        missing("root", "run the tests as root: another user is needed")
    node.folder.chmod(0o755)
    node.agent.socket.chmod(0o666)
    for arguments in (
        ["http://agent/v1/boxes"],
        ["http://agent/livez"],
        ["-X", "PUT", "http://agent/v1/boxes/a", "-d", json.dumps(ATTACH)],
        ["-X", "DELETE", "http://agent/v1/boxes/a?lifecycle_id=1"],
    ):
        status, body = await asyncio.to_thread(called_as, STRANGER, node.agent.socket, *arguments)
        assert status == 403
        assert "Call as one of the two" in json.loads(body)["detail"]
    status, body = await asyncio.to_thread(called_as, 0, node.agent.socket, "http://agent/v1/boxes")
    assert (status, json.loads(body)) == (200, {"boxes": []})
    assert f"a call of user {STRANGER} to the REST socket was refused" in node.agent.process.log


async def test_a_call_that_has_connected_before_a_stop_is_answered() -> None:
    path, stop, is_up = short_folder("peers") / "rest.sock", asyncio.Event(), asyncio.Event()
    listener = bind_unix(str(path), 0o600, option="test")
    app = FastAPI()
    add_health_routes(app, ready=is_ready, not_ready="", exposition=nothing)
    tasks = TaskSet()
    serving = tasks.start(
        serve(app, listener, stop=stop, started=is_up.set, http=PeerProtocol, grace_seconds=60), "REST"
    )
    await is_up.wait()
    reader, writer = await asyncio.open_unix_connection(str(path))
    await asyncio.sleep(0.2)  # the server has the connection
    stop.set()
    await asyncio.sleep(0.5)  # and drains
    writer.write(b"GET /livez HTTP/1.1\r\nhost: agent\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer
    writer.close()
    await serving


async def is_ready() -> bool:
    return True


async def nothing() -> bytes:
    return b""
