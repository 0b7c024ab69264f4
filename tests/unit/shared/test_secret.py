"""Tests of `shared/secret.py`: no ordinary way of showing a value shows a secret."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from shared.secret import Secret

CANARY = "sk-canary-4f1d9a"


class Card(BaseModel):
    model_config = ConfigDict(frozen=True)

    key: Secret


@dataclass(frozen=True, slots=True)
class Holder:
    key: Secret


def test_reveal_gives_the_text() -> None:
    assert Secret(CANARY).reveal() == CANARY


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        format,
        "{}".format,
        "{:>40}".format,
        "{!r:.3}".format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # the way of formatting is what is tested
        lambda secret: f"{[secret]} { ({'key': secret}) } {Holder(secret)}",
        lambda secret: pprint.pformat({"key": [secret]}),
        lambda secret: repr(Card(key=secret)),
        lambda secret: str(Card(key=secret).model_dump()),
        lambda secret: str(Card(key=secret).model_dump(mode="json")),
        lambda secret: Card(key=secret).model_dump_json(),
        lambda secret: TypeAdapter(Holder).dump_json(Holder(secret)).decode(),
        lambda secret: json.dumps({"key": secret}, default=str),
        lambda secret: str(TypeAdapter(Secret).dump_python(secret)),
        lambda secret: repr(dir(secret)),
    ],
)
def test_no_way_of_printing_shows_it(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(CANARY))
    assert CANARY not in shown
    assert CANARY[-4:] not in shown


def test_a_log_line_shows_stars(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("the key is %s", Secret(CANARY))
    assert caplog.messages == ["the key is Secret(***)"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError) as caught:
        pickle.dumps(Secret(CANARY), protocol)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda: copy.copy(Secret(CANARY)),
        lambda: copy.deepcopy([Secret(CANARY)]),
        lambda: asdict(Holder(Secret(CANARY))),
    ],
)
def test_it_is_not_copied(duplicate: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="not pickled or copied"):
        duplicate()


def test_json_refuses_it() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps({"key": Secret(CANARY)})


def test_it_has_no_attributes_to_dump_and_no_hash_to_compare() -> None:
    assert not hasattr(Secret(CANARY), "__dict__")
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(CANARY))


def test_a_traceback_with_local_variables_shows_stars() -> None:
    def fail(secret: Secret) -> None:
        raise RuntimeError(f"could not use {secret}")

    with pytest.raises(RuntimeError) as caught:
        fail(Secret(CANARY))  # by its name: the quoted source line must not hold the text
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "Secret(***)" in shown
    assert CANARY not in shown


@pytest.mark.parametrize("given_key", [[CANARY], {"key": CANARY}, CANARY.encode(), {CANARY}, (CANARY, 1)])
def test_a_validation_error_does_not_quote_what_was_given(given_key: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Card(key=given_key)
    for shown in (str(caught.value), repr(caught.value), str(caught.value.errors()), caught.value.json()):
        assert CANARY not in shown


@pytest.mark.parametrize("body", [[CANARY], {"key": CANARY}, 7, None])
def test_a_validation_error_of_a_json_body_does_not_quote_it_either(body: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Card.model_validate_json(json.dumps({"key": body}))
    assert CANARY not in str(caught.value) + caught.value.json()


def test_a_model_takes_it_as_text_from_json_and_from_python_or_as_itself() -> None:
    assert Card.model_validate_json(json.dumps({"key": CANARY})).key.reveal() == CANARY
    assert Card.model_validate({"key": CANARY}).key.reveal() == CANARY
    secret = Secret(CANARY)
    assert Card(key=secret).key is secret
    assert Card.model_json_schema()["properties"]["key"]["type"] == "string"


@given(st.text(), st.text())
def test_two_secrets_are_equal_when_their_texts_are(one: str, other: str) -> None:
    assert Secret(one) == Secret(one)
    assert (Secret(one) == Secret(other)) is (one == other)
    assert bool(Secret(one)) is bool(one)


def test_comparing_texts_that_are_not_utf8_raises_no_error_that_would_hold_them() -> None:
    assert Secret(CANARY + "\udc80") != Secret(CANARY)


def test_it_is_not_equal_to_its_own_text() -> None:
    assert (Secret(CANARY) == CANARY) is False
