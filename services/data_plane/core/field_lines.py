"""Parses the header lines of a head, once: the passed lines, and the captured values with consequences.

This is the hot half of both directions, written for few operations per line: a single scan of the whole head
excludes stray bytes, and a single look-up by name decides about a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MAX_NAME_BYTES: Final = 256
MAX_REMEMBERED_NAMES: Final = 4096

STRIP: Final = 0
PASS: Final = 1
CAPTURE: Final = 2

_NAME: Final = re.compile(rb"[!#$%%&'*+\-.^_`|~0-9A-Za-z]{1,%d}" % MAX_NAME_BYTES)  # RFC 9110 §5.1
# RFC 9110 §5.5: no control byte but a tab stands in a value. CR and LF are among these, to be counted.
_CONTROLS: Final = bytes([byte for byte in range(0x20) if byte != 0x09]) + b"\x7f"  # noqa: PLR2004  # a tab

_Name = tuple[int, bytes]
"""The meaning of a name: its flags, and the name in lower case if captured."""


class BadFields(ValueError):  # noqa: N818  # a finding about the peer's bytes
    """Two parsers might read the header lines differently; the message names the broken rule."""


class FieldRules:
    """Decides about a line, by its name. Remembers a bounded number of names.

    Args:
        judge: gives the flags of a name in lower case.
    """

    def __init__(self, judge: Callable[[bytes], int]) -> None:
        # By the name as it was sent. Only valid names: one that is found before a colon needs no check.
        self.remembered: dict[bytes, _Name] = {}
        self._judge = judge

    def read(self, line: bytes) -> _Name:
        """Read the name of an unremembered line; raises `BadFields`."""
        name, colon, _ = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            folded = line[:1] in {b" ", b"\t"}
            raise BadFields("a header line is folded" if folded else "a header line is malformed")
        lower = name.lower()
        flags = self._judge(lower)
        found = (flags, lower) if flags & CAPTURE else (flags, b"")
        if len(self.remembered) >= MAX_REMEMBERED_NAMES:
            self.remembered.clear()
        self.remembered[name] = found
        return found


def parse_fields(
    head: bytes, start: int, rules: FieldRules
) -> tuple[list[bytes], list[bytes], dict[bytes, list[bytes]]]:
    """Cut the lines of `head[start:]`, which ends with the empty line; `head[:start]` is the first line.

    Returns:
        All lines, the kept ones (raw, in their order, without line ends), and the values of the captured ones
        by lower-case name.

    Raises:
        BadFields: a stray CR, LF or control byte anywhere in `head`, a folded line (RFC 9112 §5.2), a space
            before the colon (§5.1), or a name other than a token.
    """
    lines = head[start:-4].split(b"\r\n") if start + 2 < len(head) else []
    # The line ends are those of the first line, of each field, and of the empty line: any more are stray.
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(lines) + 2):
        raise BadFields("a line does not end in CRLF, or holds a control byte")
    remembered = rules.remembered
    kept: list[bytes] = []
    captured: dict[bytes, list[bytes]] = {}
    for line in lines:
        sent_name, colon, value = line.partition(b":")
        flags, name = (remembered.get(sent_name) if colon else None) or rules.read(line)
        if flags == PASS:
            kept.append(line)
        elif flags:
            if flags & PASS:
                kept.append(line)
            captured.setdefault(name, []).append(value.strip(b" \t"))
    return lines, kept, captured
