"""Real SDKs in a guest with the four lines of the README, through the whole gateway, once for each way in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from shared.providers import DEFAULT_OFFER, PROVIDERS
from tests.support.gateway import Gateway, clean_environment
from tests.support.laboratory import need_a_laboratory
from tests.support.node_agent import Agent
from tests.support.servers.process import short_folder
from tools.guest import guest, namespace

pytestmark = [pytest.mark.xdist_group("laboratory"), pytest.mark.timeout(900)]
PROGRAM = Path(__file__).parent / "programs" / "sdks.py"
SECONDS = 180.0
FOUR_LINES = {
    "OPENAI_BASE_URL": PROVIDERS["openai"].local_base_url,
    "OPENAI_API_KEY": "run9-placeholder",
    "ANTHROPIC_BASE_URL": PROVIDERS["anthropic"].local_base_url,
    "ANTHROPIC_AUTH_TOKEN": "run9-placeholder",
}


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway in header mode which also reads prefaces, and an agent in front of the gateway."""

    gateway: Gateway
    agent: Agent

    def attach(self, box: str, listen: dict[str, str]) -> None:
        transport = httpx.HTTPTransport(uds=str(self.agent.socket))
        with httpx.Client(transport=transport, base_url="http://agent", timeout=30) as client:
            body = {"org": "demo", "lifecycle_id": "1", "listen": listen}
            client.put(f"/v1/boxes/{box}", json=body).raise_for_status()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_a_laboratory()
    folder = short_folder("lab")
    boxes = folder / "boxes.sock"
    options = ("--identity-mode", "header", "--preface-socket", str(boxes), "--demo-pace-ms", "1")
    with Gateway(tmp_path_factory.mktemp("gateway"), options=options) as gateway:
        key_file, kid = gateway.ready["node_key_file"], gateway.ready["node_kid"]
        changed = {"AIGW_AGENT_NODE_KEY_FILE": key_file, "AIGW_AGENT_KID": kid}
        agent = Agent(folder, (f"unix://{boxes}={gateway.ready['admin_url']}",), changed)
        try:
            agent.start()
            yield Site(gateway, agent)
        finally:
            agent.process.close()


@contextmanager
def way_in(site: Site, way: str) -> Iterator[list[str]]:
    """Attach a box by this way; give the command prefix for programs in the box."""
    with ExitStack() as stack:
        outer = stack.enter_context(namespace("host"))
        path, user = f"{site.agent.folder}/{way}.sock", ""
        if way == "guestfwd":
            pipe = Path(sys.executable).with_name("aigw")
            user = f"restrict=on,host=10.0.2.9,guestfwd=tcp:10.0.2.2:1000-cmd:{pipe} box-pipe {path}"
            site.attach(way, {"unix": path})
        else:
            site.attach(way, {"netns": outer, "address": "127.0.0.1:1000"})
        yield stack.enter_context(guest(site.agent.folder, outer, user=user)).command([])


def run(box: list[str], command: list[str]) -> str:
    done = subprocess.run(
        [*box, *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=clean_environment(**FOUR_LINES),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("way", ["namespace", "guestfwd"])
def test_both_sdks_work_in_a_box_with_the_four_lines_alone(site: Site, way: str) -> None:
    with ExitStack() as stack:
        box = stack.enter_context(way_in(site, way))
        printed = run(box, [sys.executable, str(PROGRAM)])
    assert json.loads(printed.splitlines()[-1]) == {"openai": True, "anthropic": True, "streamed": True}


def test_no_key_of_the_org_is_in_the_box_the_agents_memory_or_on_its_disk(site: Site) -> None:
    keys = [(site.gateway.data_dir / f"demo-{name}-key").read_bytes().strip() for name in DEFAULT_OFFER]
    with ExitStack() as stack:
        box = stack.enter_context(way_in(site, "namespace"))
        seen = run(box, [sys.executable, str(PROGRAM)]).encode()
        memory = b"".join(memory_of(site.agent.pid))
    disk = b"".join(path.read_bytes() for path in site.agent.folder.rglob("*") if path.is_file())
    # The search finds what is there: the agent's memory holds the box's name and its own settings.
    assert site.gateway.ready["node_kid"].encode() in memory
    for key in keys:
        for place in (seen, memory, disk):
            assert key not in place


def memory_of(pid: int) -> Iterator[bytes]:
    """Give every readable and private part of a process's memory."""
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, _, end = place.partition("-")
                memory.seek(int(start, 16))
                try:
                    yield memory.read(int(end, 16) - int(start, 16))
                except OSError:
                    continue
