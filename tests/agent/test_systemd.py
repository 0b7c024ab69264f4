"""The agent's own units under a real systemd: kill, restart and reload refuse no connection."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from services.node_agent.listeners.namespace import socket_inside
from shared.tasks import TaskSet
from tests.agent.callers import Callers, streaming
from tests.support.node_agent import KID, Agent, PrefacedServer, Rest
from tests.support.polling import eventually
from tests.support.servers.process import free_port, short_folder
from tests.support.systemd import Systemd, need_systemd
from tools.guest import namespace

pytestmark = [pytest.mark.xdist_group("systemd"), pytest.mark.timeout(300)]
PROJECT: Final = Path(__file__).parents[2]
UNITS: Final = PROJECT / "deploy" / "systemd"
SERVICE: Final = "aigw-node-agent.service"
SOCKET: Final = "aigw-node-agent.socket"
REST_PATH: Final = "run/aigw-node-agent/agent.sock"
MOST_EXPOSURE: Final = 3.0
"""Of 10, by `systemd-analyze security`; 2.8 with systemd 252."""

THIS_MACHINE: Final = f"""
# The project and Python lie in folders that the unit hides or replaces: they alone are shown again.
[Service]
ExecStart=
ExecStart={sys.executable} -m aigw node-agent
WorkingDirectory=/
ProtectHome=tmpfs
BindReadOnlyPaths=BINDS
StandardOutput=append:/var/log/agent.log
StandardError=append:/var/log/agent.log
# A machine that withholds CAP_SYS_RESOURCE cannot raise the limit.
LimitNOFILE=4096
"""


@dataclass(frozen=True, slots=True)
class Site:
    """The service, its manager, a data plane and where a box listens."""

    manager: Systemd
    plane: PrefacedServer
    rest: Rest

    @property
    def main_pid(self) -> int:
        return int(self.manager.properties(SERVICE, "MainPID")["MainPID"])

    @property
    def stored(self) -> int:
        return int(self.manager.properties(SERVICE, "NFileDescriptorStore")["NFileDescriptorStore"])

    @property
    def log(self) -> str:
        """The log of every process of the service."""
        return agent_log(self.manager)

    def kill(self) -> None:
        """Kill the main process as a crash would."""
        self.manager.systemctl("kill", "--signal=SIGKILL", "--kill-who=main", SERVICE)

    async def starts_anew(self, former: int) -> None:
        """Wait until another main process serves."""

        async def serves() -> bool:
            found = self.manager.properties(SERVICE, "MainPID", "ActiveState")
            return found["MainPID"] not in {"0", str(former)} and found["ActiveState"] == "active"

        await eventually(serves, "another process serves", deadline_seconds=60)


def agent_log(manager: Systemd) -> str:
    """Give the log of every process of the service in this systemd."""
    log = manager.root / "var/log/agent.log"
    return log.read_text() if log.exists() else ""


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """Run the unit and socket files as they are delivered, with a drop-in for this machine's folders."""
    need_systemd()
    folder = short_folder("systemd")
    plane = PrefacedServer({})
    await plane.start()
    agent = Agent(folder, ())  # its key
    plane.keys = agent.public_keys
    try:
        with Systemd(folder, [PROJECT, Path(sys.base_prefix)]) as manager:
            for unit in (SERVICE, SOCKET):
                manager.write(f"/etc/systemd/system/{unit}", (UNITS / unit).read_text())
            manager.write(
                f"/etc/systemd/system/{SERVICE}.d/machine.conf", THIS_MACHINE.replace("BINDS", manager.binds)
            )
            settings = (
                f"AIGW_AGENT_KID={KID}\nAIGW_AGENT_TARGETS={plane.target}\nAIGW_AGENT_HEALTH_SECONDS=0.3\n"
            )
            manager.write("/etc/aigw/node-agent.env", settings)
            manager.write("/etc/aigw/node-key.pem", agent.key_file.read_text(), 0o600)
            manager.systemctl("daemon-reload")
            try:
                await asyncio.to_thread(manager.systemctl, "start", SERVICE)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{agent_log(manager)}") from None
            # Without kept connections: a process that ends may close one while a request is on its way.
            transport = httpx.AsyncHTTPTransport(
                uds=str(manager.root / REST_PATH), limits=httpx.Limits(max_keepalive_connections=0)
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=60) as client:
                yield Site(manager, plane, Rest(client))
    finally:
        await plane.stop()
        agent.process.close()


