"""The layout of a provider's answers: the names of a head in their order, compiled into one expression.

A provider sends the same header names in the same order in answer after answer; only values differ. A head of
a known layout is then read by one match instead of line by line, with the same strictness: the expression
takes exactly what `field_lines.cut_fields` takes. A head of another layout is read line by line.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from itertools import groupby
from typing import TYPE_CHECKING, Final

from services.data_plane.core.field_lines import KEEP, NOTE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_LAYOUTS: Final = 128
MAX_LAYOUT_LINES: Final = 64
REPEATS_BEFORE_COMPILING: Final = 3
MAX_COMPILED_PER_CONNECTION: Final = 4

_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*+"  # RFC 9110 §5.5

Noted = dict[bytes, list[bytes]]


class HeadLayout:
    """One layout: reads a head's fields into the kept blocks and the noted values."""

    __slots__ = ("_blocks", "_fields", "_noted")

    def __init__(self, names: Sequence[bytes], judge: Callable[[bytes], int]) -> None:
        flags = [judge(name.lower()) for name in names]
        pattern, group = [], 0
        blocks: list[int] = []
        noted: list[tuple[bytes, int]] = []
        numbered = zip(names, flags, strict=True)
        # Neighbours that are kept are one block: one group of the match, one piece of the head that is sent.
        for kept, lines in groupby(numbered, key=lambda line: bool(line[1] & KEEP)):
            if kept:
                group += 1
                blocks.append(group)
            parts = []
            for name, flag in lines:
                value = _VALUE
                if flag & NOTE:
                    group += 1
                    noted.append((name.lower(), group))
                    value = b"(" + _VALUE + b")"
                parts.append(re.escape(name) + b":" + value)
            text = b"\r\n".join(parts)
            pattern.append((b"(" + text + b")" if kept else text) + b"\r\n")
        self._fields = re.compile(b"".join(pattern) + b"\r\n")
        self._blocks = tuple(blocks)
        self._noted = tuple(noted)

    def read(self, head: bytes, start: int) -> tuple[list[bytes], Noted] | None:
        """Give the kept blocks (raw, without the last line end) and the noted values; None if it differs."""
        match = self._fields.fullmatch(head, start)
        if match is None:
            return None
        noted: Noted = {}
        for name, group in self._noted:
            noted.setdefault(name, []).append(match[group].strip(b" \t"))
        return [match[group] for group in self._blocks], noted


class LayoutShelf:
    """Compiled layouts, shared by all connections; the one unused for longest goes first."""

    def __init__(self, judge: Callable[[bytes], int]) -> None:
        self._judge = judge
        self._layouts: OrderedDict[tuple[bytes, ...], HeadLayout] = OrderedDict()

    def get(self, names: tuple[bytes, ...]) -> HeadLayout:
        """Give the layout of these names, compiled when it is new."""
        layout = self._layouts.get(names)
        if layout is None:
            layout = self._layouts[names] = HeadLayout(names, self._judge)
            if len(self._layouts) > MAX_LAYOUTS:
                self._layouts.popitem(last=False)
        else:
            self._layouts.move_to_end(names)
        return layout


class LayoutMemo:
    """What one connection has learned of its provider's heads.

    Compiling costs as much as reading some hundred heads, so it waits for a layout to repeat, and a provider
    whose layouts keep changing is read line by line after a few.
    """

    __slots__ = ("_compiled", "_names", "_repeats", "_shelf", "layout")

    def __init__(self, shelf: LayoutShelf) -> None:
        self.layout: HeadLayout | None = None
        self._shelf = shelf
        self._names: tuple[bytes, ...] = ()
        self._repeats = 0
        self._compiled = 0

    def learn(self, lines: Sequence[bytes]) -> None:
        """Take the lines of a head that was read line by line."""
        if self._compiled >= MAX_COMPILED_PER_CONNECTION or not 0 < len(lines) <= MAX_LAYOUT_LINES:
            return
        names = tuple([line[: line.find(b":")] for line in lines])
        self._repeats = self._repeats + 1 if names == self._names else 1
        self._names = names
        if self._repeats >= REPEATS_BEFORE_COMPILING:
            self.layout = self._shelf.get(names)
            self._compiled += 1
            self._repeats = 0
