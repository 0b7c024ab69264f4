"""The token cost stated by an answer, whatever the answer's shape and however cut."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.usage.kept import MAX_KEPT_BYTES
from services.data_plane.core.usage.payload import SLICE_BYTES
from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.tap import BATCH_BYTES, UsageTap
from services.data_plane.core.usage.tokens import NoUsage, Usage
from tests.support.usage_answers import CHAT, chat, chunked, events, passed, read, sized

FOLDER = Path(__file__).parents[4] / "corpus" / "streams"
RECORDINGS = {file.stem: file.read_bytes().partition(b"\r\n\r\n")[2] for file in FOLDER.glob("*.http")}
SAID = {
    "anthropic-error-mid-stream": NoUsage.INCOMPLETE,
    "anthropic-messages-with-ping": Usage(25, 0, 0, 15, 0),
    "anthropic-thinking-and-tool-use": Usage(25, 0, 0, 15, 0),
    "openai-chat": Usage(9, 0, 0, 7, 0),
    "openai-chat-cut-inside-characters": Usage(9, 0, 0, 7, 0),
    "openai-chat-one-event-per-chunk": Usage(9, 0, 0, 7, 0),
    "openai-error-mid-stream": NoUsage.ABSENT,
    "openai-responses": Usage(9, 0, 0, 7, 0),
}

RESPONSES = {
    "input_tokens": 328,
    "input_tokens_details": {"cached_tokens": 300},
    "output_tokens": 52,
    "output_tokens_details": {"reasoning_tokens": 40},
    "total_tokens": 380,
}
MESSAGES = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 188,
    "cache_read_input_tokens": 2000,
    "cache_creation": {"ephemeral_5m_input_tokens": 188, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 393,
    "service_tier": "standard",
}
FAKE = '"usage":{"prompt_tokens":1,"completion_tokens":2,"input_tokens":3,"output_tokens":4}'


def long_messages_stream() -> bytes:
    start = {"type": "message", "role": "assistant", "content": [], "usage": {**MESSAGES, "output_tokens": 1}}
    deltas = [
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": f"{number} {FAKE}"}}
        for number in range(60)
    ]
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 393}}
    first = {"type": "message_start", "message": start}
    return events(first, {"type": "ping"}, *deltas, end, {"type": "message_stop"}, named=True)


def long_chat_stream() -> bytes:
    chunks = [{"choices": [{"delta": {"content": f"{n} {FAKE}"}}], "usage": None} for n in range(60)]
    return events(*chunks, {"choices": [], "usage": CHAT}, "[DONE]")


def responses_stream() -> bytes:
    tools = [{"name": "f", "parameters": {"properties": {"usage": {"input_tokens": {"type": "integer"}}}}}]
    text = " ".join(map(str, range(2000)))
    end = {
        "output": [{"text": text}],
        "tools": tools,
        "usage": RESPONSES,
        "user": None,
        "metadata": {"a": "b"},
    }
    created = {"type": "response.created", "response": {"tools": tools, "usage": None}}
    return events(created, {"type": "response.completed", "response": end}, named=True)


LONG = {
    "messages": (long_messages_stream(), Usage(2209, 2000, 188, 393, 0)),
    "chat": (long_chat_stream(), Usage(1117, 1024, 0, 46, 20)),
    "responses": (responses_stream(), Usage(328, 300, 0, 52, 40)),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_stream_says_the_same_however_it_is_cut(name: str) -> None:
    raw, said = RECORDINGS[name], SAID[name]
    assert read(raw) == said
    assert read(*sized(raw, 1)) == said
    for at in range(1, len(raw)):
        assert read(raw[:at], raw[at:]) == said, f"cut at {at}"


@pytest.mark.parametrize("name", LONG)
def test_a_long_stream_says_the_same_in_chunks_and_pieces_of_any_size(name: str) -> None:
    stream, said = LONG[name]
    assert read(stream) == said
    for size in (*range(1, 60), 100, 205, 1000, BATCH_BYTES, len(stream)):
        wire = chunked(stream, max(size, 7))
        assert read(*sized(wire, size)) == said, f"chunks and pieces of {size}"
        assert read(*sized(stream, size)) == said, f"pieces of {size}"
    wire = chunked(stream, 150)
    for at in range(1, len(wire), 7):
        assert read(wire[:at], wire[at:]) == said, f"cut at {at}"
    for cut in range(40):
        assert read(*sized(chunked(stream, 60 + cut), 333)) == said


def test_a_stream_that_was_broken_off_is_not_read_by_its_beginning() -> None:
    stream, said = LONG["messages"]
    for size in (6000, 1000):
        tap = passed(sized(chunked(stream, 150)[:size], 99))
        assert tap.read(SHAPES["anthropic"], is_whole=False).usage is NoUsage.CUT
    tap = passed([stream[: -len(b"event: message_stop")]])
    assert tap.read(SHAPES["anthropic"], is_whole=False).usage == said


def test_where_every_chunk_says_it_the_last_one_holds() -> None:
    said = [
        {"usage": {"prompt_tokens": 5, "completion_tokens": number, "total_tokens": 5 + number}}
        for number in range(200)
    ]
    assert read(*sized(events(*said, "[DONE]"), 64)) == Usage(5, 0, 0, 199, 0)


def test_a_usage_in_the_middle_of_a_very_long_document_is_too_far_away() -> None:
    body = (
        b'{"a":"'
        + b"x" * 60_000
        + b'","usage":{"prompt_tokens":5,"total_tokens":5},"b":"'
        + b"y" * 60_000
        + b'"}'
    )
    for size in (1, 500, 2000, 4000, len(body)):
        assert read(*sized(body, size)) is NoUsage.TOO_LONG


@pytest.mark.parametrize("filling", [0, 30_000, 300_000])
def test_a_long_document_is_read_by_its_ends(filling: int) -> None:
    body = json.dumps({"id": "c", "model": "m", **chat("x" * filling)}).encode()
    for wire in (body, chunked(body, 700)):
        for size in (999, len(wire)):
            reading = passed(sized(wire, size)).read()
            assert (reading.usage, reading.model) == (Usage(1117, 1024, 0, 46, 20), "m")


def test_what_a_model_writes_is_never_taken_for_what_the_provider_says() -> None:
    assert read(json.dumps({"choices": [{"message": {"content": FAKE + "}"}}]}).encode()) is NoUsage.ABSENT
    assert read(events({"choices": [{"delta": {"content": FAKE}}]})) is NoUsage.ABSENT


@pytest.mark.parametrize("length", [100, 20_000, 2_000_000])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_a_compressed_answer_of_any_length_is_read(length: int, coding: str) -> None:
    text = "".join(random.Random(1).choices("abcdefgh ", k=length))
    packed = PACKERS[coding](json.dumps(chat(text)).encode())
    assert len(packed) > SLICE_BYTES or length < 50_000
    for wire in (packed, chunked(packed, 1000), chunked(packed, 1 << 20)):
        for size in (999, 40_000, len(wire)):
            tap = passed(sized(wire, size))
            assert tap.held_bytes <= MAX_KEPT_BYTES + len(wire[:size])
            assert tap.read().usage == Usage(1117, 1024, 0, 46, 20)


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
def test_what_inflates_beyond_any_text_is_given_up(coding: str) -> None:
    packed = PACKERS[coding](b'{"a":"' + b"x" * 30_000_000)
    assert read(*sized(packed, 1000)) is NoUsage.TOO_LONG


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
def test_a_compressed_stream_is_read(coding: str) -> None:
    stream, said = LONG["messages"]
    packed = PACKERS[coding](stream)
    assert passed(sized(packed, 100)).read(SHAPES["anthropic"]).usage == said


def _deflated(body: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(body) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: _deflated(body, 31),
    "deflate": lambda body: _deflated(body, 15),
    "zstd": zstd.compress,
    "br": partial(brotli.compress, quality=5),
}


def _noise(size: int) -> bytes:
    return random.Random(2).randbytes(size)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(_noise(100_000)),
        gzip.compress(json.dumps(chat("x")).encode())[:12] + b"\0" * 40,
        b"\x8b\x03\x80" + _noise(300),  # as Brotli's answers look
        b"\x28\xb5\x2f\xfd" + _noise(300),  # Zstandard's (RFC 8878 §3.1.1)
        b"\xff\xfb\x90\x44" + _noise(9000),  # spoken text
    ],
    ids=["noise", "broken", "br", "zstd", "mp3"],
)
def test_what_cannot_be_read_is_unreadable_and_not_guessed(body: bytes) -> None:
    for wire in (body, chunked(body, 700)):
        assert read(wire) is NoUsage.UNREADABLE
        assert read(*sized(wire, 500)) is NoUsage.UNREADABLE


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"usage":',
        b'{"usage":null}',
        b'{"usage":{"prompt_tokens":',
        b'{"usage":' + b"[" * 5000,
        b'{"usage":{"a":' + b"[" * 1900,
        b'{"usage":{"prompt_tokens":' + b"9" * 5000,
        b'{"usage":{"prompt_tokens":5,"total_tokens":' + b"9" * 5000 + b"}}",
        b'"usage":{}' * 1000,
        b'{"usage":{"prompt_tokens":x' * 400,
        b'data: {"usage":{"prompt_tokens":x}}\n\n' * 400,
        b'data: {"usage":{' + b'"a":{' * 20_000,
        b"ffffffffffffffff\r\n" * 500,
        b"\r\n0" * 3000,
        b"1\r\n1\r\n" * 800,
        b"\r\n5" + b" " * 5000,
        b"\r\n5;" + b"x" * 5000 + b"\r\n",
        b"a plain transcription",
    ],
)
def test_hostile_answers_say_nothing(body: bytes) -> None:
    for shape in SHAPES.values():
        assert isinstance(UsageTap(body).read(shape).usage, NoUsage)
        assert isinstance(passed(sized(body, 3)).read(shape).usage, NoUsage)


FRAGMENTS = st.sampled_from(
    [
        b'"usage":{"prompt_tokens":5,"completion_tokens":6}',
        b'"usage"',
        b'{"usage":{',
        b"}" * 3,
        b"[" * 1200,
        b"\r\n",
        b"5\r\n",
        b"0\r\n\r\n",
        b"a;x=1\r\n",
        gzip.compress(b'{"usage":{"prompt_tokens":5}}'),
        b"x\x9c",
        b"\x28\xb5\x2f\xfd",
        b"data: ",
        b"\n\n",
        b"event: message_start\ndata: ",
        b"x" * 3000,
    ]
)


@given(st.lists(st.one_of(st.binary(max_size=200), FRAGMENTS), max_size=60))
def test_nothing_that_passes_makes_it_fail_or_grow(pieces: Sequence[bytes]) -> None:
    tap = UsageTap()
    before = list(map(bytes, pieces))
    for piece in pieces:
        tap.take(piece)
        assert tap.held_bytes <= MAX_KEPT_BYTES
    found = tap.read().usage
    assert isinstance(found, NoUsage) or all(type(count) is int and count >= 0 for count in found)
    assert list(pieces) == before


@given(st.binary(max_size=6000), st.integers(1, 6000))
def test_any_bytes_say_the_same_however_they_are_cut(data: bytes, size: int) -> None:
    assert read(*sized(data, size)) == read(data)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_json_in_its_place_does_not_make_it_fail(value: object) -> None:
    read(json.dumps({"usage": value}).encode())
    read(json.dumps({"usage": {"prompt_tokens": value, "prompt_tokens_details": value}}).encode())


def test_a_stream_of_any_length_keeps_a_few_kib() -> None:
    for beginning in (b"", b'{"a":"', b"data: ", b"data: a\n\n", b"\x1f\x8b"):
        tap = passed([beginning, *(b"x" * 200_000 for _ in range(50))])
        assert tap.held_bytes <= MAX_KEPT_BYTES
