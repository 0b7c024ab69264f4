"""The gateway's own answers: in the shape shown to people by each provider's SDK, for every rejection."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from services.data_plane.core.answers import write_rejection, write_warm_up
from services.data_plane.core.refused import Refused
from shared.providers import PROVIDERS, Provider
from shared.rejections import Place, Rejection
from tests.corpus.reference_parsers import Reading, read_with_h11, read_with_llhttp

OPENAI, ANTHROPIC = PROVIDERS["openai"], PROVIDERS["anthropic"]
REQUEST_ID = "req_0123"
DETAIL = "status 503"
MAX_SENTENCE_CHARS = 300
ANTHROPIC_TYPES = {408: "timeout_error", 502: "api_error", 503: "overloaded_error", 504: "timeout_error"}
RETRY_HELPS = {
    *("upstream_unreachable", "upstream_redirect", "upstream_timeout", "upstream_invalid"),
    *("config_unavailable", "gateway_unreachable", "overloaded", "request_timeout"),
}
STATUSES = {
    400: {"integration_missing", "integration_disabled", "box_identity_required", "route_not_allowed",
          "bad_request",
          "upstream_key_rejected", "upstream_request_refused", "upstream_refused_unexplained",
          "browser_request_refused", "method_not_allowed"},
    404: {"not_found"}, 408: {"request_timeout"}, 413: {"body_too_large"}, 426: {"upstream_upgrade_refused"},
    431: {"head_too_large"}, 502: {"upstream_unreachable", "upstream_redirect", "upstream_invalid"},
    503: {"config_unavailable", "gateway_unreachable", "overloaded"}, 504: {"upstream_timeout"},
}  # fmt: skip

every_rejection = pytest.mark.parametrize("rejection", Rejection, ids=lambda rejection: rejection.code)
every_provider = pytest.mark.parametrize(
    "provider", [OPENAI, ANTHROPIC, None], ids=["openai", "anthropic", "none"]
)


def write(
    rejection: Rejection, provider: Provider | None, *, bodiless: bool = False, close: bool = False
) -> bytes:
    refused = Refused(rejection, DETAIL)
    return write_rejection(refused, provider, Place(), REQUEST_ID, bodiless=bodiless, close=close)


def read(raw: bytes, method: bytes = b"GET") -> tuple[Reading, dict[str, str]]:
    reading = read_with_h11(raw, "response", request_method=method)
    assert reading is not None
    assert reading.end == len(raw)
    names = [name.decode() for name, _ in reading.headers]
    assert len(names) == len(set(names))
    return reading, {name.decode(): value.decode() for name, value in reading.headers}


def test_every_code_has_the_status_of_the_contract() -> None:
    assert {r.code: r.status for r in Rejection} == {
        code: status for status, codes in STATUSES.items() for code in codes
    }


@every_provider
@every_rejection
def test_an_answer_says_what_happened_and_whose_fault_it_is(
    rejection: Rejection, provider: Provider | None
) -> None:
    reading, headers = read(write(rejection, provider))
    assert reading.start[0] == b"%d" % rejection.status
    assert headers["x-run9-error"] == rejection.code
    assert headers["x-run9-error-source"] == (
        "upstream" if rejection.code.startswith("upstream") else "gateway"
    )
    assert headers["content-type"] == "application/json"
    assert headers["request-id" if provider is ANTHROPIC else "x-request-id"] == REQUEST_ID
    assert ("x-should-retry" in headers) == (rejection.code not in RETRY_HELPS)
    assert headers.get("x-should-retry", "false") == "false"
    assert headers.get("retry-after") == ("2" if rejection.status == 503 else None)


@every_provider
@every_rejection
def test_a_body_is_in_the_providers_own_shape(rejection: Rejection, provider: Provider | None) -> None:
    body = json.loads(read(write(rejection, provider))[0].payload)
    message = body["error"]["message"]
    types = ANTHROPIC_TYPES if provider is ANTHROPIC else dict.fromkeys(ANTHROPIC_TYPES, "server_error")
    error: dict[str, Any] = {"message": message, "type": types.get(rejection.status, "invalid_request_error")}
    if provider is ANTHROPIC:
        assert body == {"type": "error", "error": error, "request_id": REQUEST_ID}
    else:
        assert body == {"error": {**error, "param": None, "code": rejection.code}}
    assert 20 < len(message) < MAX_SENTENCE_CHARS
    assert "\n" not in message
    assert "{" not in message


@every_rejection
def test_the_openai_sdk_shows_the_sentence(rejection: Rejection) -> None:
    client = openai.OpenAI(
        api_key="x", base_url="http://gateway/", max_retries=0, http_client=_client(rejection, OPENAI)
    )
    with pytest.raises(openai.APIStatusError) as caught:
        client.models.list()
    assert caught.value.code == rejection.code
    final = rejection.status not in ANTHROPIC_TYPES
    assert caught.value.type == ("invalid_request_error" if final else "server_error")
    assert caught.value.request_id == REQUEST_ID
    assert rejection.render("OpenAI", DETAIL) in caught.value.message


@every_rejection
def test_the_anthropic_sdk_shows_the_sentence(rejection: Rejection) -> None:
    client = anthropic.Anthropic(
        api_key="x", base_url="http://gateway/", max_retries=0, http_client=_client(rejection, ANTHROPIC)
    )
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.models.list()
    assert caught.value.request_id == REQUEST_ID
    assert rejection.render(ANTHROPIC.title, DETAIL) in caught.value.message


def _client(rejection: Rejection, provider: Provider) -> httpx2.Client:
    reading, headers = read(write(rejection, provider))
    return httpx2.Client(
        transport=httpx2.MockTransport(
            lambda _: httpx2.Response(rejection.status, headers=headers, content=reading.payload)
        )
    )


@every_rejection
def test_an_answer_to_head_is_its_head_alone(rejection: Rejection) -> None:
    whole, bare = write(rejection, OPENAI), write(rejection, OPENAI, bodiless=True)
    assert bare == whole[: whole.index(b"\r\n\r\n") + 4]


@every_provider
@every_rejection
def test_the_end_of_the_connection_is_said(rejection: Rejection, provider: Provider | None) -> None:
    open_, closing = (write(rejection, provider, close=close) for close in (False, True))
    assert b"close" not in open_.lower().partition(b"\r\n\r\n")[0]
    assert "close" in read(closing)[1]["connection"]


def test_a_426_names_what_it_wants_instead() -> None:
    headers = read(write(Rejection.UPSTREAM_UPGRADE_REFUSED, OPENAI))[1]
    assert (headers["upgrade"], headers["connection"]) == ("HTTP/1.1", "upgrade")


@every_rejection
def test_llhttp_reads_an_answer_as_whole(rejection: Rejection) -> None:
    if rejection is Rejection.UPSTREAM_UPGRADE_REFUSED:
        return  # httptools takes no body where an Upgrade is named; Node's own clients do
    raw = write(rejection, OPENAI)
    reading = read_with_llhttp(raw, "response")
    assert reading is not None
    assert reading.end == len(raw)


@pytest.mark.parametrize(("close", "line"), [(False, b""), (True, b"connection: close\r\n")])
def test_a_warm_up_is_answered_without_a_body(line: bytes, *, close: bool) -> None:
    assert write_warm_up(close=close) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + line + b"\r\n"
