"""The README's six rows as a bar chart: an SVG document, drawn from the figures of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.digest import DIGEST_ROWS, figure
from bench.summary import Summary

_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_WIDTH: Final = 720
_LABEL_WIDTH: Final = 300
_BAR_WIDTH: Final = 320
_ROW_HEIGHT: Final = 30
_TOP: Final = 44
_BOTTOM: Final = 10


@dataclass(frozen=True, slots=True)
class Colours:
    """The chart's colours: text, a weaker text, the gateway's bars and nginx's line."""

    text: str
    weak: str
    bar: str
    line: str


LIGHT: Final = Colours("#1f2328", "#59636e", "#0969da", "#9a6700")
DARK: Final = Colours("#f0f6fc", "#9198a1", "#4493f8", "#d29922")


def chart(summary: Summary, colours: Colours, *, ours: str, yardstick: str, no_proxy: str) -> str:
    """Draw the six rows as bars, each as a multiple of the yardstick's figure, as an SVG document."""
    ratios = [
        (row.title, own / theirs)
        for row in DIGEST_ROWS
        if (theirs := figure(summary, row, yardstick, no_proxy))
        and (own := figure(summary, row, ours, no_proxy)) is not None
    ]
    widest = max([1.0, *(ratio for _, ratio in ratios)])
    height = _TOP + _ROW_HEIGHT * len(ratios) + _BOTTOM
    title = "The gateway in multiples of nginx: less is better"
    lines = [
        _tag("title", title),
        _text(title, 0, 16, colours.text, 'font-weight="600"'),
        *_line_of_one(_LABEL_WIDTH + _BAR_WIDTH / widest, height, colours),
    ]
    for place, (name, ratio) in enumerate(ratios):
        lines += _bar(name, ratio, _TOP + place * _ROW_HEIGHT, _BAR_WIDTH * ratio / widest, colours)
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    font = 'role="img" font-family="system-ui, sans-serif" font-size="13"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>', *lines, "</svg>", ""])


def _line_of_one(x: float, height: int, colours: Colours) -> list[str]:
    place = f'x1="{x:.1f}" x2="{x:.1f}" y1="30" y2="{height - 8}"'
    line = f'<line {place} stroke="{colours.line}" stroke-dasharray="4 3"/>'
    return [line, _text("nginx", x + 4, 38, colours.line)]


def _bar(name: str, ratio: float, top: int, width: float, colours: Colours) -> list[str]:
    place = f'x="{_LABEL_WIDTH}" y="{top + 6}" width="{width:.1f}" height="16" rx="3"'
    return [
        _text(name, _LABEL_WIDTH - 10, top + 18, colours.weak, 'text-anchor="end"'),
        f'<rect {place} fill="{colours.bar}"/>',
        _text(f"{_TIMES}{ratio:.2f}", _LABEL_WIDTH + width + 8, top + 18, colours.text),
    ]


def _text(text: str, x: float, y: int, colour: str, more: str = "") -> str:
    return _tag("text", text, f'x="{x:.1f}" y="{y}" fill="{colour}" {more}'.rstrip())


def _tag(name: str, text: str, attributes: str = "") -> str:
    return f"<{name} {attributes}".rstrip() + f">{text}</{name}>"
