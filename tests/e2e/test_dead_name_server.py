"""A data plane whose name server does not answer: it still ends at once when it is asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.commands import AIGW
from tests.support.feed_keys import FEED_KEY
from tests.support.gateway import clean_environment
from tests.support.servers.tools import find_program, missing

END_SECONDS = 12.0
"""Below the 20 s that the system's resolver takes for one name, and far below them for a search list."""

NAMESPACE = """
ip link set lo up
ip link add nowhere type veth peer name void
ip addr add 192.0.2.2/24 dev nowhere
ip link set nowhere up
ip link set void up
ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev nowhere
mount --bind "$1" /etc/resolv.conf
shift
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_a_data_plane_ends_at_once_while_its_name_server_is_dead(tmp_path: Path) -> None:
    if find_program("ip") is None:
        missing("iproute2")
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.1\nsearch a.invalid b.invalid c.invalid\noptions ndots:5\n")
    log = tmp_path / "log"
    environment = clean_environment(
        AIGW_ENVIRONMENT="development",
        AIGW_INTERNAL_TOKEN="a-token-for-this-test",
        AIGW_CONTROL_PLANE_INTERNAL_URL="http://control-plane.invalid:9902",
        AIGW_EVENT_BUS_URL="redis://aigw-data-plane@redis.invalid:6379/0",
        AIGW_FEED_KEY=FEED_KEY,
        AIGW_SECRET_STORE_URL="vault://vault.invalid:8200/aigw?auth=token",
        AIGW_VAULT_CREDENTIAL="a-token-for-this-test",
        AIGW_BOX_PORT="0",
        AIGW_ADMIN_PORT="0",
    )
    command = ["unshare", "--net", "--mount", "sh", "-ec", NAMESPACE, "sh", str(resolver)]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, *AIGW, "data-plane"], stdout=file, stderr=file, env=environment)
    try:
        _wait_for(log, "Data plane for boxes on ", process)
        time.sleep(2)  # by then every part is in the middle of a look-up
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_SECONDS) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _wait_for(log: Path, words: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while words not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
