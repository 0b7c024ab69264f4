"""Another user of the node at the agent's REST socket."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Final

from tests.agent.node import Node
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
