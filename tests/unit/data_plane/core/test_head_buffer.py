"""A head is found wherever the stream is cut, within its limit, and not a byte later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.head_buffer import HeadBuffer, HeadTooLarge
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import check_incomplete
from tests.corpus.replay import replay
from tests.unit.data_plane.core.generated import chunked_bodies, request_heads, splits

LIMIT = 40
STREAMS = st.lists(
    st.sampled_from((b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"a", b"bcdefghijkl", b"\r\n\r"))
).map(b"".join)


def gathered(pieces: list[bytes]) -> tuple[bytes, bytes] | str | None:
    """Give the first head and everything after the head, or the error."""
    buffer = HeadBuffer(LIMIT)
    for index, piece in enumerate(pieces):
        try:
            found = buffer.feed(piece)
        except HeadTooLarge:
            return "too large"
        if found is not None:
            assert buffer.empty
            return found[0], found[1] + b"".join(pieces[index + 1 :])
    return None


@given(stream=STREAMS, data=st.data())
def test_any_cut_of_a_stream_gives_the_same_head(stream: bytes, data: st.DataObject) -> None:
    whole = gathered([stream])
    assert gathered(data.draw(splits(stream))) == whole
    end = stream.find(b"\r\n\r\n") + 4
    if 4 <= end <= LIMIT:
        assert whole == (stream[:end], stream[end:])
    else:
        assert whole == ("too large" if len(stream) >= LIMIT else None)


@pytest.mark.parametrize("length", [LIMIT, LIMIT + 1])
def test_a_head_may_be_as_long_as_the_limit(length: int) -> None:
    head = b"a" * (length - 4) + b"\r\n\r\n"
    assert gathered([head]) == ((head, b"") if length == LIMIT else "too large")


@given(head=request_heads, body=chunked_bodies, data=st.data())
def test_any_cut_of_a_connection_comes_to_the_same_outcome(
    head: bytes, body: bytes, data: st.DataObject
) -> None:
    stream = head + body + b"GET /run9/ai/openai/v1/next HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"
    whole, cut = replay([stream]), replay(data.draw(splits(stream)))
    # A line that can never become acceptable is refused as soon as that shows, which the whole stream never
    # asks: then both end in the same refusal, and what was sent on before it is the same.
    assert cut.outcomes == whole.outcomes
    assert [s.sent_head for s in cut.sent] == [s.sent_head for s in whole.sent]
    assert [s.body for s in cut.sent if s.whole] == [s.body for s in whole.sent if s.whole]


def test_the_check_sees_a_line_end_that_was_cut_in_two() -> None:
    buffer = HeadBuffer(1000, check_incomplete)
    assert buffer.feed(b"GET / HTTP/1.1\r") is None
    assert buffer.feed(b"\nA: b\r") is None
    with pytest.raises(Refused):
        buffer.feed(b"C: d")


def test_what_is_held_can_be_taken_for_the_answer() -> None:
    buffer = HeadBuffer(1000)
    buffer.feed(b"HEAD /run9")
    assert not buffer.empty
    assert buffer.take() == b"HEAD /run9"
    assert buffer.empty
