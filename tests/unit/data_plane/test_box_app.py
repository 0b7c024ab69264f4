"""The box listener's own answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from services.data_plane.account.last_errors import LastErrors
from services.data_plane.box_app.app import BoxAppParts, box_app
from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.unidentified import NotYetVerifiable, Unidentified
from shared.box_token import Box
from shared.config_feed import OrgRow
from shared.providers import PROVIDERS, ProviderName
from tests.support.exchange_records import exchange_record

JSON = {"accept": "application/json"}
TOKENS = {b"tok-acme": "acme", b"tok-other": "other"}


class FakeIdentity:
    def __init__(self) -> None:
        self.configured = True

    def identify(self, token: bytes | None) -> Box:
        if not self.configured:
            raise NotYetVerifiable("it does not know the nodes yet")
        if token is None or token not in TOKENS:
            raise Unidentified("no box token")
        return Box(TOKENS[token], "box-1", "life-1", 0.0)


class FakeTable:
    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], CompiledIntegration | NotReady] = {}
        self.orgs = {"acme": OrgRow("acme", "Acme", ("ann@acme.example",))}

    def look_up(self, org: str, provider: ProviderName) -> CompiledIntegration | NotReady:
        return self.answers.get((org, provider), NotReady.MISSING)

    def org(self, org: str) -> OrgRow | None:
        return self.orgs.get(org)


@dataclass
class Bench:
    client: httpx.AsyncClient
    identity: FakeIdentity
    table: FakeTable
    errors: LastErrors

    async def get(
        self, path: str = "/run9/ai/", *, token: str | None = "tok-acme", **headers: str
    ) -> httpx.Response:
        sent = {"x-run9-box-token": token} if token else {}
        return await self.client.get(path, headers=sent | headers)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    identity, table, errors = FakeIdentity(), FakeTable(), LastErrors()
    app = box_app(
        BoxAppParts(
            table, errors.of, frozenset({b"10.0.2.2:1000", b"127.0.0.1:20000"}), tuple(PROVIDERS.values())
        )
    )

    async def handed_over(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"identity": identity}}, receive, send)

    transport = httpx.ASGITransport(handed_over)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:20000") as client:
        yield Bench(client, identity, table, errors)


async def test_a_terminal_gets_text_and_a_program_json(bench: Bench) -> None:
    text, data = await bench.get(), await bench.get(**JSON)
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "OpenAI: MISSING" in text.text
    assert data.json()["box"] == {"identified": True, "id": "box-1", "org": "acme", "org_name": "Acme"}
    assert data.json()["owners"] == ["ann@acme.example"]


async def test_the_page_is_never_kept_by_a_cache(bench: Bench) -> None:
    assert (await bench.get()).headers["cache-control"] == "no-store"


async def test_the_page_answers_without_its_last_slash_and_to_head(bench: Bench) -> None:
    assert (await bench.get("/run9/ai")).status_code == 200
    answer = await bench.client.head("/run9/ai/", headers={"x-run9-box-token": "tok-acme"})
    assert answer.status_code == 200


async def test_each_org_sees_its_own_state(bench: Bench) -> None:
    bench.table.answers["acme", "openai"] = NotReady.DISABLED
    bench.errors.note(exchange_record(org="acme", provider="openai", status=500, request_id="req_secret"))
    mine, theirs = await bench.get(**JSON), await bench.get(token="tok-other", **JSON)
    assert mine.json()["providers"][0]["state"] == "off"
    assert mine.json()["providers"][0]["last_error"]["request_id"] == "req_secret"
    assert theirs.json()["providers"][0]["state"] == "missing"
    assert "req_secret" not in theirs.text
    assert theirs.json()["owners"] == []


async def test_the_base_url_is_the_one_that_the_box_used(bench: Bench) -> None:
    here = await bench.get(**JSON)
    there = await bench.get(host="evil.example", **JSON)
    assert here.json()["providers"][0]["base_url"] == "http://127.0.0.1:20000/run9/ai/openai/v1/"
    assert there.json()["providers"][0]["base_url"] == "http://10.0.2.2:1000/run9/ai/openai/v1/"


async def test_a_caller_without_identity_is_told_who_can_mend_it(bench: Bench) -> None:
    text, data = await bench.get(token=None), await bench.get(token=None, **JSON)
    assert text.status_code == data.status_code == 400
    assert text.headers["x-run9-error"] == "box_identity_required"
    assert "operator should check the node agent" in text.text
    assert data.json()["error"]["code"] == "box_identity_required"
    assert "ann@acme.example" not in text.text + data.text


async def test_two_tokens_are_nobody(bench: Bench) -> None:
    headers = [("x-run9-box-token", "tok-acme"), ("x-run9-box-token", "tok-other")]
    answer = await bench.client.get("/run9/ai/", headers=headers)
    assert answer.headers["x-run9-error"] == "box_identity_required"


async def test_without_configuration_the_caller_is_asked_to_try_again(bench: Bench) -> None:
    bench.identity.configured = False
    answer = await bench.get()
    assert answer.status_code == 503
    assert answer.headers["x-run9-error"] == "config_unavailable"
    assert answer.headers["retry-after"] == "2"


async def test_the_script_needs_no_identity_and_knows_the_origin(bench: Bench) -> None:
    answer = await bench.get("/run9/ai/setup.sh", token=None)
    assert answer.headers["content-type"].startswith("text/x-shellscript")
    assert "run9_origin='http://127.0.0.1:20000'" in answer.text


async def test_the_script_is_never_written_for_a_host_that_is_not_ours(bench: Bench) -> None:
    answer = await bench.get("/run9/ai/setup.sh", host="evil.example")
    assert "run9_origin='http://10.0.2.2:1000'" in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/run9", "/run9/ai/nope", "/docs", "/openapi.json", "/run9/ai/setup.sh/"]
)
async def test_every_other_path_is_404_in_json(bench: Bench, path: str) -> None:
    answer = await bench.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.headers["x-run9-error-source"] == "gateway"


async def test_another_method_is_no_page(bench: Bench) -> None:
    assert (await bench.client.post("/run9/ai/")).status_code == 404


async def test_no_page_of_another_origin_may_read_an_answer(bench: Bench) -> None:
    answer = await bench.get(origin="http://evil.example")
    assert not [name for name in answer.headers if name.startswith("access-control")]
