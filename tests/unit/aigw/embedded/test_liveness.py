"""Nothing is announced before the data plane has applied the revision and reports each provider as on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx

from aigw.embedded.liveness import wait_until_live
from aigw.embedded.ready_file import Ready
from aigw.embedded.seed import Card
from aigw.node_key import NodeKey
from shared.box_token import read_public_key, verify
from shared.clock import unix_now

OPENAI = Card("", "openai", enabled=True, revision=7)
ANTHROPIC = Card("", "anthropic", enabled=False, revision=5)


def ready(node_key_file: Path | None = None) -> Ready:
    return Ready(
        portal_url="",
        control_plane_url="",
        admin_url="http://admin",
        org="demo",
        owner_token="",
        member_token="",
        platform_token="",
        base_urls={"openai": "http://box/run9/ai/openai/v1/", "anthropic": "http://box/run9/ai/anthropic"},
        node_key_file=str(node_key_file) if node_key_file else None,
        node_kid="local" if node_key_file else None,
    )


def metrics(revision: str) -> httpx.Response:
    return httpx.Response(200, text=f"# HELP aigw_config_revision x\naigw_config_revision {revision}\n")


def status(**states: str) -> httpx.Response:
    providers = [{"provider": name, "state": state} for name, state in states.items()]
    return httpx.Response(200, json={"providers": providers})


@pytest.fixture
def plane() -> Iterator[respx.MockRouter]:
    with respx.mock as router:
        yield router


async def test_it_waits_for_the_revision_and_for_every_enabled_provider(plane: respx.MockRouter) -> None:
    revisions = plane.get("http://admin/metrics").mock(
        side_effect=[httpx.Response(503), metrics("0.0"), metrics("6.0"), *[metrics("7.0")] * 3]
    )
    states = plane.get("http://box/run9/ai/").mock(
        side_effect=[httpx.Response(503), status(openai="loading"), status(openai="on", anthropic="off")]
    )
    await wait_until_live(ready(), [OPENAI, ANTHROPIC])
    assert (revisions.call_count, states.call_count) == (6, 3)
    assert "x-run9-box-token" not in states.calls.last.request.headers


async def test_in_header_mode_it_asks_as_a_box(plane: respx.MockRouter, tmp_path: Path) -> None:
    key = NodeKey.create(tmp_path / "node.pem")
    plane.get("http://admin/metrics").mock(return_value=metrics("7.0"))
    route = plane.get("http://box/run9/ai/").mock(return_value=status(openai="on"))
    await wait_until_live(ready(tmp_path / "node.pem"), [OPENAI])
    token = route.calls.last.request.headers["x-run9-box-token"]
    assert verify(token.encode(), {"local": read_public_key(key.public_text)}, unix_now()).org == "demo"
