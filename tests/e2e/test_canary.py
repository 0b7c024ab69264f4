"""A unique fake key goes through everything that can go wrong, and shows up nowhere but at its provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.support.answers import chat_completion, chunk_bytes, chunked, head_bytes, json_answer, whole
from tests.support.canary import Canary
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway
from tests.support.polling import eventually
from tests.support.scripted_upstream import Answer, Reset, ScriptedUpstream, Send

pytestmark = pytest.mark.xdist_group("canary")
CHAT = "chat/completions"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("canary-gateway")
    with Gateway(folder, options=("--identity-mode", "header")) as gateway:
        yield gateway


@dataclass(slots=True)
class Scene:
    """An org whose key is the canary, everything that was answered to anybody, and its provider."""

    gateway: Gateway
    control_plane: ControlPlane
    upstream: ScriptedUpstream
    org: str
    canary: Canary
    findings: list[str] = field(default_factory=list)

    def keep(self, answer: httpx.Response, where: str) -> None:
        """Look for the canary in an answer: head, body and all."""
        head = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
        self.findings += self.canary.found_in(head + b"\n\n" + answer.content, where)

    async def call(self, where: str) -> httpx.Response | None:
        """Call as a box; None when the answer broke off."""
        url = f"{self.gateway.ready['base_urls']['openai']}{CHAT}"
        head = {
            "x-run9-box-token": self.gateway.box_token(self.org),
            "authorization": "Bearer run9-placeholder",
        }
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.post(url, headers=head, json={"model": "m", "messages": []})
            except httpx.TransportError as error:
                self.findings += self.canary.found_in(str(error).encode(), where)
                return None
            self.keep(answer, where)
            return answer

    async def look_at_status_page(self, where: str) -> None:
        """Read the status page as the box does."""
        async with httpx.AsyncClient(trust_env=False) as client:
            head = {"x-run9-box-token": self.gateway.box_token(self.org)}
            self.keep(await client.get(f"{self.gateway.origin}/run9/ai/", headers=head), where)


@pytest.fixture
async def scene(gateway: Gateway) -> AsyncIterator[Scene]:
    canary = Canary()
    keys = frozenset({canary.text.encode()})
    async with ControlPlane.of(gateway) as control_plane, ScriptedUpstream(keys=keys) as upstream:
        org = await control_plane.new_org()
        scene = Scene(gateway, control_plane, upstream, org, canary)
        body = {"api_key": canary.text, "endpoint": f"{upstream.origin}/v1", "enabled": True}
        scene.keep(await control_plane.change("PUT", org, "openai", **body), "the answer to PUT")
        upstream.queue(json_answer(chat_completion("hello")))

        async def is_live() -> bool:
            answer = await scene.call("a first answer")
            return answer is not None and answer.status_code == 200

        await eventually(is_live, "the integration is live")
        yield scene


def hostile_answers(key: str) -> dict[str, Answer]:
    """Give answers of a provider that shows the key, or breaks, in every way that a box could see."""
    body = {"error": {"message": f"Incorrect API key provided: {key}", "type": "x", "code": key}}
    part = {"error": {"message": f"Incorrect API key provided: {key[:8]}****{key[-6:]}"}}
    head = [("x-echo", key), ("set-cookie", f"k={key}"), ("openai-organization", key)]
    stream = head_bytes("200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
    return {
        "401 with the key": json_answer(body, status="401 Unauthorized"),
        "401 with its ends": json_answer(part, status="401 Unauthorized"),
        "401 with the key in its head": json_answer({}, status="401 Unauthorized", head=head),
        "401 with the key as the request's id": json_answer(
            {}, status="401 Unauthorized", head=[("x-request-id", key), ("request-id", key)]
        ),
        "200 with the key as the request's id": json_answer({}, head=[("X-Request-Id", key)]),
        "403 with the key behind the request's id": json_answer(
            {}, status="403 Forbidden", head=[("request-id", f"req_{key}")]
        ),
        "400 with the key": json_answer(body, status="400 Bad Request"),
        "403 with the key": json_answer(body, status="403 Forbidden"),
        "500 with the key": json_answer(body, status="500 Internal Server Error"),
        "200 with the key in its head": json_answer({}, head=head),
        "a redirect with the key": whole(
            b"", status="307 Temporary Redirect", head=[("location", f"/{key}")]
        ),
        "no HTTP but the key": (Send(f"{key}\r\n\r\n".encode()), Reset()),
        "a reason with the key": whole(b"{}", status=f"200 {key}"),
        "a cut in the head": (Send(f"HTTP/1.1 200 OK\r\nx-echo: {key}\r\n".encode()), Reset()),
        "a cut in the body": (Send(stream + chunk_bytes(b"data: 1\n\n")), Reset()),
    }


async def test_no_answer_of_a_hostile_provider_brings_the_key_to_the_box(scene: Scene) -> None:
    answers = hostile_answers(scene.canary.text)
    for name, answer in answers.items():
        scene.upstream.queue(answer)
        await scene.call(name)
        await scene.look_at_status_page(f"the status page after {name}")
    await asyncio.sleep(0.6)  # the access log is written behind the requests
    scene.findings += scene.canary.found_in(scene.gateway.log.encode(), "the access log")
    assert scene.findings == []
    assert len(scene.upstream.requests) == len(answers) + 1


async def test_a_key_split_over_two_chunks_of_an_error_does_not_pass(scene: Scene) -> None:
    key = scene.canary.text.encode()
    scene.upstream.queue(chunked([key[:9], key[9:]], status="500 Internal Server Error"))
    await scene.call("an error in two chunks")
    assert scene.findings == []


async def test_no_refusal_of_the_rest_interface_repeats_a_typed_key(scene: Scene) -> None:
    key, endpoint = scene.canary.text, f"{scene.upstream.origin}/v1"
    bodies: dict[str, dict[str, Any]] = {
        "a key with a space": {"api_key": f"{key} {key}", "endpoint": endpoint, "enabled": True},
        "a key too long": {"api_key": key * 40, "endpoint": endpoint, "enabled": True},
        "a key as an object": {"api_key": {"key": key}, "endpoint": endpoint, "enabled": True},
        "a key as a switch": {"api_key": key, "endpoint": endpoint, "enabled": key},
        "a key as a field": {key: True, "api_key": key, "enabled": True},
        "a key in the endpoint": {"api_key": key, "endpoint": f"https://u@x.example/{key}", "enabled": True},
        "a private endpoint": {"api_key": key, "endpoint": "https://10.0.0.1/v1", "enabled": True},
    }
    for name, body in bodies.items():
        answer = await scene.control_plane.change("PUT", scene.org, "openai", **body)
        assert answer.status_code in {400, 422}, name
        scene.keep(answer, name)
    path = f"/orgs/{scene.org}/ai-integrations/openai"
    head = {"authorization": f"Bearer {scene.control_plane.owner_token}", "if-match": "*"}
    broken = f'{{"api_key": "{key}", '.encode()
    scene.keep(await scene.control_plane.client.put(path, content=broken, headers=head), "a broken body")
    for read in (
        path,
        f"/orgs/{scene.org}/ai-integrations",
        f"/orgs/{scene.org}/audit",
        f"/orgs/{scene.org}",
    ):
        answer = await scene.control_plane.client.get(read, headers=head)
        assert answer.is_success, read
        scene.keep(answer, read)
    assert scene.findings == []


async def test_nothing_on_disk_or_in_the_log_shows_the_key(scene: Scene) -> None:
    scene.upstream.queue(json_answer({}, status="500 Internal Server Error"))
    await scene.call("an error to be logged")
    key = scene.canary.text
    scene.upstream.queue(json_answer({"tested": True}))
    head = {"authorization": f"Bearer {scene.control_plane.owner_token}"}
    body = {"api_key": key, "endpoint": f"{scene.upstream.origin}/v1"}
    path = f"/orgs/{scene.org}/ai-integrations/openai/test"
    scene.keep(await scene.control_plane.client.post(path, json=body, headers=head), "a test")
    await scene.control_plane.switch(scene.org, "openai", enabled=False)
    await scene.control_plane.clear(scene.org, "openai")
    for listener in (f"{scene.gateway.ready['admin_url']}/metrics", f"{scene.gateway.origin}/run9/ai/"):
        token = scene.gateway.box_token(scene.org)
        async with httpx.AsyncClient(trust_env=False) as client:
            scene.keep(await client.get(listener, headers={"x-run9-box-token": token}), listener)
    await asyncio.sleep(0.5)  # the access log is written behind the requests
    assert "status=500" in scene.gateway.log or '"status":500' in scene.gateway.log.replace(" ", "")
    scene.findings += scene.canary.found_below(scene.gateway.folder)
    assert scene.findings == []


async def test_the_scan_would_find_it(scene: Scene) -> None:
    (scene.gateway.folder / "leak").write_text(f"…{scene.canary.text}…")
    assert scene.canary.found_below(scene.gateway.folder)
    (scene.gateway.folder / "leak").unlink()
