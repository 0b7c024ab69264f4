"""The readings of a raw path: the segments any later server may find in the same bytes.

A proxy may decode a path and send the decoded form on, a framework may decode again. Each has its own idea of
a path's end, of blanks, and of similar letters. A rule about routes is asked once per reading. This file owns
the readings and knows no route.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote_to_bytes

from services.data_plane.core.refused import bad_request

MAX_DECODES: Final = 4
"""Allowed layers of percent-encoding in a path. Two are seen in the wild; more are an attempt to hide."""

_NEEDS_CARE: Final = re.compile(r"[%;\\]|/\.|//|\A\.")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
# Bytes that no UTF-8 text holds (RFC 3629 §3): overlong forms, and the beginnings of too long sequences.
_NEVER_UTF8: Final = re.compile(rb"[\xc0\xc1\xf5-\xff]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]")
_UNICODE_ESCAPE: Final = re.compile(r"%[uU]")  # `%u002e`: read by older Microsoft servers alone
_SEPARATOR: Final = re.compile(r"[/\\]+")
_PATH_END: Final = re.compile(r"[?#]")
_IGNORED: Final = frozenset({"Cf", "Mn", "Me", "Cc"})
_BLANKS: Final = " \t\u2028\u2029"


def path_readings(rest: bytes) -> list[list[str]]:
    """Give the segments of `rest` in each reading: lower case, without empty segments and path parameters.

    The first reading is the path as received; each further reading is decoded once more.

    Raises:
        Refused: some reading holds a dot segment, a control byte, a `%u` escape or bytes other than UTF-8.
    """
    text = rest.decode("latin-1")
    if not _NEEDS_CARE.search(text):
        return [text.lower().strip("/").split("/")]
    found: list[list[str]] = []
    for _ in range(MAX_DECODES + 1):
        found += _segment_lists(text)
        decoded = _decoded(text)
        if decoded == text:
            return found
        text = decoded
    raise bad_request(f"the path is encoded more than {MAX_DECODES} times")


def _decoded(text: str) -> str:
    """Percent-decode once, and replace letters and signs by their plain forms, as some servers do."""
    if _UNICODE_ESCAPE.search(text):
        raise bad_request("the path holds a %u escape")
    raw = unquote_to_bytes(text)
    if _CONTROL.search(raw):
        raise bad_request("the path holds an encoded control byte")
    if _NEVER_UTF8.search(raw):
        raise bad_request("the path holds bytes that are not UTF-8")
    if raw.isascii():
        return raw.decode("ascii")
    try:
        return _folded(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return _folded(raw.decode("latin-1"))


def _folded(text: str) -> str:
    """Fold full-width forms, look-alike separators, accents and invisible characters (NFKD, UAX #15)."""
    plain = text.translate(_LOOK_ALIKES)
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", plain).casefold())
    return "".join(char for char in decomposed if unicodedata.category(char) not in _IGNORED)


# Characters that Windows code pages map to ASCII by best fit and that NFKD leaves alone.
_LOOK_ALIKES: Final = str.maketrans(
    {
        **dict.fromkeys("\u2044\u2215\u29f8\u1735", "/"),
        **dict.fromkeys("\u2216\u29f5\u20e5", "\\"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        "\u0131": "i",
        "\u2017": "_",
        "\u00b7": ".",
    }
)


def _segment_lists(text: str) -> list[list[str]]:
    """Give the segments of a text, and of the part before a query or a fragment inside the text."""
    found = _with_and_without_blanks(text)
    if end := _PATH_END.search(text):
        found += _with_and_without_blanks(text[: end.start()])
    return found


def _with_and_without_blanks(text: str) -> list[list[str]]:
    # A path parameter (`..;x`) is no part of the segment for some servers (RFC 3986 §3.3).
    raw_names = [segment.partition(";")[0] for segment in _SEPARATOR.split(text.lower())]
    names = [_trimmed(name) for name in raw_names if name]
    solid = [name for name in names if name]
    # A segment of blanks or dots alone is nothing to some servers and a name to others.
    return [solid] if len(solid) == len(names) else [solid, [name or "?" for name in names]]


def _trimmed(name: str) -> str:
    """Take blanks at both ends and dots at the end away: some file systems and servers do."""
    name = name.strip(_BLANKS)
    if name in {".", ".."}:
        raise bad_request("the path holds a dot segment")
    return name.rstrip("." + _BLANKS)
