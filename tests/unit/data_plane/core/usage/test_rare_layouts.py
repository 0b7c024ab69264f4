"""Answers in layouts that few providers use: read all the same, or unknown."""

from __future__ import annotations

import gzip
import json
import random
import re

import brotli
import pytest

from services.data_plane.core.usage.kept import WHOLE_BYTES
from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.tokens import NoUsage, Usage
from tests.support.usage_answers import CHAT, chat, chunked, events, passed, read, sized

SAID = Usage(1117, 1024, 0, 46, 20)


@pytest.mark.parametrize("length", [0, 50_000])
def test_a_usage_before_everything_else_is_read(length: int) -> None:
    body = json.dumps(
        {"usage": CHAT, "é": "é", "model": "m", **chat("x" * length)} | {"usage": CHAT}
    ).encode()
    for wire in (body, chunked(body, 700)):
        for size in (999, len(wire)):
            reading = passed(sized(wire, size)).read()
            assert (reading.usage, reading.model) == (SAID, "m")


def test_a_usage_cut_at_the_end_of_the_kept_beginning_is_not_read() -> None:
    for before in range(WHOLE_BYTES - 400, WHOLE_BYTES, 7):
        body = json.dumps({"a": "x" * before, "usage": CHAT, "b": "x" * 50_000}).encode()
        assert read(body) in {NoUsage.TOO_LONG, SAID}


def test_an_inner_usage_behind_a_long_answers_own_changes_nothing() -> None:
    body = json.dumps({**chat("x" * 50_000), "x_groq": {"usage": {"queue_time": 1}}}).encode()
    assert read(body) == SAID


@pytest.mark.parametrize("filling", [0, 30_000])
def test_several_documents_are_no_answer(filling: int) -> None:
    lines = b"\n".join(json.dumps({**chat("x"), "a": "y" * filling}).encode() for _ in range(2))
    assert isinstance(read(lines), NoUsage)


@pytest.mark.parametrize("empty", [b"\n" * 63, b"\n" * 5000, b"\r\n" * 1500])
def test_empty_lines_before_an_answer_change_nothing(empty: bytes) -> None:
    for body in (json.dumps(chat("x")).encode(), events(chat("x"))):
        for wire in (empty + body, chunked(empty + body, 1), gzip.compress(empty + body)):
            for size in (64, 999, len(wire)):
                assert read(*sized(wire, size)) == SAID
    assert read(empty) is NoUsage.ABSENT


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_byte_order_mark_hides_nothing_of_the_first_event(end: bytes) -> None:
    body = b"\xef\xbb\xbf" + events(chat("x")).replace(b"\n", end)
    for wire in (body, chunked(body, 1), gzip.compress(body)):
        assert read(*sized(wire, 64)) == SAID


def test_an_events_data_is_read_with_line_ends_anywhere() -> None:
    data = re.sub(r"([{}:,])", r"\1\n", json.dumps({"usage": CHAT}))
    assert read("".join(f"data: {line}\n" for line in data.split("\n")).encode() + b"\n") == Usage(
        1117, 1024, 0, 46, 20
    )


@pytest.mark.parametrize("length", [60_000, 100_000, 400_000])
def test_a_compressed_answer_that_begins_like_an_array_is_read(length: int) -> None:
    packed = brotli.compress(json.dumps(chat("".join(random.Random(1).choices("abcd ", k=length)))).encode())
    assert packed.startswith(b"[") == (length > 65_536)
    for size in (70, len(packed)):
        assert read(*sized(packed, size)) == SAID


def test_zeros_behind_a_gzip_file_are_padding() -> None:
    packed = gzip.compress(json.dumps(chat("x")).encode())
    assert read(packed + b"\0" * 200) == SAID
    assert read(*sized(packed + b"\0" * 20_000, 100)) == SAID
    assert read(packed + b"\0no file") is NoUsage.UNREADABLE


def test_an_event_that_cannot_be_read_makes_the_sums_unknown() -> None:
    broken = b'data: {"id":"c","usage":{"prompt_tokens":\n\n'
    assert read(events(chat("x")) + broken) is NoUsage.UNREADABLE
    assert read(broken + events(chat("x"))) == SAID


@pytest.mark.parametrize(("stop", "said"), [(None, NoUsage.CUT), ("end_turn", Usage(5, 0, 0, 7, 0))])
def test_a_message_cut_behind_its_sums_is_known_only_with_its_stop(stop: str | None, said: object) -> None:
    body = events(
        {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 7}},
    )
    assert passed([body]).read(SHAPES["anthropic"], is_whole=False).usage == said
