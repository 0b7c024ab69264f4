"""The test of a saved key, from the REST interface to the provider, each plane in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from aigw.embedded.banner import MEMBER
from tests.support.answers import json_answer
from tests.support.canary import Canary
from tests.support.control_plane import ControlPlane
from tests.support.planes_apart import PLATFORM_TOKEN, PlanesApart
from tests.support.scripted_upstream import Answer, Close, ReceivedRequest, ScriptedUpstream

MODELS = {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}
STATUS_OF = {
    "good": ("valid", ["ok", "skipped", "ok", "ok"]),
    "refused": ("invalid", ["ok", "skipped", "failed", "skipped"]),
    "down": ("unknown", ["ok", "skipped", "unknown", "skipped"]),
    "gone": ("unknown", ["ok", "skipped", "unknown", "skipped"]),
}


class Provider:
    """Answers by its mood, and always says the received key."""

    def __init__(self) -> None:
        self.mood = "good"

    def __call__(self, request: ReceivedRequest) -> Answer:
        said = {"error": {"message": f"you sent {request.credentials}"}}
        match self.mood:
            case "good":
                return json_answer(MODELS | said)
            case "refused":
                return json_answer(said, status="401 Unauthorized")
            case "down":
                return json_answer(said, status="500 Internal Server Error")
            case _:
                return (Close(),)


class Owner:
    """An owner's tests of one org's OpenAI key; no answer may hold a canary."""

    def __init__(self, control_plane: ControlPlane, org: str, canary: Canary) -> None:
        self._control_plane = control_plane
        self._path = f"/orgs/{org}/ai-integrations/openai"
        self._canary = canary

    async def test(self, token: str | None = None, **body: str) -> httpx.Response:
        head = {"authorization": f"Bearer {token or self._control_plane.owner_token}"}
        answer = await self._control_plane.client.post(f"{self._path}/test", json=body, headers=head)
        assert self._canary.found_in(answer.content + repr(answer.headers).encode(), "answer") == []
        return answer

    async def found(self) -> dict[str, Any]:
        answer = await self.test()
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert found["tested"] == "stored"
        return found

    async def traffic(self) -> Any:
        head = {"authorization": f"Bearer {self._control_plane.owner_token}"}
        answer = await self._control_plane.client.get(f"{self._path}/rollout", headers=head)
        return answer.raise_for_status().json()["traffic"]


@asynccontextmanager
async def both_planes(planes: PlanesApart) -> AsyncIterator[ControlPlane]:
    with planes.plane("data-plane"), planes.plane("control-plane"):
        async with planes.rest() as control_plane:
            await planes.data_plane_is_ready()
            yield control_plane
    await asyncio.to_thread(planes.data.close)


async def add_member(control_plane: ControlPlane, org: str) -> None:
    head = {"authorization": f"Bearer {PLATFORM_TOKEN}"}
    path = f"/orgs/{org}/members/{MEMBER}"
    (await control_plane.client.put(path, json={"role": "member"}, headers=head)).raise_for_status()


def check_logs(planes: PlanesApart, canary: Canary) -> None:
    for log in planes.logs:
        text = log.read_bytes()
        assert b"Traceback" not in text
        assert canary.found_in(text, log.name) == []


async def test_a_saved_key_is_tested_by_the_data_plane_and_shown_nowhere(tmp_path: Path) -> None:
    canary, provider = Canary(), Provider()
    planes = PlanesApart.in_folder(tmp_path)
    upstream = ScriptedUpstream(keys=frozenset({canary.text.encode()}), respond=provider)
    async with upstream, both_planes(planes) as control_plane:
        org = await control_plane.new_org()
        owner = Owner(control_plane, org, canary)
        nothing = await owner.test()
        assert (nothing.status_code, nothing.json()["errors"][0]["pointer"]) == (422, "#/api_key")

        await control_plane.set_up(org, "openai", canary.text, f"{upstream.origin}/v1")
        for mood, (verdict, statuses) in STATUS_OF.items():
            provider.mood = mood
            found = await owner.found()
            assert (found["verdict"], [step["status"] for step in found["steps"]]) == (verdict, statuses)
            assert (found["endpoint"], found["key_last4"]) == (f"{upstream.origin}/v1", canary.text[-4:])

        provider.mood = "good"
        await control_plane.switch(org, "openai", enabled=False)
        assert (await owner.found())["verdict"] == "valid"

        await add_member(control_plane, org)
        before = len(upstream.requests)
        assert (await owner.test(planes.member_token)).status_code == 403
        elsewhere = await owner.test(endpoint="http://127.0.0.1:1/v1")
        assert (elsewhere.status_code, elsewhere.json()["errors"][0]["pointer"]) == (422, "#/api_key")
        await control_plane.clear(org, "openai")
        cleared = await owner.test()
        assert (cleared.status_code, cleared.json()["errors"][0]["pointer"]) == (422, "#/api_key")
        assert len(upstream.requests) == before
        assert await owner.traffic() == {"accepted_at": None, "rejected_at": None}
    assert {request.target for request in upstream.requests} == {b"/v1/models"}
    check_logs(planes, canary)
    assert f"the stored openai key of org {org} was tested: dns ok" in planes.logs[0].read_text()


async def test_without_a_data_plane_the_answer_says_so_and_a_typed_key_is_tested_all_the_same(
    tmp_path: Path,
) -> None:
    canary = Canary()
    planes = PlanesApart.in_folder(tmp_path)
    upstream = ScriptedUpstream(keys=frozenset({canary.text.encode()}), respond=Provider())
    async with upstream:
        with planes.plane("control-plane"):
            async with planes.rest() as control_plane:
                org = await control_plane.new_org()
                owner = Owner(control_plane, org, canary)
                await control_plane.set_up(org, "openai", canary.text, f"{upstream.origin}/v1")
                answer = await owner.test()
                assert (answer.status_code, answer.json()["reason"]) == (503, "no_answer")
                assert "AIGW_DATA_PLANE_ADMIN_URL" in answer.json()["detail"]
                typed = await owner.test(api_key=canary.text)
                assert (typed.json()["verdict"], typed.json()["tested"]) == ("valid", "typed")
        await asyncio.to_thread(planes.data.close)
    check_logs(planes, canary)
