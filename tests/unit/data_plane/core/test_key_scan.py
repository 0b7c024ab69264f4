"""The org's key never leaves in a searched body, however cut; everything else passes byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.attribution import Attribution, attribution_of
from services.data_plane.core.framing import ChunkedFraming
from services.data_plane.core.key_scan import KeyFound, KeyScan, KeySearch
from tests.support.canary import Canary
from tests.unit.data_plane.core.generated import splits

KEY = b"sk-aabaabaaac"
NEAR = st.lists(
    st.sampled_from((b"sk-aabaabaaa", b"sk-", b"s", b"aab", b"sk-aab", b"c", b"\n", KEY[:-1]))
).map(b"".join)


def passed(pieces: list[bytes], spellings: tuple[bytes, ...] = (KEY,)) -> tuple[bytes, bool]:
    """Give the bytes passed on, and whether the key was found."""
    scan, out = KeyScan(spellings), b""
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
    scan = KeyScan((KEY,))
    assert scan.feed(b'{"error": 1}') == b'{"error": 1}'
    assert scan.feed(b"ask-aab") == b"a"
    assert scan.feed(b"x") == b"sk-aabx"
    assert scan.finish() == b""


def test_the_finding_carries_nothing() -> None:
    with pytest.raises(KeyFound) as caught:
        KeyScan((KEY,)).feed(b"x" + KEY)
    assert caught.value.args == ()
    assert KEY.decode() not in repr(caught.value)


@given(before=NEAR, after=NEAR, sizes=st.lists(st.integers(1, 5), min_size=1), data=st.data())
def test_the_key_never_leaves_in_chunks_however_the_wire_is_cut(
    before: bytes, after: bytes, sizes: list[int], data: st.DataObject
) -> None:
    wire = _chunked(before + KEY + after, sizes)
    out, found = _passed_in_chunks(data.draw(splits(wire)))
    assert found
    # What left may end between the CR and the LF behind a chunk.
    payload = b"".join(part.rstrip(b"\r") for index, part in enumerate(out.split(b"\r\n")) if index % 2)
    assert len(payload) <= (before + KEY + after).index(KEY)


@given(stream=NEAR, sizes=st.lists(st.integers(1, 5), min_size=1), data=st.data())
def test_chunks_without_the_key_pass_byte_for_byte(
    stream: bytes, sizes: list[int], data: st.DataObject
) -> None:
    wire = _chunked(stream, sizes)
    out, found = _passed_in_chunks(data.draw(splits(wire)))
    assert found == (KEY in stream)
    assert out == wire or found


def _chunked(stream: bytes, sizes: list[int]) -> bytes:
    wire, at, turn = b"", 0, 0
    while at < len(stream):
        part = stream[at : at + sizes[turn % len(sizes)]]
        wire += b"%x\r\n%b\r\n" % (len(part), part)
        at, turn = at + len(part), turn + 1
    return wire + b"0\r\n\r\n"


def _passed_in_chunks(pieces: list[bytes]) -> tuple[bytes, bool]:
    scan, framing, out = KeyScan((KEY,)), ChunkedFraming(), b""
    framing.spans = []
    for piece in pieces:
        framing.feed(piece)
        try:
            out += scan.feed(piece, framing.spans)
        except KeyFound:
            return out, True
    return out + scan.finish(), False


KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)


@given(key=KEYS, before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_every_spelling_of_the_canary_is_found_in_a_head(key: str, before: bytes, after: bytes) -> None:
    search = KeySearch(key.encode())
    for form, spelled in Canary(key).forms().items():
        if "characters" not in form:
            assert search.finds(before + spelled + after), form


@given(key=KEYS, mask=st.lists(st.booleans(), min_size=40, max_size=40))
def test_a_key_is_found_however_much_of_it_is_percent_encoded(key: str, mask: list[bool]) -> None:
    url = "".join(f"%{ord(char):02x}" if hide else char for char, hide in zip(key, mask, strict=False))
    plain = all(not hide for hide in mask[: len(key)])
    assert plain or KeySearch(key.encode()).finds(f"/v1/x?key={url}&a=1".encode())


@given(key=KEYS)
def test_no_spelling_is_shorter_than_the_key_and_the_key_comes_first(key: str) -> None:
    spellings = KeySearch(key.encode()).spellings
    assert spellings[0] == key.encode()
    assert min(map(len, spellings)) == len(key)


@given(spelling=st.integers(0, 5), before=NEAR, data=st.data())
def test_the_other_spellings_never_leave_either(spelling: int, before: bytes, data: st.DataObject) -> None:
    spellings = KeySearch(KEY).spellings
    stream = before + spellings[spelling] + b"end"
    out, found = passed(data.draw(splits(stream)), spellings)
    assert found
    assert len(out) <= len(before)


LONG_KEY = b"sk-proj-" + b"Zq7" * 50


@pytest.mark.parametrize("before", ["", "user", "user_", "session-", "0"])
def test_a_label_with_the_key_glued_to_anything_is_emptied_even_where_the_label_is_cut(before: str) -> None:
    for name in ("x-session-id", "thread-id", "x-codex-parent-thread-id", "x-openai-subagent"):
        noted = {name.encode(): [before.encode() + LONG_KEY], b"session-id": [b"kept"]}
        labels = KeySearch(LONG_KEY).clean_labels(attribution_of(noted))
        assert "sk-proj-" not in "".join(labels)
        assert "kept" in labels


def test_labels_without_the_key_stay_as_they_are() -> None:
    labels = Attribution("session", "agent", "task-1234567890abcdef1234", "class")
    assert KeySearch(LONG_KEY).clean_labels(labels) is labels


def test_a_key_with_signs_is_found_in_a_label_that_shows_them_as_underscores() -> None:
    key = b"!k?y of the org!"
    labels = attribution_of({b"session-id": [b"glued" + key]})
    assert KeySearch(key).clean_labels(labels).session == ""


@pytest.mark.parametrize("before", ["", "gpt-5", "models/"])
def test_a_models_name_with_the_key_in_any_spelling_is_emptied_and_another_is_remembered(before: str) -> None:
    search = KeySearch(KEY)
    for spelling in search.spellings:
        assert search.clean_name(before + spelling.decode("latin-1")) == ""
        assert search.clean_name("gpt-5.2") == "gpt-5.2"
        assert search.clean_name("claude-opus-4-6") == "claude-opus-4-6"
