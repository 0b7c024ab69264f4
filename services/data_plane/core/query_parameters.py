"""Takes parameters out of a raw query: those into which the clients of some providers put a key.

Every other parameter keeps its bytes and its place. This file knows no provider; a row names the parameters.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from services.data_plane.core.refused import bad_request

MAX_PARAMETERS: Final = 1024
"""Every name costs a reading: a head full of separators would hold all other requests up."""
MAX_DECODES: Final = 4
"""Layers of percent-encoding that are undone to read a name."""

# Some servers part parameters by a semicolon as well (HTML 4.01, appendix B.2.2).
_SEPARATOR: Final = re.compile(rb"([&;])")
_IGNORED: Final = b"?+ \t\r\n\x00"
"""Bytes around a name that servers skip: a second question mark, blanks in both spellings, a NUL."""
_NAME_END: Final = re.compile(rb"[=\[\x00]")
"""Ends a name, also where it is encoded: a server may decode before it parts. So do separators."""


def without_parameters(query: bytes, names: frozenset[str]) -> bytes:
    """Give a raw query, with its `?`, without the parameters of these names, which are in lower case.

    A query that holds none of the parameters comes back as it is; one that holds nothing else is empty.
    """
    return split_parameters(query, names)[0]


def split_parameters(query: bytes, names: frozenset[str]) -> tuple[bytes, list[bytes]]:
    """Give what `without_parameters` gives, and the decoded values of the parameters that fell out.

    Raises:
        Refused: there are more than `MAX_PARAMETERS`.
    """
    pieces = _SEPARATOR.split(query[1:])
    if len(pieces) > 2 * MAX_PARAMETERS:
        raise bad_request(f"the query has more than {MAX_PARAMETERS} parameters")
    kept = bytearray()
    values: list[bytes] = []
    for index in range(0, len(pieces), 2):
        piece = pieces[index]
        if not names.isdisjoint(_names_of(piece)):
            values.append(unquote_to_bytes(piece).partition(b"=")[2])
            continue
        if index and kept:
            kept += pieces[index - 1]
        kept += piece
    if not values:
        return query, values
    return b"?" + bytes(kept) if kept else b"", values


def _names_of(parameter: bytes) -> list[str]:
    """Read a parameter's name as the most generous server would: decoded, in lower case.

    There are several where a separator in the name is encoded.
    """
    name = parameter.partition(b"=")[0]
    for _ in range(MAX_DECODES):
        decoded = unquote_to_bytes(name)
        if decoded == name:
            break
        name = decoded
    return [_plain(part) for part in _SEPARATOR.split(name)]


def _plain(name: bytes) -> str:
    name = _NAME_END.split(name.strip(_IGNORED), maxsplit=1)[0]
    return name.strip(_IGNORED).decode("latin-1").lower()
