"""Cuts the header lines of a head, once: what is kept, and what is noted because something depends on it.

This is the hot half of both directions, so it is written for few operations per line: one scan of the whole
head says that it holds no stray byte, and one look-up says what a line means. Clients and providers send most
of their lines again and again; those whose names carry no secret are remembered whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MAX_NAME_BYTES: Final = 256
MAX_REMEMBERED: Final = 4096
MAX_REMEMBERED_LINE_BYTES: Final = 128

DROP: Final = 0
KEEP: Final = 1
NOTE: Final = 2

_NAME: Final = re.compile(rb"[!#$%%&'*+\-.^_`|~0-9A-Za-z]{1,%d}:" % MAX_NAME_BYTES)  # RFC 9110 §5.1
# RFC 9110 §5.5: no control byte but a tab stands in a value. CR and LF are among these, to be counted.
_CONTROLS: Final = bytes(byte for byte in range(0x20) if byte != 0x09) + b"\x7f"  # noqa: PLR2004  # a tab

FieldLine = tuple[int, bytes, bytes]
"""What a noted line means: its flags, its name in lower case, its value without surrounding blanks."""
KEPT: Final[FieldLine] = (KEEP, b"", b"")
DROPPED: Final[FieldLine] = (DROP, b"", b"")
_Name = tuple[int, bytes, bool]
"""What a name means: its flags, the name in lower case, whether its lines are worth remembering."""


class BadFields(ValueError):  # noqa: N818  # a finding about the peer's bytes
    """Header lines that two parsers might read differently; the message says which rule they break."""


class FieldRules:
    """What becomes of a line, by its name.

    Remembers the names and lines that it has read, so many at most.

    Args:
        judge: gives the flags of a name in lower case.
        repeated: names whose lines are the same in many messages and tell nothing about anybody.
    """

    def __init__(self, judge: Callable[[bytes], int], repeated: frozenset[bytes]) -> None:
        self.remembered: dict[bytes, FieldLine] = {}
        self._names: dict[bytes, _Name] = {}
        self._judge = judge
        self._repeated = repeated

    def read(self, line: bytes) -> FieldLine:
        """Read a line that is not remembered; raises `BadFields`."""
        name = line[: line.find(b":") + 1]  # with its colon; empty when there is none
        flags, lower, repeated = self._names.get(name) or self._read_name(name, line)
        found = KEPT if flags else DROPPED
        if flags & NOTE:
            found = (flags, lower, line[len(name) :].strip(b" \t"))
        if repeated and len(line) <= MAX_REMEMBERED_LINE_BYTES:
            if len(self.remembered) >= MAX_REMEMBERED:
                self.remembered.clear()
            self.remembered[line] = found
        return found

    def _read_name(self, name: bytes, line: bytes) -> _Name:
        """Only valid names are remembered, so that one that is found needs no check."""
        if not _NAME.fullmatch(name):
            folded = line[:1] in {b" ", b"\t"}
            raise BadFields("a header line is folded" if folded else "a header line is malformed")
        lower = name[:-1].lower()
        found = (self._judge(lower), lower, lower in self._repeated)
        if len(self._names) >= MAX_REMEMBERED:
            self._names.clear()
        self._names[name] = found
        return found


def cut_fields(
    head: bytes, start: int, rules: FieldRules
) -> tuple[list[bytes], list[bytes], dict[bytes, list[bytes]]]:
    """Cut the lines of `head[start:]`, which ends with the empty line; `head[:start]` is the first line.

    Returns:
        All lines, the kept ones (raw, in their order, without line ends), and the values of the noted ones
        by lower-case name.

    Raises:
        BadFields: a stray CR, LF or control byte anywhere in `head`, a folded line (RFC 9112 §5.2), a space
            before the colon (§5.1), or a name that is no token.
    """
    lines = head[start:-4].split(b"\r\n") if start + 2 < len(head) else []
    # The line ends are those of the first line, of each field, and of the empty line: any more are stray.
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(lines) + 2):
        raise BadFields("a line does not end in CRLF, or holds a control byte")
    remembered, read = rules.remembered, rules.read
    kept: list[bytes] = []
    noted: dict[bytes, list[bytes]] = {}
    for line in lines:
        found = remembered.get(line) or read(line)
        if found is KEPT:
            kept.append(line)
        elif found is not DROPPED:
            flags, name, value = found
            if flags & KEEP:
                kept.append(line)
            if name in noted:
                noted[name].append(value)
            else:
                noted[name] = [value]
    return lines, kept, noted
