"""Tests of `core/path_readings.py`: the segments of a path as different servers read them."""

from __future__ import annotations

import pytest

from services.data_plane.core.path_readings import path_readings


def test_an_ordinary_path_has_one_reading_in_lower_case() -> None:
    assert path_readings(b"/Chat/completions") == [["chat", "completions"]]


@pytest.mark.parametrize(
    ("path", "reading"),
    [
        (b"/a%2fb", ["a", "b"]),
        (b"/a%252fb", ["a", "b"]),
        (b"/a%3fb/c", ["a"]),
        (b"/a%23b/c", ["a"]),
        (b"/a;b=c/d", ["a", "d"]),
        (b"/a.%20/b...", ["a", "b"]),
        (b"/%20/a", ["a"]),
        (b"/%20/a", ["?", "a"]),
        (b"//a///b", ["a", "b"]),
        (b"/a\\b", ["a", "b"]),
        (b"/%EF%BD%81%EF%BC%8Fb", ["a", "b"]),
        (b"/%EF%BC%8525%32fa", ["a"]),
        (b"/\xc3\x89".replace(b"\xc3\x89", b"%C3%89"), ["e"]),
    ],
)
def test_what_a_server_may_read_is_among_the_readings(path: bytes, reading: list[str]) -> None:
    assert reading in path_readings(path)
