"""The org's key never leaves in an error body, however it is cut; everything else passes byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.key_scan import KeyFound, KeyScan
from tests.unit.data_plane.core.generated import splits

KEY = b"sk-aabaabaaac"
NEAR = st.lists(
    st.sampled_from((b"sk-aabaabaaa", b"sk-", b"s", b"aab", b"sk-aab", b"c", b"\n", KEY[:-1]))
).map(b"".join)


def passed(pieces: list[bytes]) -> tuple[bytes, bool]:
    """Give what left, and whether the key was found."""
    scan, out = KeyScan(KEY), b""
    for piece in pieces:
        try:
            out += scan.feed(piece)
        except KeyFound:
            return out, True
    return out + scan.finish(), False


@given(before=NEAR, after=NEAR, data=st.data())
def test_the_key_never_leaves_however_the_stream_is_cut(
    before: bytes, after: bytes, data: st.DataObject
) -> None:
    stream = before + KEY + after
    out, found = passed(data.draw(splits(stream)))
    assert found
    assert KEY not in out
    assert stream.index(KEY) >= len(out)


@given(stream=NEAR | st.binary(max_size=60), data=st.data())
def test_everything_else_passes_byte_for_byte(stream: bytes, data: st.DataObject) -> None:
    out, found = passed(data.draw(splits(stream)))
    assert found == (KEY in stream)
    assert out == stream or found


def test_nothing_is_held_back_that_cannot_begin_the_key() -> None:
    scan = KeyScan(KEY)
    assert scan.feed(b'{"error": 1}') == b'{"error": 1}'
    assert scan.feed(b"ask-aab") == b"a"
    assert scan.feed(b"x") == b"sk-aabx"
    assert scan.finish() == b""


def test_the_finding_carries_nothing() -> None:
    with pytest.raises(KeyFound) as caught:
        KeyScan(KEY).feed(b"x" + KEY)
    assert caught.value.args == ()
    assert KEY.decode() not in repr(caught.value)
