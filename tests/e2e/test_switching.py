"""Disable, enable, clear and re-aim by REST: the next SDK call follows at once, and says whose turn it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import openai
import pytest

from tests.support.answers import chat_completion, json_answer
from tests.support.box_clients import OpenAIInBox
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway
from tests.support.polling import eventually
from tests.support.scripted_upstream import ScriptedUpstream

pytestmark = pytest.mark.xdist_group("header gateway")
KEY = "sk-key-of-the-org-000000001"


@dataclass(frozen=True, slots=True)
class Scene:
    """An org with OpenAI switched on, a client in one of its boxes, and its provider."""

    org: str
    client: openai.AsyncOpenAI
    upstream: ScriptedUpstream
    control_plane: ControlPlane
    gateway: Gateway

    async def ask(self) -> str | None:
        """Call once; give the error code of a refusal, else None."""
        try:
            await self.client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        except openai.BadRequestError as error:
            return error.code
        return None

    async def answers(self, code: str | None) -> bool:
        return await self.ask() == code


@pytest.fixture
async def scene(
    header_gateway: Gateway, control_plane: ControlPlane, openai_in_box: OpenAIInBox
) -> AsyncIterator[Scene]:
    org = await control_plane.new_org()
    answer = json_answer(chat_completion("hello"))
    async with ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=lambda _: answer) as upstream:
        await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
        client = openai_in_box(header_gateway.box_token(org))
        scene = Scene(org, client, upstream, control_plane, header_gateway)
        await eventually(lambda: scene.answers(None), "the first call succeeds")
        yield scene


async def test_disable_stops_the_next_call_and_enable_brings_it_back(scene: Scene) -> None:
    await scene.control_plane.switch(scene.org, "openai", enabled=False)
    await eventually(lambda: scene.answers("integration_disabled"), "the integration is disabled")
    sent = len(scene.upstream.requests)
    with pytest.raises(openai.BadRequestError) as raised:
        await scene.client.models.list()
    assert "OpenAI is switched off for this box's organization" in str(raised.value)
    assert "An organization owner can switch it on in the run9 Portal" in str(raised.value)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert raised.value.response.headers["x-run9-error-source"] == "gateway"
    # An SDK that retried would say so in its own header; one that did not sends 0.
    assert raised.value.response.request.headers["x-stainless-retry-count"] == "0"
    assert len(scene.upstream.requests) == sent
    await scene.control_plane.switch(scene.org, "openai", enabled=True)
    await eventually(lambda: scene.answers(None), "the integration works again")


async def test_a_cleared_integration_is_missing(scene: Scene) -> None:
    await scene.control_plane.clear(scene.org, "openai")
    await eventually(lambda: scene.answers("integration_missing"), "the integration is missing")
    assert (await scene.control_plane.card(scene.org, "openai")).json()["state"] == "not_set_up"


async def test_a_changed_endpoint_without_the_key_is_refused_and_changes_nothing(scene: Scene) -> None:
    async with ScriptedUpstream() as elsewhere:
        answer = await scene.control_plane.change(
            "PATCH", scene.org, "openai", endpoint=f"{elsewhere.origin}/v1"
        )
        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert await scene.ask() is None
        assert elsewhere.accepted == 0


async def test_a_new_key_and_endpoint_are_used_together(scene: Scene) -> None:
    new_key = "sk-the-next-key-0000000002"
    answer = json_answer(chat_completion("moved"))
    keys = frozenset({new_key.encode()})
    async with ScriptedUpstream(keys=keys, base_path=b"/new/v1/", respond=lambda _: answer) as elsewhere:
        await scene.control_plane.set_up(scene.org, "openai", new_key, f"{elsewhere.origin}/new/v1")

        async def arrives_there() -> bool:
            await scene.ask()
            return bool(elsewhere.requests)

        await eventually(arrives_there, "calls reach the new endpoint")


async def test_a_key_that_the_provider_rejects_is_named_without_the_providers_words(
    header_gateway: Gateway, control_plane: ControlPlane, openai_in_box: OpenAIInBox
) -> None:
    org = await control_plane.new_org()
    body = {"error": {"message": f"Incorrect API key provided: {KEY[:8]}***{KEY[-4:]}", "code": "x"}}
    answer = json_answer(body, status="401 Unauthorized")
    async with ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=lambda _: answer) as upstream:
        await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
        client = openai_in_box(header_gateway.box_token(org))
        scene = Scene(org, client, upstream, control_plane, header_gateway)
        await eventually(lambda: scene.answers("upstream_key_rejected"), "the rejected key is named")
        with pytest.raises(openai.BadRequestError) as raised:
            await client.models.list()
        assert KEY[-4:] not in str(raised.value)
        assert "did not accept the organization's API key" in str(raised.value)
