"""The key test of a stored key on a data plane: the key, the target, the findings, and the bounds."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.key_test.models_response import MAX_BODY_BYTES
from services.data_plane.key_test.stored_keys import MAX_TRIALS, MAX_TRIALS_PER_ORG, StoredKeyTests
from services.data_plane.relay.upstream.dial import DialConfig
from shared.addresses import AddressPolicy
from shared.endpoint import Endpoint
from shared.key_test import STEPS, KeyTestResponse, verdict_of
from shared.rejections import Rejection
from shared.tasks import TaskSet
from tests.support.answers import chunked, head_bytes, json_answer, whole
from tests.support.canary import Canary
from tests.support.config_truth import document, row
from tests.support.scripted_upstream import Answer, Close, Pause, ScriptedUpstream, Send
from tests.unit.data_plane.key_test.bench import KEY, Bench, made

KEYS = frozenset({KEY.encode()})
MODELS = {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}
OK = ["ok", "skipped", "ok", "ok"]  # TLS is skipped at a plain-http endpoint
UNTRUSTED = ["ok", "failed", "skipped", "skipped"]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with made() as bench:
        yield bench


def statuses(answer: KeyTestResponse) -> list[str]:
    assert answer.outcome == "tried"
    assert [step.step for step in answer.steps] == list(STEPS)
    assert all(step.detail.endswith(".") for step in answer.steps)
    return [step.status for step in answer.steps]


def bytewise(answer: Answer) -> Answer:
    whole_answer = b"".join(step.data for step in answer if isinstance(step, Send))
    return [Send(bytes([byte])) for byte in whole_answer]


def queued(*answers: Answer, keys: frozenset[bytes] | None = KEYS) -> ScriptedUpstream:
    upstream = ScriptedUpstream(keys=keys)
    upstream.queue(*answers)
    return upstream


async def test_a_good_key_passes_every_step_with_its_time(bench: Bench) -> None:
    async with queued(json_answer(MODELS)) as upstream:
        bench.store(f"{upstream.origin}/v1")
        answer = await bench.ask()
        assert answer.endpoint == f"{upstream.origin}/v1"
        authority = upstream.origin.removeprefix("http://").encode()
    assert (statuses(answer), verdict_of(answer.steps)) == (OK, "valid")
    assert "2 models" in answer.steps[3].detail
    assert [step.seconds is None for step in answer.steps] == [False, True, False, False]
    (request,) = upstream.requests
    assert (request.method, request.target) == (b"GET", b"/v1/models")
    assert request.values("host") == [authority]
    assert request.values("authorization") == [b"Bearer " + KEY.encode()]
    assert request.values("accept-encoding") == [b"identity"]


@pytest.mark.parametrize("base", ["", "/v1", "/gateway", "/gateway/v1"])
async def test_anthropic_is_asked_with_its_own_headers_below_any_base_path(bench: Bench, base: str) -> None:
    path = base.removesuffix("/v1") + "/v1/models"
    for version, key in enumerate(("sk-ant-api03-0123", "sk-ant-oat01-0123"), 1):
        async with queued(json_answer(MODELS), keys=frozenset({key.encode()})) as upstream:
            bench.store(f"{upstream.origin}{base}", key=key, provider="anthropic", version=version)
            assert statuses(await bench.ask(provider="anthropic")) == OK
        (request,) = upstream.requests
        assert request.target.decode() == path
        assert request.values("anthropic-version") == [b"2023-06-01"]
        is_token = "oat" in key
        assert request.values("anthropic-beta") == [b"oauth-2025-04-20"] * is_token
        assert request.values("x-api-key") == [key.encode()] * (not is_token)


@pytest.mark.parametrize("enabled", [True, False])
async def test_an_integration_is_tried_whether_it_is_on_or_off(bench: Bench, *, enabled: bool) -> None:
    async with queued(json_answer(MODELS)) as upstream:
        bench.store(f"{upstream.origin}/v1", enabled=enabled)
        assert statuses(await bench.ask()) == OK
    assert bench.reader.reads == [("acme", "openai", 1)]


async def test_the_key_that_serves_requests_is_not_read_again(bench: Bench) -> None:
    async with queued(json_answer(MODELS)) as upstream:
        bench.store(f"{upstream.origin}/v1")
        await bench.table.load("acme", "openai")
        assert statuses(await bench.ask()) == OK
    assert len(bench.reader.reads) == 1


async def test_a_new_version_is_tried_while_the_old_one_still_serves(bench: Bench) -> None:
    new = "sk-new-key-0123456789abcdef"
    async with queued(json_answer(MODELS), keys=frozenset({new.encode()})) as upstream:
        bench.store(f"{upstream.origin}/v1")
        await bench.table.load("acme", "openai")
        bench.store(f"{upstream.origin}/v1", key=new, version=2)
        assert statuses(await bench.ask()) == OK


@pytest.mark.parametrize(("status", "verdict"), [(401, "invalid"), (403, "unknown"), (429, "unknown")])
async def test_only_an_unexplained_401_makes_the_key_invalid(bench: Bench, status: int, verdict: str) -> None:
    async with queued(json_answer({"error": "no"}, status=f"{status} Said")) as upstream:
        bench.store(f"{upstream.origin}/v1")
        answer = await bench.ask()
    assert verdict_of(answer.steps) == verdict
    assert statuses(answer)[3] == "skipped"


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503, 529])
async def test_any_other_status_says_nothing_about_the_key(bench: Bench, status: int) -> None:
    head = [("location", "https://elsewhere.test/")] if status == 301 else []
    async with queued(json_answer({}, status=f"{status} Said", head=head)) as upstream:
        bench.store(f"{upstream.origin}/v1")
        assert statuses(await bench.ask()) == ["ok", "skipped", "unknown", "skipped"]


@pytest.mark.parametrize(
    "answer",
    [
        chunked([b'{"da', b'ta": [', b"{}, {}]}"]),
        (Send(head_bytes("200 OK", []) + b'{"data": [{}, {}]}'), Close()),
        (Send(b"HTTP/1.1 103 Early Hints\r\n\r\n"), *json_answer(MODELS)),
        bytewise(json_answer(MODELS)),
    ],
    ids=["chunks", "until close", "interim head", "single bytes"],
)  # fmt: skip
async def test_a_list_is_read_however_it_is_framed(bench: Bench, answer: Answer) -> None:
    async with queued(answer) as upstream:
        bench.store(f"{upstream.origin}/v1")
        found = await bench.ask()
    assert statuses(found) == OK
    assert "2 models" in found.steps[3].detail


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"<html>"),
        whole(b"", status="204 No Content"),
        whole(b" " * (MAX_BODY_BYTES + 1)),
        (Send(head_bytes("200 OK", [("content-length", "9")])), Close()),
        (Send(head_bytes("200 OK", [("transfer-encoding", "chunked")]) + b"nonsense"),),
    ],
    ids=["no JSON", "nothing", "too long", "cut off", "broken chunks"],
)
async def test_an_accepted_key_with_no_list_of_models_is_still_valid(bench: Bench, answer: Answer) -> None:
    async with queued(answer) as upstream:
        bench.store(f"{upstream.origin}/v1")
        found = await bench.ask()
    assert (statuses(found), verdict_of(found.steps)) == ([*OK[:3], "unknown"], "valid")


@pytest.mark.parametrize(
    "answer",
    [
        (Close(),),
        (Send(b"SSH-2.0-nothing\r\n"),),
        (Send(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000),),
        tuple(Send(b"HTTP/1.1 103 Early Hints\r\n\r\n") for _ in range(20)),
        (Send(b"HTTP/1.1 200 OK\r\n"), Close()),
    ],
    ids=["nothing", "no HTTP", "a head too large", "interim heads without end", "half a head"],
)
async def test_a_broken_answer_says_nothing_about_the_key(bench: Bench, answer: Answer) -> None:
    async with queued(answer) as upstream:
        bench.store(f"{upstream.origin}/v1")
        assert statuses(await bench.ask()) == ["ok", "skipped", "unknown", "skipped"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((Pause(30),), ["ok", "skipped", "unknown", "skipped"]),
        ((Send(head_bytes("200 OK", [("content-length", "9")])), Pause(30)), [*OK[:3], "unknown"]),
    ],
    ids=["no head", "no body"],
)
@pytest.mark.parametrize("limit", ["total_seconds", "answer_seconds"])
async def test_silence_is_waited_for_a_bounded_time(limit: str, answer: Answer, expected: list[str]) -> None:
    async with made(**{limit: 0.3}) as bench, queued(answer) as upstream:
        bench.store(f"{upstream.origin}/v1")
        assert statuses(await bench.ask()) == expected


async def test_a_name_that_does_not_exist_fails_at_dns(bench: Bench) -> None:
    bench.names.addresses = ()
    bench.store("http://provider.test:1/v1")
    assert statuses(await bench.ask()) == ["failed", "skipped", "skipped", "skipped"]


async def test_a_name_with_any_internal_address_is_never_connected_to() -> None:
    async with ScriptedUpstream() as upstream, made(policy=AddressPolicy()) as bench:
        bench.names.addresses = ("93.184.216.34", "127.0.0.1")
        bench.store(f"http://provider.test:{upstream.port}/v1")
        answer = await bench.ask()
    assert statuses(answer) == ["failed", "skipped", "skipped", "skipped"]
    assert "not public" in answer.steps[0].detail
    assert upstream.accepted == 0


async def test_nothing_listening_fails_the_connection(bench: Bench) -> None:
    async with ScriptedUpstream() as upstream:
        url = f"{upstream.origin}/v1"
    bench.store(url)
    answer = await bench.ask()
    assert statuses(answer) == UNTRUSTED
    assert answer.steps[1].detail == "The connection was refused."


async def test_plain_http_is_used_only_where_the_operator_allows_it() -> None:
    async with made(allow_plain_http=False) as bench:
        bench.store("http://provider.test/v1")
        answer = await bench.ask()
    assert (answer.outcome, bench.names.asked) == ("key_unavailable", [])
    assert "plain http" in answer.detail


@pytest.mark.parametrize(
    ("certified", "expected"), [("provider.test", ["ok"] * 4), ("other.test", UNTRUSTED), ("", UNTRUSTED)]
)
async def test_the_certificate_is_verified_before_the_key_leaves(certified: str, expected: list[str]) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (authority if certified else trustme.CA()).issue_cert(certified or "provider.test").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    upstream = ScriptedUpstream(keys=KEYS, tls=server, respond=lambda _: json_answer(MODELS))
    async with upstream, made(tls=client) as bench:
        bench.store(f"https://provider.test:{upstream.port}/v1")
        answers = [await bench.ask() for _ in range(2)]
    assert [statuses(answer) for answer in answers] == [expected] * 2
    assert len(upstream.requests) == 2 * (expected[3] == "ok")
    if expected == UNTRUSTED:
        assert "certificate" in answers[0].steps[1].detail


async def test_what_speaks_no_tls_fails_at_tls(bench: Bench) -> None:
    def speak_first(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak_first, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        bench.store(f"https://provider.test:{port}/v1")
        answer = await bench.ask()
    assert statuses(answer) == UNTRUSTED
    assert answer.steps[1].detail == "The TLS handshake failed."


@pytest.mark.parametrize("change", [{"epoch": "another"}, {"revision": 2}])
async def test_a_process_that_has_not_heard_of_the_change_says_not_yet(
    bench: Bench, change: dict[str, Any]
) -> None:
    bench.store("http://provider.test/v1")
    assert await bench.ask(**change) == KeyTestResponse("not_yet")
    assert (bench.names.asked, bench.reader.reads) == ([], [])


async def test_a_process_without_a_configuration_or_with_an_old_one_says_not_yet(bench: Bench) -> None:
    assert await bench.ask(revision=0) == KeyTestResponse("not_yet")
    bench.store("http://provider.test/v1")
    bench.now += 10
    assert await bench.ask() == KeyTestResponse("not_yet")


async def test_what_is_not_set_up_is_never_tried(bench: Bench) -> None:
    bench.store("http://provider.test/v1")
    assert await bench.ask(org="other") == KeyTestResponse("not_set_up")
    bench.truth.clear("acme", "openai")
    bench.table.apply_snapshot(bench.truth.now)
    assert await bench.ask() == KeyTestResponse("not_set_up")
    assert bench.reader.reads == []


async def test_a_key_that_cannot_be_read_says_why_and_whose_it_is(bench: Bench) -> None:
    bench.store("http://provider.test/v1")
    bench.reader.documents.clear()
    assert await bench.ask() == KeyTestResponse("key_unavailable", detail="there is no such version")


async def test_a_secret_store_that_does_not_answer_is_not_the_endpoints_fault() -> None:
    async with made(total_seconds=0.2) as bench:
        bench.store("http://provider.test/v1")
        bench.reader.gate = asyncio.Event()
        answer = await bench.ask()
    assert answer == KeyTestResponse("key_unavailable", detail="the secret store did not answer in time")


async def test_the_secret_of_another_integration_is_never_used(bench: Bench) -> None:
    bench.store("http://provider.test/v1")
    bench.reader.documents["acme", "openai", 1] = document(org="other")
    answer = await bench.ask()
    assert answer.outcome == "key_unavailable"
    assert bench.names.asked == []


async def test_trials_are_bounded_by_org_and_in_all(bench: Bench) -> None:
    bench.reader.gate = asyncio.Event()
    for org in (f"org-{number}" for number in range(MAX_TRIALS)):
        bench.truth.put(row(org))
    bench.table.apply_snapshot(bench.truth.now)
    tasks = TaskSet()
    running = [tasks.start(bench.ask(org="org-0"), "trial") for _ in range(MAX_TRIALS_PER_ORG)]
    await asyncio.sleep(0)
    assert await bench.ask(org="org-0") == KeyTestResponse("busy")
    others = [f"org-{number}" for number in range(1, MAX_TRIALS - MAX_TRIALS_PER_ORG + 1)]
    running += [tasks.start(bench.ask(org=org), "trial") for org in others]
    await asyncio.sleep(0)
    assert await bench.ask(org=f"org-{MAX_TRIALS - 1}") == KeyTestResponse("busy")
    bench.reader.gate.set()
    answers = await asyncio.gather(*running)
    assert {answer.outcome for answer in answers} == {"key_unavailable"}
    assert (await bench.ask(org="org-0")).outcome == "key_unavailable"


async def test_behind_a_proxy_the_name_is_not_looked_up_here(bench: Bench) -> None:
    class Refusing:
        """A way out whose proxy refuses every tunnel."""

        async def connect(self, endpoint: Endpoint, make: object) -> Any:  # noqa: ARG002  # the port's signature
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, f"no tunnel to port {endpoint.port}")

    bench.store("http://provider.test:7/v1")
    config = DialConfig(Refusing(), None, bench.tls, 5, allow_plain_http=True)
    bench.key_tests = StoredKeyTests(bench.table, bench.loader, config, RelayLimits())
    answer = await bench.ask()
    assert statuses(answer) == ["skipped", "failed", "skipped", "skipped"]
    assert answer.steps[1].detail == "No tunnel to port 7."
    assert bench.names.asked == []


async def test_the_key_is_in_no_answer_and_no_log_whatever_the_provider_reflects(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = Canary()
    said = json.dumps({"error": canary.text, "data": [{"id": canary.text}]}).encode()
    for version, status in enumerate((f"401 {canary.text}", "200 OK", "500 Oops"), 1):
        answer = whole(said, status=status, head=[("x-key", canary.text)])
        async with queued(answer, keys=frozenset({canary.text.encode()})) as upstream:
            bench.store(f"{upstream.origin}/v1", key=canary.text, version=version)
            found = await bench.ask()
        assert canary.found_in(repr(found).encode(), "answer") == []
    assert "was tested" in caplog.text
    assert canary.found_in(caplog.text.encode(), "log") == []
