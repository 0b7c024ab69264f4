"""Every raw request of `tests/corpus` comes to the outcome in its name, whole and in single bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.reference_parsers import (
    LLHTTP_METHODS,
    NOT_COMPLETE,
    Reading,
    read_with_h11,
    read_with_llhttp,
)
from tests.corpus.replay import Sent, replay

FOLDER = Path(__file__).parents[3] / "corpus" / "requests"
FILES = sorted(FOLDER.glob("*.http"))
FORWARDED = [file for file in FILES if file.name.startswith("forwarded")]
MAX_BYTEWISE_BYTES = 20_000
KNOWN_SMUGGLED = b"/smuggled"


def _expected(file: Path) -> list[str]:
    return file.name.partition("__")[0].split("+")


def _name(file: Path) -> str:
    return file.stem


def _readings(sent: Sent) -> list[Reading | None]:
    raw = sent.sent_head + (sent.body if sent.whole else b"")
    return [read_with_h11(raw), *([read_with_llhttp(raw)] if sent.head.method in LLHTTP_METHODS else [])]


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_a_raw_request_comes_to_the_outcome_in_its_name(file: Path) -> None:
    result = replay([file.read_bytes()])
    assert result.outcomes == _expected(file)


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_the_outcome_does_not_depend_on_how_the_bytes_arrive(file: Path) -> None:
    raw = file.read_bytes()
    step = 1 if len(raw) <= MAX_BYTEWISE_BYTES else 1000
    result = replay(raw[at : at + step] for at in range(0, len(raw), step))
    assert result.outcomes == _expected(file)


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_no_request_that_a_file_hides_in_another_is_sent_on(file: Path) -> None:
    result = replay([file.read_bytes()])
    assert not any(KNOWN_SMUGGLED in sent.sent_head for sent in result.sent)


@pytest.mark.parametrize("file", FORWARDED, ids=_name)
def test_what_is_sent_on_is_one_request_to_every_reader(file: Path) -> None:
    result = replay([file.read_bytes()])
    assert result.sent
    for sent in result.sent:
        for reading in _readings(sent):
            assert reading is not None
            expected = len(sent.sent_head) + len(sent.body) if sent.whole else NOT_COMPLETE
            assert reading.end == expected


def test_the_corpus_is_there_and_every_outcome_is_known() -> None:
    outcomes = {outcome for file in FILES for outcome in _expected(file)}
    assert len(FILES) >= 200
    assert outcomes == {
        *("forwarded", "warm_up", "handed_over", "incomplete", "bad_request", "head_too_large"),
        *("body_too_large", "method_not_allowed", "browser_request_refused", "route_not_allowed"),
    }
