"""Tests of `shared/rejections.py`: statuses as promised to clients, sentences a person can act on."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers import PROVIDERS
from shared.rejections import MAX_DETAIL_CHARS, Place, Rejection

STATUSES = {
    "integration_missing": 400,
    "integration_disabled": 400,
    "box_identity_required": 400,
    "route_not_allowed": 400,
    "browser_request_refused": 400,
    "upstream_key_rejected": 400,
    "upstream_request_refused": 400,
    "upstream_refused_unexplained": 400,
    "upstream_upgrade_refused": 426,
    "upstream_unreachable": 502,
    "upstream_invalid": 502,
    "upstream_redirect": 502,
    "upstream_timeout": 504,
    "config_unavailable": 503,
    "gateway_unreachable": 503,
    "overloaded": 503,
    "bad_request": 400,
    "not_found": 404,
    "method_not_allowed": 400,
    "request_timeout": 408,
    "head_too_large": 431,
    "body_too_large": 413,
}
WHO_CAN_ACT = {
    "org": ("organization owner",),
    "operator": ("operator",),
    "box": ("program", "Programs", "Try again", "Use ", "Send ", "Do this", "base URLs"),
    "provider": ("Try again", "Use plain HTTP"),
}
LONGEST_TITLE = max((provider.title for provider in PROVIDERS.values()), key=len)

every_rejection = pytest.mark.parametrize("rejection", Rejection, ids=lambda rejection: rejection.code)


def test_every_code_has_the_status_that_clients_were_promised() -> None:
    assert {rejection.code: rejection.status for rejection in Rejection} == STATUSES


def test_no_entry_hides_behind_another_with_equal_values() -> None:
    assert list(Rejection.__members__) == [rejection.name for rejection in Rejection]


@every_rejection
def test_the_sentence_is_one_printable_line_under_300_characters(rejection: Rejection) -> None:
    sentence = rejection.render(LONGEST_TITLE, "x" * 10_000, Place("https://" + "p" * 60, "h" * 300))
    assert len(sentence) < 300
    assert sentence.isascii()
    assert sentence.isprintable()
    assert sentence[0].isupper()


@every_rejection
def test_the_sentence_says_who_can_act(rejection: Rejection) -> None:
    sentence = rejection.render("OpenAI", "some detail")
    assert any(words in sentence for words in WHO_CAN_ACT[rejection.fault])


@every_rejection
def test_the_sentence_names_only_what_is_known_of_the_request(rejection: Rejection) -> None:
    names = {name for _, name, _, _ in string.Formatter().parse(rejection.value.message) if name is not None}
    assert names <= {"provider", "detail", "portal", "refuser", "mender"}
    assert "{" not in rejection.render("OpenAI", "x")


@every_rejection
def test_an_empty_detail_leaves_no_empty_brackets(rejection: Rejection) -> None:
    assert "()" not in rejection.render("OpenAI")


@given(st.sampled_from(Rejection), st.text())
def test_no_detail_breaks_the_line_or_the_length(rejection: Rejection, detail: str) -> None:
    sentence = rejection.render("OpenAI", detail)
    assert len(sentence.splitlines()) == 1
    assert len(sentence) < 300


def test_a_detail_in_braces_is_text() -> None:
    assert "{provider}" in Rejection.BAD_REQUEST.render("OpenAI", "{provider}")


def test_a_detail_is_cut_at_its_limit() -> None:
    assert "x" * MAX_DETAIL_CHARS in Rejection.BAD_REQUEST.render("OpenAI", "x" * 999)
    assert "x" * (MAX_DETAIL_CHARS + 1) not in Rejection.BAD_REQUEST.render("OpenAI", "x" * 999)


@every_rejection
def test_retrying_is_suggested_only_where_it_helps(rejection: Rejection) -> None:
    assert ("Try again" in rejection.render("OpenAI", "x")) <= rejection.retry_helps


@every_rejection
def test_a_wait_is_small_and_only_told_where_retrying_helps(rejection: Rejection) -> None:
    seconds = rejection.retry_after_seconds
    assert seconds is None or (rejection.retry_helps and 0 < seconds <= 5)
    assert (seconds is not None) == (rejection.status == 503)


@every_rejection
def test_a_400_is_never_worth_a_retry(rejection: Rejection) -> None:
    assert rejection.status != 400 or not rejection.retry_helps


@every_rejection
def test_the_source_is_the_provider_exactly_when_the_code_says_upstream(rejection: Rejection) -> None:
    assert (rejection.source == "upstream") == rejection.code.startswith("upstream_")


OWN = Place(host="api.openai.com", is_own=True)
CUSTOM = Place("https://portal.example", "gateway.example:8443")


def test_a_refused_key_names_who_refused() -> None:
    said = Rejection.UPSTREAM_KEY_REJECTED.render
    assert said("OpenAI", place=OWN).startswith("OpenAI (api.openai.com) did not accept")
    custom = said("OpenAI", place=CUSTOM)
    assert custom.startswith("The host gateway.example:8443, a custom endpoint for OpenAI, did not accept")
    assert "https://portal.example: Org Settings > AI Integrations > OpenAI." in custom


def test_an_endpoint_that_is_not_reached_names_who_can_mend_that() -> None:
    said = Rejection.UPSTREAM_UNREACHABLE.render
    assert "operator should check the gateway's network" in said("OpenAI", "refused", OWN)
    assert "gateway.example:8443" in said("OpenAI", "refused", CUSTOM)
    assert "owner should check the endpoint in the run9 Portal" in said("OpenAI", "refused", CUSTOM)


def test_an_address_of_the_portal_that_is_too_long_is_left_out() -> None:
    sentence = Rejection.INTEGRATION_MISSING.render("OpenAI", place=Place("https://" + "p" * 190))
    assert "ppp" not in sentence
    assert "Org Settings > AI Integrations > OpenAI" in sentence
