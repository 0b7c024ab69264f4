"""The verdict on a response held whole, by its status and its body."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest

from services.data_plane.core.held_response import MAX_HELD_BYTES, HeldResponse
from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_head import parse_response_head
from shared.refusals import RefusalRule
from shared.rejections import Rejection
from tests.corpus.replay import integration_of

INVALID = RefusalRule("key", "this test", code="invalid_api_key", statuses=(400, 401, 403))
KEY = "sk-a-key-of-the-org-0123456789"


def integration(*statuses: int) -> CompiledIntegration:
    """An integration of a provider that may refuse a key with these statuses."""
    found = integration_of("openai", key=KEY)
    row = replace(found.provider, key_statuses=frozenset(statuses), refusals=(INVALID,))
    return replace(found, provider=row)


def held(status: int, *pieces: bytes, is_websocket: bool = False) -> HeldResponse:
    head = parse_response_head(b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status, b"GET", 9)
    response = HeldResponse(head, is_websocket=is_websocket)
    for piece in pieces:
        response.take(piece, None)
    return response


def error(code: str, message: str = "It was refused.") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def rejection_of(refused: Refused | None) -> Rejection | None:
    return None if refused is None else refused.rejection


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_status_that_may_be_about_the_key_is_when_its_body_says_so(status: int) -> None:
    found = held(status, error("invalid_api_key")).judged(integration(400, 401, 403))
    assert rejection_of(found) is Rejection.UPSTREAM_KEY_REJECTED


def test_an_error_in_an_array_is_read_as_well() -> None:
    found = held(400, b"[" + error("invalid_api_key") + b"\n]\n").judged(integration(400))
    assert rejection_of(found) is Rejection.UPSTREAM_KEY_REJECTED


@pytest.mark.parametrize("body", [error("invalid_value"), b"", b"<html>", error("x", "a" * 70_000)])
def test_any_other_400_passes_as_it_came(body: bytes) -> None:
    response = held(400, body[:7], body[7:])
    assert response.judged(integration(400, 401)) is None
    assert (response.wire, response.spans) == (body, None)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_400_that_shows_the_key_is_answered_without_the_key(pack: type[bytes]) -> None:
    found = held(400, pack(error("odd", f"Consumer 'api_key:{KEY}' is odd."))).judged(integration(400, 401))
    assert found is not None
    assert found.rejection is Rejection.UPSTREAM_REFUSED_UNEXPLAINED
    assert KEY not in str(found)


def test_a_401_never_passes() -> None:
    found = held(401, error("invalid_value")).judged(integration(401))
    assert rejection_of(found) is Rejection.UPSTREAM_REFUSED_UNEXPLAINED


@pytest.mark.parametrize(
    ("status", "rejection"),
    [(400, Rejection.UPSTREAM_KEY_REJECTED), (403, Rejection.UPSTREAM_UPGRADE_REFUSED)],
)
def test_the_refusal_of_a_websocket_is_about_the_key_by_the_rows_statuses_alone(
    status: int, rejection: Rejection
) -> None:
    body = error("invalid_api_key")
    assert rejection_of(held(status, body, is_websocket=True).judged(integration(400, 401))) is rejection


def test_the_payload_of_chunks_is_judged_and_their_bytes_are_kept() -> None:
    body = error("invalid_api_key")
    half = len(body) // 2
    response = held(400)
    for part in (body[:half], body[half:]):
        framed = b"%x;x=1\r\n%b\r\n" % (len(part), part)
        start = framed.index(b"\r\n") + 2
        assert response.take(framed, [(start, start + len(part))])
    assert rejection_of(response.judged(integration(400))) is Rejection.UPSTREAM_KEY_REJECTED
    assert response.spans is not None
    assert b"".join(response.wire[start:end] for start, end in response.spans) == body


def test_what_is_kept_has_a_limit() -> None:
    response = held(400)
    assert response.take(b"x" * (MAX_HELD_BYTES - 1), None)
    assert not response.take(b"x", None)


@pytest.mark.parametrize("is_websocket", [False, True])
def test_a_reason_with_half_a_surrogate_pair_is_told_without_the_half(*, is_websocket: bool) -> None:
    refused = held(401, error("odd", "Not \ud800today."), is_websocket=is_websocket).judged(integration(401))
    assert "Not today." in str(refused)


def test_a_reason_that_hides_the_key_between_unprintable_characters_is_withheld() -> None:
    refused = held(401, error("odd", "Odd: " + "\u200b".join(KEY))).judged(integration(401))
    assert KEY not in str(refused)
