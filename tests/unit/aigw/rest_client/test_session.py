"""Tests of the REST calls of the command line: the message for each answer, and for no answer."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from aigw.failures import UserError
from aigw.rest_client.session import ApiSession
from shared.secret import Secret


def _session(answer: Callable[[httpx.Request], httpx.Response]) -> ApiSession:
    return ApiSession("http://gateway.example/", Secret("a-token"), transport=httpx.MockTransport(answer))


def test_a_call_shows_the_token_and_gives_the_answer_with_its_etag() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url == "http://gateway.example/api/v1/orgs/acme"
        assert request.headers["authorization"] == "Bearer a-token"
        return httpx.Response(200, json={"org": "acme"}, headers={"etag": '"7"'})

    with _session(answer) as api:
        assert api.call("GET", "/orgs/acme") == ({"org": "acme"}, '"7"')


def test_every_page_of_a_list_is_read() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        second = request.url.params.get("cursor") == "next"
        return httpx.Response(
            200, json={"items": [2] if second else [1], "next_cursor": None if second else "next"}
        )

    with _session(answer) as api:
        assert api.items("/orgs") == [1, 2]


def test_a_refusal_is_told_with_its_detail_and_its_faults() -> None:
    problem = {
        "title": "A field is not valid",
        "detail": "See the fields.",
        "errors": [{"detail": "This is too short.", "pointer": "#/name"}],
    }
    with (
        _session(lambda _: httpx.Response(422, json=problem)) as api,
        pytest.raises(
            UserError, match=r"^A field is not valid\. See the fields\. #/name: This is too short\.$"
        ),
    ):
        api.call("PUT", "/orgs/acme", {"name": ""})


def test_an_answer_that_is_no_control_planes_is_said_to_be_none() -> None:
    with (
        _session(lambda _: httpx.Response(502, text="<html>")) as api,
        pytest.raises(UserError, match="not from a control plane"),
    ):
        api.call("GET", "/orgs")


def _lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("lost", request=request)


def test_a_change_without_an_answer_is_not_said_to_have_failed() -> None:
    with (
        _session(_lost) as api,
        pytest.raises(UserError, match="It is not known whether the change was made"),
    ):
        api.call("PUT", "/orgs/acme", {"name": "Acme"})


def test_a_read_without_an_answer_may_be_repeated() -> None:
    with _session(_lost) as api, pytest.raises(UserError, match="Try again"):
        api.call("GET", "/orgs/acme")


def test_without_a_token_nothing_is_called() -> None:
    with pytest.raises(UserError, match="AIGW_API_TOKEN_FILE"):
        ApiSession("http://gateway.example", Secret(""))


@pytest.mark.parametrize("token", ["\ufeffa-token", "a-t\u00f6ken", "a-token\nanother"])
def test_a_token_that_no_header_can_hold_is_told_without_the_token(token: str) -> None:
    with pytest.raises(UserError, match="holds a character that no token has") as caught:
        ApiSession("http://gateway.example", Secret(token))
    assert "a-t" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["gateway", "http://", "http://[::1", "http://h:port", "ftp://h", "http://user:a-password@h"]
)
def test_an_address_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(UserError, match="AIGW_API_URL is no address of a control plane") as caught:
        ApiSession(url, Secret("a-token"))
    assert "a-password" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, text="<html>"), httpx.Response(200, json=[1]), httpx.Response(200)]
)
def test_a_list_that_is_no_control_planes_is_said_to_be_none(answer: httpx.Response) -> None:
    with (
        _session(lambda _: answer) as api,
        pytest.raises(UserError, match="The answer was 200, and not from a control plane"),
    ):
        api.items("/orgs")
