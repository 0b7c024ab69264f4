"""`aigw up` writes its seed on a first and on a later start, and leaves a user's changes alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from aigw.embedded.data_dir import DataDir
from aigw.embedded.providers_wanted import Wanted
from aigw.embedded.seed import Seeder
from aigw.failures import UserError
from shared.secret import Secret

API = "http://cp/api/v1"
CARD = f"{API}/orgs/demo/ai-integrations/openai"
DEMO = Wanted("openai", "http://127.0.0.1:1/v1", Secret("sk-demo"), is_demo=True)
MOVED = Wanted("openai", "http://127.0.0.1:2/v1", Secret("sk-demo"), is_demo=True)
REAL = Wanted("openai", "https://api.openai.com/v1", Secret("sk-real"), is_demo=False)


def card(state: str, endpoint: str) -> dict[str, Any]:
    return {"provider": "openai", "state": state, "endpoint": endpoint, "revision": 7}


class ControlPlane:
    """A control plane with a single card."""

    def __init__(self, router: respx.MockRouter) -> None:
        self.card: dict[str, Any] = card("not_set_up", "https://api.openai.com/v1")
        self.puts: list[httpx.Request] = []
        router.get(CARD).mock(side_effect=self._get)
        router.put(CARD).mock(side_effect=self._put)
        router.get(f"{API}/orgs/demo").mock(side_effect=self._get_org)
        self.other_puts = router.put(url__startswith=API).respond(200, json={})

    def _get_org(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if self.other_puts.called else 404, json={})

    def _get(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=self.card, headers={"etag": f'"{len(self.puts)}"'})

    def _put(self, request: httpx.Request) -> httpx.Response:
        self.puts.append(request)
        body = json.loads(request.content)
        self.card = card("enabled", body["endpoint"])
        return httpx.Response(200, json=self.card)


@pytest.fixture
def control_plane() -> Iterator[ControlPlane]:
    with respx.mock(assert_all_called=False) as router:
        yield ControlPlane(router)


@pytest.fixture
def seeder(tmp_path: Path) -> Iterator[Seeder]:
    data = DataDir.open(tmp_path)
    yield Seeder("http://cp", Secret("platform"), Secret("owner"), data)
    data.close()


async def test_the_first_start_makes_org_people_node_and_card(
    control_plane: ControlPlane, seeder: Seeder
) -> None:
    (made_card,) = await seeder.seed([DEMO], {"kid": "local", "public_key": "k"})
    made = [call.request.url.path for call in control_plane.other_puts.calls]
    assert made == [
        "/api/v1/orgs/demo",
        "/api/v1/orgs/demo/members/owner@demo.example",
        "/api/v1/orgs/demo/members/member@demo.example",
        "/api/v1/nodes/local",
    ]
    (put,) = control_plane.puts
    assert json.loads(put.content) == {"api_key": "sk-demo", "endpoint": DEMO.endpoint, "enabled": True}
    assert (put.headers["if-match"], put.headers["authorization"]) == ('"0"', "Bearer owner")
    assert (made_card.provider, made_card.enabled, made_card.revision) == ("openai", True, 7)
    assert "demo provider" in made_card.note
    assert "sk-demo" not in made_card.note


async def test_the_same_start_again_writes_no_card(control_plane: ControlPlane, seeder: Seeder) -> None:
    await seeder.seed([DEMO], None)
    await seeder.seed([DEMO], None)
    assert len(control_plane.puts) == 1
    assert control_plane.other_puts.call_count == 3


async def test_a_demo_provider_on_another_port_is_followed(
    control_plane: ControlPlane, seeder: Seeder
) -> None:
    await seeder.seed([DEMO], None)
    await seeder.seed([MOVED], None)
    assert control_plane.card["endpoint"] == MOVED.endpoint


@pytest.mark.parametrize(
    "changed",
    [
        card("not_set_up", "https://api.openai.com/v1"),
        card("disabled", DEMO.endpoint),
        card("enabled", "https://mine.example/v1"),
    ],
)
async def test_what_the_user_changed_is_left_alone(
    control_plane: ControlPlane, seeder: Seeder, changed: dict[str, str]
) -> None:
    await seeder.seed([DEMO], None)
    control_plane.card = changed
    (left,) = await seeder.seed([MOVED], None)
    assert len(control_plane.puts) == 1
    assert "as it was left" in left.note
    assert left.enabled == (changed["state"] == "enabled")


async def test_the_users_own_options_win_and_stay_without_them(
    control_plane: ControlPlane, seeder: Seeder
) -> None:
    await seeder.seed([DEMO], None)
    await seeder.seed([REAL], None)
    assert control_plane.card["endpoint"] == REAL.endpoint
    await seeder.seed([DEMO], None)
    assert control_plane.card["endpoint"] == REAL.endpoint


async def test_a_refusal_is_told_in_the_control_planes_words(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path)
    with respx.mock as router:
        router.get(f"{API}/orgs/demo").respond(404)
        router.put(f"{API}/orgs/demo").respond(422, json={"detail": "The name is odd."})
        with pytest.raises(UserError, match=r"refused PUT /api/v1/orgs/demo \(422\): The name is odd"):
            await Seeder("http://cp", Secret("p"), Secret("o"), data).seed([], None)
    data.close()
