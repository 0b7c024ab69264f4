"""The tokens that an answer says it cost, whatever its shape and however it is cut."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.usage import (
    HEAD_BYTES,
    MAX_COMPRESSED_BYTES,
    MAX_INFLATED_BYTES,
    TAIL_BYTES,
    TRIM_BYTES,
    WHOLE_BYTES,
    NoUsage,
    Usage,
    UsageTap,
)

FOLDER = Path(__file__).parents[3] / "corpus" / "streams"
RECORDINGS = {file.stem: file.read_bytes().partition(b"\r\n\r\n")[2] for file in FOLDER.glob("*.http")}
SAID = {
    "anthropic-error-mid-stream": Usage(25, 0, 0, 1, 0),
    "anthropic-messages-with-ping": Usage(25, 0, 0, 15, 0),
    "anthropic-thinking-and-tool-use": Usage(25, 0, 0, 15, 0),
    "openai-chat": Usage(9, 0, 0, 7, 0),
    "openai-chat-cut-inside-characters": Usage(9, 0, 0, 7, 0),
    "openai-chat-one-event-per-chunk": Usage(9, 0, 0, 7, 0),
    "openai-error-mid-stream": NoUsage.ABSENT,
    "openai-responses": Usage(9, 0, 0, 7, 0),
}

CHAT = {
    "prompt_tokens": 1117,
    "completion_tokens": 46,
    "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 20,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
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


def passed(pieces: Iterable[bytes]) -> UsageTap:
    """A tap after the pieces have passed, as the relay passes them."""
    waiting = iter(pieces)
    tap = UsageTap(next(waiting, b""))
    for piece in waiting:
        tap.take(piece)
    return tap


def read(*pieces: bytes) -> Usage | NoUsage:
    return passed(pieces).read()


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def sized(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def chat(text: str, usage: dict[str, Any] | None = None) -> dict[str, Any]:
    choices = [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]
    return {"id": "chatcmpl-1", "choices": choices, "usage": usage or CHAT, "service_tier": "default"}


def events(*data: object, named: bool = False) -> bytes:
    """Write server-sent events as a provider does."""
    lines = []
    for one in data:
        if named and isinstance(one, dict):
            lines.append(f"event: {one['type']}\n")
        lines.append(
            f"data: {json.dumps(one, separators=(',', ':')) if not isinstance(one, str) else one}\n\n"
        )
    return "".join(lines).encode()


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


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("usage", "said"),
    [
        (CHAT, Usage(1117, 1024, 0, 46, 20)),
        ({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}, Usage(5, 0, 0, 7, 0)),
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8, 0, 0, 0, 0)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "total_tokens": 12,
                "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0, "image_tokens": 1},
                "completion_tokens_details": {"audio_tokens": 0, "reasoning_tokens": 6},
            },
            Usage(5, 2, 0, 7, 6),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "prompt_tokens_details": None},
            Usage(5, 0, 0, 7, 0),
        ),
        (RESPONSES, Usage(328, 300, 0, 52, 40)),
        (MESSAGES, Usage(2209, 2000, 188, 393, 0)),
        ({"input_tokens": 1, "output_tokens": 2, "iterations": [{"input_tokens": 9}]}, Usage(1, 0, 0, 2, 0)),
        ({"prompt_tokens": True, "completion_tokens": 10**13}, Usage(0, 0, 0, 0, 0)),
        ({"prompt_tokens": -1, "completion_tokens": 1.5}, Usage(0, 0, 0, 0, 0)),
        ({"prompt_tokens": 3, "prompt_tokens_details": "none"}, Usage(3, 0, 0, 0, 0)),
        ({"type": "duration", "seconds": 3}, NoUsage.ABSENT),
    ],
)
@pytest.mark.parametrize("filling", [0, 10_000])
def test_a_document_says_it_near_its_end(
    usage: dict[str, Any], said: Usage | NoUsage, indent: int | None, filling: int
) -> None:
    body = json.dumps(chat("x" * filling, usage), indent=indent).encode()
    assert read(body) == said
    assert read(b"", *sized(body, 100)) == said
    assert read(chunked(body, 300)) == said
    assert read(b"\n" + body) == said


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
    assert len(stream) > WHOLE_BYTES
    assert read(stream) == said
    for size in (*range(1, 60), 100, 205, 1000, TAIL_BYTES, WHOLE_BYTES, len(stream)):
        wire = chunked(stream, max(size, 7))
        assert read(*sized(wire, size)) == said, f"chunks and pieces of {size}"
        assert read(*sized(stream, size)) == said, f"pieces of {size}"
    wire = chunked(stream, 150)
    for at in range(1, len(wire), 7):
        assert read(wire[:at], wire[at:]) == said, f"cut at {at}"
    for cut in range(40):
        assert read(*sized(chunked(stream, 60 + cut), 333)) == said


def test_a_stream_that_was_broken_off_says_what_it_had_said() -> None:
    stream, _ = LONG["messages"]
    assert read(*sized(chunked(stream, 150)[:6000], 99)) == Usage(2209, 2000, 188, 1, 0)
    assert read(chunked(stream, 150)[:1000]) == Usage(2209, 2000, 188, 1, 0)


def test_where_every_chunk_says_it_the_last_one_holds() -> None:
    said = [{"usage": {"prompt_tokens": 5, "completion_tokens": number}} for number in range(200)]
    assert read(*sized(events(*said, "[DONE]"), 64)) == Usage(5, 0, 0, 199, 0)


def test_a_null_takes_nothing_back() -> None:
    first = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
    last = {"type": "message_delta", "usage": {"input_tokens": None, "output_tokens": 3}}
    assert read(events(first, last)) == Usage(5, 0, 0, 3, 0)
    assert read(events(last, {"usage": None}, {"usage": {}})) == Usage(0, 0, 0, 3, 0)


def test_what_stands_in_the_middle_of_a_long_answer_is_not_seen_however_it_is_cut() -> None:
    body = b'{"a":"' + b"x" * 2000 + b'","usage":{"prompt_tokens":5},"b":"' + b"y" * 2100 + b'"}'
    assert len(body) > WHOLE_BYTES
    for size in (1, 500, 2000, 4000, 5000):
        assert read(*sized(body, size)) is NoUsage.ABSENT


def test_what_a_model_writes_is_never_taken_for_what_the_provider_says() -> None:
    assert read(json.dumps({"choices": [{"message": {"content": FAKE + "}"}}]}).encode()) is NoUsage.ABSENT
    assert read(events({"choices": [{"delta": {"content": FAKE}}]})) is NoUsage.ABSENT


@pytest.mark.parametrize("length", [100, 20_000])
@pytest.mark.parametrize("wbits", [31, 15], ids=["gzip", "deflate"])
def test_a_compressed_answer_is_read_when_it_is_small(length: int, wbits: int) -> None:
    text = "".join(random.Random(1).choices("abcdefgh ", k=length))
    packer = zlib.compressobj(wbits=wbits)
    packed = packer.compress(json.dumps(chat(text)).encode()) + packer.flush()
    assert len(packed) > WHOLE_BYTES or length < WHOLE_BYTES
    for wire in (packed, chunked(packed, 1000), chunked(packed, 1 << 20)):
        assert read(wire) == Usage(1117, 1024, 0, 46, 20)
        for size in (1, 10, 999):
            assert read(*sized(wire, size)) == Usage(1117, 1024, 0, 46, 20)


def _noise(size: int) -> bytes:
    return random.Random(2).randbytes(size)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(_noise(MAX_COMPRESSED_BYTES)),
        gzip.compress(b" " * 50 * MAX_INFLATED_BYTES),
        gzip.compress(json.dumps(chat("x")).encode())[:12] + b"\0" * 40,
        b"\x8b\x03\x80" + _noise(300),  # as Brotli's answers look
        b"\x28\xb5\x2f\xfd" + _noise(300),  # Zstandard's (RFC 8878 §3.1.1)
        b"\xff\xfb\x90\x44" + _noise(9000),  # spoken text
    ],
    ids=["large", "bomb", "broken", "br", "zstd", "mp3"],
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
        b'"usage":{}' * 1000,
        b'"usage":{"prompt_tokens":x' * 400,
        b"ffffffffffffffff\r\n" * 500,
        b"\r\n0" * 3000,
        b"1\r\n1\r\n" * 800,
        b"\r\n5" + b" " * 5000,
        b"\r\n5;" + b"x" * 5000 + b"\r\n",
    ],
)
def test_hostile_answers_say_nothing(body: bytes) -> None:
    assert read(body) is NoUsage.ABSENT
    assert read(*sized(body, 3)) is NoUsage.ABSENT


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
        assert tap.held_bytes <= (
            MAX_COMPRESSED_BYTES if tap._compressed else HEAD_BYTES + TAIL_BYTES + TRIM_BYTES
        )
    found = tap.read()
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
    tap = passed(b"x" * 200_000 for _ in range(50))
    assert tap.held_bytes <= HEAD_BYTES + 2 * TAIL_BYTES