async def test_a_killed_agent_refuses_no_connection_because_systemd_keeps_its_listeners() -> None:
    async with site() as here:
        address = f"127.0.0.1:{free_port()}"
        await here.rest.attached("a", "acme", {"address": address})

        async def is_stored() -> bool:
            return here.stored == 1

        await eventually(is_stored, "systemd has the listener")
        callers = Callers(address)
        async with callers.calling():
            for _ in range(3):
                former = here.main_pid
                here.kill()
                await here.starts_anew(former)
                before = callers.answers["acme"]

                async def answers_go_on(before: int = before) -> bool:
                    return callers.answers["acme"] > before + 10

                await eventually(answers_go_on, "the box is served again", deadline_seconds=60)
        # Lost is what was in flight: at most one request of each of the four callers for each kill.
        assert len(callers.failures) <= 3 * 4
        assert not [failure for failure in callers.failures if "ConnectError" in failure]
        assert here.manager.properties(SERVICE, "NRestarts")["NRestarts"] == "3"
        assert here.stored == 1
        assert await here.rest.detach("a") == 204

        async def is_forgotten() -> bool:
            return here.stored == 0

        await eventually(is_forgotten, "systemd has closed its copy")


async def test_a_reload_is_an_upgrade_without_a_failed_request_or_a_cut_stream() -> None:
    async with site() as here:
        address = f"127.0.0.1:{free_port()}"
        await here.rest.attached("a", "acme", {"address": address})
        callers = Callers(address)
        async with callers.calling(), streaming(address) as goes_on:
            for _ in range(3):
                former = here.main_pid
                here.manager.systemctl("reload", SERVICE)
                await here.starts_anew(former)
                assert goes_on()
        assert callers.failures == []
        assert here.manager.properties(SERVICE, "NRestarts")["NRestarts"] == "0"
        assert here.stored == 1


async def test_a_restart_refuses_no_connection_and_rest_calls_wait() -> None:
    async with site() as here:
        address = f"127.0.0.1:{free_port()}"
        await here.rest.attached("a", "acme", {"address": address})
        callers = Callers(address)
        async with callers.calling():
            tasks = TaskSet()
            restarting = tasks.start(asyncio.to_thread(here.manager.systemctl, "restart", SERVICE), "restart")
            while not restarting.done():
                assert (await here.rest.client.get("/livez")).status_code == 200
                await asyncio.sleep(0.1)
            try:
                await restarting
            except AssertionError as error:
                raise AssertionError(f"{error}\n{here.log}") from None
        assert not [failure for failure in callers.failures if "ConnectError" in failure]
        assert (await here.rest.box("a"))["state"] == "listening"


async def test_the_hardened_service_listens_in_a_namespace_and_at_a_low_port() -> None:
    need_systemd()
    with ExitStack() as stack:
        outer = stack.enter_context(namespace("systemd"))
        async with site() as here:
            await here.rest.attached("a", "acme", {"netns": outer, "address": "127.0.0.1:1000"})

            def ask() -> bytes:
                import socket  # noqa: PLC0415  # for this function alone

                made = socket_inside(outer, lambda: socket.create_connection(("127.0.0.1", 1000), 20))
                with made:
                    made.sendall(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
                    return made.recv(4096)

            assert b'"org": "acme"' in await asyncio.to_thread(ask)


def test_the_units_are_without_a_fault_and_their_exposure_stays_low() -> None:
    need_systemd()
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(UNITS / SERVICE), str(UNITS / SOCKET)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    faults = [
        line
        for line in verified.stderr.splitlines()
        if "aigw-node-agent" in line and "/usr/bin/aigw is not executable" not in line
    ]
    assert faults == []
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNITS / SERVICE)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", scored.stdout)
    assert found is not None, scored.stdout + scored.stderr
    assert float(found[1]) <= MOST_EXPOSURE


def test_a_systemd_cannot_write_to_this_machine_and_leaves_nothing_behind() -> None:
    need_systemd()
    folder = short_folder("systemd")
    with Systemd(folder) as manager:
        assert manager.run("cat", "/proc/1/comm").strip() == "systemd"
        assert manager.group.exists()
        with pytest.raises(OSError, match="Read-only file system"):
            (manager.root / "var" / "probe").write_text("")
        assert list((manager.root / "tmp").glob("aigw-*")) == []
    assert not manager.group.exists()
