"""docker-compose.yml for real: from nothing to the streamed answer of its demo, and over restarts.

`make image` runs it (marker `full_image`), as root, after `make test-tools`.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.image.conftest import Build
from tests.support.compose import Compose

pytestmark = [
    pytest.mark.full_image,
    pytest.mark.xdist_group("containers"),
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]
RESTARTED = ("demo-provider", "redis", "postgres", "vault", "control-plane", "data-plane")
AGAIN_SECONDS = 90.0
BODY = json.dumps({"model": "demo", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()


@pytest.fixture(scope="module")
def compose(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    build("gateway")
    build("stand-ins")
    with Compose(tmp_path_factory.mktemp("compose")) as project:
        for name in project.in_order():
            project.start(name)
            if name == "vault-setup":
                project.is_healthy("vault")
        yield project
    assert project.left() == []


def stays(compose: Compose) -> list[str]:
    return [name for name, one in compose.services.items() if one["restart"] != "no"]


def streams(compose: Compose) -> None:
    """Be a program in a box, which tries again as SDKs do where the provider cannot be reached.

    A service that was restarted has another address, and an address is kept for 30 s.
    """
    url = f"http://127.0.0.1:{compose.ports['1000']}/run9/ai/openai/v1/chat/completions"
    head = {"content-type": "application/json", "host": "127.0.0.1:1000"}
    request = urllib.request.Request(url, BODY, head)  # the test's own address
    deadline, text = time.monotonic() + AGAIN_SECONDS, ""
    while not text:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # same
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code not in {502, 504} or time.monotonic() > deadline:
                raise
    assert text.count("data: ") > 3
    assert "[DONE]" in text


def test_the_demo_streams(compose: Compose) -> None:
    streams(compose)


def test_no_container_is_root_or_can_write_to_its_root(compose: Compose) -> None:
    for name in stays(compose):
        assert compose.inside(name, "id", "-u").stdout.strip() not in {"", "0"}, name
        written = compose.inside(name, "sh", "-c", "echo x > /written")
        assert "Read-only file system" in written.stderr, (name, written)
        assert compose.inspect(name)["EffectiveCaps"] in (None, []), name


def test_no_backend_is_published_and_the_gateway_is_on_loopback_alone(compose: Compose) -> None:
    for name in stays(compose):
        bound = compose.inspect(name)["HostConfig"]["PortBindings"]
        addresses = {one["HostIp"] for entries in bound.values() for one in entries or ()}
        assert addresses <= {"127.0.0.1"}, name
        assert bool(addresses) == (name in {"control-plane", "data-plane"}), name


@pytest.mark.parametrize("name", RESTARTED)
def test_after_a_restart_of_any_service_the_demo_streams_and_every_check_succeeds(
    compose: Compose, name: str
) -> None:
    compose.restart(name)
    if name == "vault":  # sealed, as after every start
        compose.start("vault-setup")
        compose.is_healthy("vault")
    streams(compose)
    for other in stays(compose):
        compose.is_healthy(other)
