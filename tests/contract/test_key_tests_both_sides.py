"""Both ends of a stored key's trial on one wire; and a typed and a stored key are found the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from services.control_plane.key_test.resolve import Requester
from services.control_plane.key_test.stored_key import NotTried, StoredKeyTester
from services.control_plane.key_test.typed_key import TypedKeyTester
from services.data_plane.account.metrics import Metrics
from services.data_plane.admin_app import AdminAppParts, admin_app
from shared.endpoint import parse_endpoint
from shared.key_test import KeyTestRequest, KeyTestResponse
from shared.secret import Secret
from tests.support.answers import head_bytes, json_answer, whole
from tests.support.config_truth import EPOCH
from tests.support.scripted_upstream import Answer, Close, ScriptedUpstream, Send
from tests.unit.control_plane.world import FakeResolver
from tests.unit.data_plane.key_test.bench import KEY, LOOPBACK, Bench, made

TOKEN = "the-token-of-the-fleet"
KEYS = frozenset({KEY.encode()})
ANSWERS: dict[str, Answer] = {
    "models": json_answer({"data": [{"id": "a"}]}),
    "no models": json_answer({"data": []}),
    "no list": json_answer({"data": 7}),
    "no JSON": whole(b"<html>"),
    "no body": whole(b"", status="204 No Content"),
    "no end": (Send(head_bytes("200 OK", [("content-length", "9")])), Close()),
    "no answer": (Close(),),
} | {
    str(status): json_answer({"error": "no"}, status=f"{status} Said", head=[("location", "https://x.test")])
    for status in (301, 400, 401, 403, 404, 408, 429, 500, 502, 503, 529)
}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with made() as bench:
        yield bench


def asking(bench: Bench, token: str = TOKEN) -> StoredKeyTester:
    parts = AdminAppParts(bench.table, Metrics(), lambda: True, bench.key_tests, Secret(TOKEN))
    return StoredKeyTester(
        "http://data-plane.test",
        Secret(token),
        transport=httpx.ASGITransport(admin_app(parts)),
        not_yet_seconds=0.1,
    )


async def ask(bench: Bench, *, revision: int = 1, token: str = TOKEN) -> KeyTestResponse | str:
    probe = asking(bench, token)
    try:
        return await probe.probe(KeyTestRequest("acme", "openai", EPOCH, revision))
    except NotTried as error:
        return error.reason
    finally:
        await probe.aclose()


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("name", sorted(ANSWERS))
async def test_a_typed_and_a_stored_key_are_found_the_same(bench: Bench, name: str, *, enabled: bool) -> None:
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: ANSWERS[name]) as upstream:
        endpoint = parse_endpoint(f"{upstream.origin}/v1")
        bench.store(str(endpoint), enabled=enabled)
        stored = await ask(bench)
        trial = TypedKeyTester(FakeResolver(), LOOPBACK, bench.tls)
        typed = await trial.probe(Requester("acme", "owner"), "openai", endpoint, Secret(KEY))
    assert isinstance(stored, KeyTestResponse)
    assert stored.endpoint == str(endpoint)
    assert [(step.step, step.status, step.detail) for step in stored.steps] == [
        (step.step, step.status, step.detail) for step in typed
    ]
    first, second = upstream.requests
    assert (first.method, first.target) == (second.method, second.target)
    for header in ("host", "authorization", "accept", "accept-encoding"):
        assert first.values(header) == second.values(header)


async def test_what_prevents_a_trial_arrives_as_what_it_is(bench: Bench) -> None:
    bench.store("http://provider.test/v1")
    bench.reader.documents.clear()
    assert await ask(bench) == "key_unavailable"
    assert await ask(bench, revision=2) == "not_yet"
    assert await ask(bench, token="another-token") == "token_refused"
    bench.truth.clear("acme", "openai")
    bench.table.apply_snapshot(bench.truth.now)
    assert await ask(bench) == KeyTestResponse("not_set_up")
