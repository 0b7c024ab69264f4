"""Where a body ends: for lengths, chunks and recorded streams, whatever way the bytes are cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.framing import (
    MAX_CHUNK_LINE_BYTES,
    MAX_TRAILER_BYTES,
    NOT_ENDED,
    BadFraming,
    ChunkedFraming,
    Framing,
    LengthFraming,
    UntilCloseFraming,
    is_whole_chunk,
)
from services.data_plane.core.response_head import parse_response_head
from tests.corpus.reference_parsers import NOT_COMPLETE, read_with_h11, read_with_llhttp
from tests.corpus.replay import LIMITS
from tests.unit.data_plane.core.generated import splits, whole_chunked

RECORDINGS = sorted((Path(__file__).parents[3] / "corpus" / "streams").glob("*.http"))
AFTER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def end_of(framing: Framing, pieces: list[bytes]) -> int:
    """Where in the whole stream the body ends, or `NOT_ENDED`; raises `BadFraming`."""
    before = 0
    for piece in pieces:
        end = framing.feed(piece)
        if end != NOT_ENDED:
            return before + end
        before += len(piece)
    return NOT_ENDED


@given(length=st.integers(1, 40), stream=st.binary(max_size=60), data=st.data())
def test_a_length_ends_where_it_says(length: int, stream: bytes, data: st.DataObject) -> None:
    expected = length if len(stream) >= length else NOT_ENDED
    assert end_of(LengthFraming(length), data.draw(splits(stream))) == expected


def test_no_byte_ends_what_the_connection_ends() -> None:
    assert UntilCloseFraming().feed(b"0\r\n\r\n") == NOT_ENDED


@given(
    size=st.sampled_from(
        [b"0", b"1", b"a", b"A", b"0a", b"fff", b"1000", b"-1", b"+a", b"a ", b" a", b"a_a", b""]
    ),
    payload=st.integers(0, 12) | st.just(0xFFF) | st.just(0x1000),
    end=st.sampled_from([b"\r\n", b"\n\n", b"\r\r", b"\n", b"", b"\r\n0\r\n\r\n", b"\r\n\r\n"]),
    line_end=st.sampled_from([b"\r\n", b"\n", b";x\r\n"]),
)
def test_what_is_called_a_whole_chunk_leaves_a_framing_at_a_border_as_it_is(
    size: bytes, payload: int, end: bytes, line_end: bytes
) -> None:
    data = size + line_end + b"x" * payload + end
    framing = ChunkedFraming()
    if is_whole_chunk(data):
        assert framing.feed(data) == NOT_ENDED
        assert framing.at_border
        assert framing.feed(b"0\r\n\r\n") == 5


@pytest.mark.parametrize("payload", [1, 9, 10, 172, 0xFFF])
def test_a_chunk_of_a_common_size_is_a_whole_one_and_nothing_less_or_more_is(payload: int) -> None:
    chunk = b"%x\r\n" % payload + b"x" * payload + b"\r\n"
    assert is_whole_chunk(chunk)
    for other in [*(chunk[:at] for at in range(len(chunk))), chunk + b"\r", chunk + chunk, b"\r\n" + chunk]:
        assert not is_whole_chunk(other), other


@given(body=whole_chunked, data=st.data())
def test_a_border_is_where_a_chunk_may_begin(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body)))
    framing = ChunkedFraming(padded=True)
    framing.feed(body[:at])
    if framing.at_border:
        assert framing.feed(b"2\r\nxx\r\n" + body[at:]) == 7 + len(body) - at


@given(body=whole_chunked)
def test_a_chunked_body_ends_at_the_same_place_at_every_cut(body: bytes) -> None:
    stream = body + AFTER
    readings = (read_with_h11(CHUNKED_HEAD + body), read_with_llhttp(CHUNKED_HEAD + body))
    assert all(reading is not None and reading.end == len(CHUNKED_HEAD) + len(body) for reading in readings)
    for padded in (False, True):
        for at in range(len(stream) + 1):
            assert end_of(ChunkedFraming(padded=padded), [stream[:at], stream[at:]]) == len(body)


@given(body=whole_chunked, data=st.data())
def test_a_part_of_a_piece_may_be_skipped(body: bytes, data: st.DataObject) -> None:
    framing, before = ChunkedFraming(), 0
    for piece in data.draw(splits(body)):
        skipped = b"?" * data.draw(st.integers(0, 5))
        end = framing.feed(skipped + piece, len(skipped))
        if end != NOT_ENDED:
            assert before + end - len(skipped) == len(body)
            return
        before += len(piece)
    pytest.fail("the body never ended")


@pytest.mark.parametrize(
    ("line", "request_says", "answer_says"),
    [
        (b"5", True, True), (b"0005", True, True), (b"5;a", True, True), (b"5;a=b", True, True),
        (b'5;a="b c"', True, True), (b"5 ", False, True), (b"5\t", False, True), (b"5 ;a", False, True),
        (b"5; a", False, True), (b"5;", False, True), (b"5;a=", False, True), (b" 5", False, False),
        (b"+5", False, False), (b"-5", False, False), (b"0x5", False, False), (b"", False, False),
        (b"5,", False, False), (b"5\0", False, False), (b"5;\0", False, False), (b"5\r", False, False),
        (b"5;a\r", False, False), (b"5\n", False, False), (b"5;a\nb", False, False),
        (b"0000000000000005", False, False),
        (b"5;a\x7f", False, False), (b"5;\xe9", False, True),
    ],
)  # fmt: skip
def test_a_size_line_is_read_strictly_from_a_box_and_leniently_from_a_provider(
    line: bytes, *, request_says: bool, answer_says: bool
) -> None:
    body = line + b"\r\nhello\r\n0\r\n\r\n"
    for padded, accepted in ((False, request_says), (True, answer_says)):
        for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
            try:
                end = end_of(ChunkedFraming(padded=padded), pieces)
            except BadFraming:
                assert not accepted
            else:
                assert accepted
                assert end == len(body)


@pytest.mark.parametrize("excess", [0, 1])
def test_a_size_line_may_be_as_long_as_the_limit_however_it_is_cut(excess: int) -> None:
    line = b"5;a=" + b"b" * (MAX_CHUNK_LINE_BYTES - 6 + excess) + b"\r\n"
    body = line + b"hello\r\n0\r\n\r\n"
    for pieces in ([body], [body[:99], body[99:]], [bytes([byte]) for byte in body]):
        try:
            end = end_of(ChunkedFraming(), pieces)
        except BadFraming:
            assert excess
        else:
            assert not excess
            assert end == len(body)


@pytest.mark.parametrize("excess", [0, 1])
def test_trailers_may_be_as_large_as_the_limit_however_they_are_cut(excess: int) -> None:
    half = b"A: " + b"b" * (MAX_TRAILER_BYTES // 2 - 5)
    body = b"0\r\n" + half + b"\r\n" + half + b"b" * excess + b"\r\n\r\n"
    for pieces in ([body], [body[:5000], body[5000:]], [body[at : at + 7] for at in range(0, len(body), 7)]):
        try:
            end = end_of(ChunkedFraming(), pieces)
        except BadFraming:
            assert excess
        else:
            assert not excess
            assert end == len(body)


@pytest.mark.parametrize("held", [b"5\rX", b"5;\0", b"5 x", b"zz", b"\r", b"5;a\rb", b"5" * 16])
def test_a_beginning_of_a_line_that_can_never_be_one_is_not_passed_on(held: bytes) -> None:
    """The held bytes are on their way to the provider: no byte may be taken for a line end by any parser."""
    with pytest.raises(BadFraming):
        ChunkedFraming().feed(held)


@pytest.mark.parametrize("held", [b"X\0", b"X: \0", b"X: a\rb", b" X", b"X ", b":", b"\rX", b"x" * 257])
def test_a_beginning_of_a_trailer_that_can_never_be_one_is_not_passed_on(held: bytes) -> None:
    with pytest.raises(BadFraming):
        ChunkedFraming().feed(b"0\r\n" + held)


def test_a_trailer_that_is_judged_bad_is_refused_when_its_line_is_whole() -> None:
    framing = ChunkedFraming(forbids=lambda name: name == b"X-Bad")
    assert framing.feed(b"0\r\nX-Good: 1\r\nX-Bad: 1\r") == NOT_ENDED
    with pytest.raises(BadFraming, match="belongs into the head"):
        framing.feed(b"\n")


def _framing_of(raw: bytes) -> tuple[Framing, bytes]:
    at = raw.index(b"\r\n\r\n") + 4
    framing = parse_response_head(raw[:at], b"POST", LIMITS.max_head_fields).framing
    assert framing is not None
    return framing, raw[at:]


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_a_recorded_stream_ends_at_the_same_place_at_every_cut(file: Path) -> None:
    raw = file.read_bytes()
    framing, body = _framing_of(raw)
    whole = end_of(framing, [body + AFTER])
    assert whole == len(body)
    reading = read_with_h11(raw, "response", request_method=b"POST")
    assert reading is not None
    assert reading.end == len(raw)
    assert reading.payload.endswith(b"\n\n")
    for at in range(len(body) + 1):
        assert end_of(_framing_of(raw)[0], [body[:at], body[at:] + AFTER]) == len(body)
    assert end_of(_framing_of(raw)[0], [body[at : at + 1] for at in range(len(body))]) == len(body)


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_a_recorded_stream_that_breaks_off_is_never_taken_for_whole(file: Path) -> None:
    raw = file.read_bytes()
    _, body = _framing_of(raw)
    for at in range(len(body)):
        assert _framing_of(raw)[0].feed(body[:at]) == NOT_ENDED
    reading = read_with_llhttp(raw[:-1], "response")
    assert reading is not None
    assert reading.end == NOT_COMPLETE


def test_the_recordings_are_there() -> None:
    names = {file.stem for file in RECORDINGS}
    assert names >= {
        *("openai-chat", "openai-responses", "anthropic-messages-with-ping", "anthropic-error-mid-stream"),
        *("openai-chat-one-event-per-chunk", "openai-chat-cut-inside-characters"),
    }
