"""Writes a summary as a Markdown table, and puts generated text between the marks of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.listing import AnyRow
from bench.rows import BUDGET_ROW, CPU_PER_REQUEST, Figure
from bench.subjects.subject import Subject
from bench.summary import Spread, Summary

_TO: Final = "\N{EN DASH}"
_NOTHING: Final = _TO
_TIMES: Final = "\N{MULTIPLICATION SIGN}"


def markdown(
    summary: Summary,
    rows: Sequence[AnyRow],
    subjects: Sequence[Subject],
    *,
    machine: Mapping[str, str],
    versions: Mapping[str, str],
    yardstick: str,
    no_proxy: str,
    ours: Sequence[str] = (),
) -> str:
    """Write a line per figure, a column per subject: median, least, greatest, ratio; then the peers."""
    columns = [subject for subject in subjects if subject.only is None]
    titles = ["what", *(subject.title for subject in columns)]
    lines = [_line(titles), _line(["---", *("---:" for _ in columns)])]
    for row in rows:
        for figure in row.figures:
            cells = [_cell(summary, row, figure, subject.name, yardstick, no_proxy) for subject in columns]
            if any(cell != _NOTHING for cell in cells):
                lines.append(_line([f"{row.title}: {figure.title}", *cells]))
    peers = _peers(summary, subjects, ours)
    return "\n".join([*lines, "", *peers, *_notes(summary, subjects, machine, versions, yardstick)]) + "\n"


def replace_between_marks(page: str, mark: str, text: str) -> str:
    """Put `text` between `<!-- mark -->` and `<!-- /mark -->` of a page; raises `ValueError` without them."""
    opening, closing = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    start, end = page.find(opening), page.find(closing)
    if start < 0 or end < start:
        raise ValueError(f"the page has no {opening} … {closing} to write into")
    return f"{page[: start + len(opening)]}\n{text}{page[end:]}"


def _cell(summary: Summary, row: AnyRow, figure: Figure, subject: str, yardstick: str, no_proxy: str) -> str:
    if summary.failed(row.name, subject):
        return "failed"
    if figure.over_no_proxy:
        return _added(summary, row, figure, subject, yardstick, no_proxy)
    spread = summary.spread(row.name, subject, figure.key)
    if spread is None:
        return _NOTHING
    compared = figure.compared and subject != no_proxy
    ratio = summary.ratio(row.name, subject, figure.key, yardstick) if compared else None
    return _with_ratio(_spread(spread, figure.decimals), ratio)


def _added(summary: Summary, row: AnyRow, figure: Figure, subject: str, yardstick: str, no_proxy: str) -> str:
    ours = summary.added(row.name, subject, figure.key, no_proxy)
    if ours is None:
        return _NOTHING
    theirs = summary.added(row.name, yardstick, figure.key, no_proxy)
    ratio = ours / theirs if theirs and subject != yardstick else None
    return _with_ratio(_number(ours, figure.decimals), ratio)


def _spread(spread: Spread, decimals: int) -> str:
    middle = _number(spread.median, decimals)
    if spread.least == spread.greatest:
        return middle
    return f"{middle} ({_number(spread.least, decimals)}{_TO}{_number(spread.greatest, decimals)})"


def _with_ratio(text: str, ratio: float | None) -> str:
    if ratio is None:
        return text
    return f"{text} **{_TIMES}{_number(ratio, _ratio_decimals(ratio))}**"


def _ratio_decimals(ratio: float) -> int:
    if ratio >= 10:
        return 0
    return 2 if ratio >= 0.1 else 3


def _number(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}"


def _notes(
    summary: Summary,
    subjects: Sequence[Subject],
    machine: Mapping[str, str],
    versions: Mapping[str, str],
    yardstick: str,
) -> list[str]:
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    ran = "; ".join(version for subject in subjects if (version := versions.get(subject.name)))
    legend = (
        f"Medians over the rounds, (least{_TO}greatest), **{_TIMES} {yardstick}**; gaps under 15 % are noise."
        " CPU is user + system of the subject's whole process tree, divided by requests or chunks."
    )
    disturbed, measured = summary.disturbed()
    quiet = f"Of {measured} measurements, {disturbed} had to share the proxy's core with other programs."
    return [legend, "", f"Measured on: {facts}. Versions: {ran}. {quiet}"]


def _peers(summary: Summary, subjects: Sequence[Subject], ours: Sequence[str]) -> list[str]:
    """Tell of each peer with a budget how many times our CPU the peer takes per JSON request."""
    titles = {subject.name: subject.title for subject in subjects}
    key, lines = CPU_PER_REQUEST.key, []
    for peer in subjects:
        if peer.least_times_ours is None:
            continue
        if summary.failed(BUDGET_ROW, peer.name):
            lines.append(f"- {peer.title}: failed")
            continue
        spread = summary.spread(BUDGET_ROW, peer.name, key)
        ratios = [
            f"{_TIMES}{_number(ratio, 0)} {titles[one]}"
            for one in ours
            if (ratio := summary.ratio(BUDGET_ROW, peer.name, key, one)) is not None
        ]
        if spread is not None and ratios:
            budget = f"budget: at least {_TIMES}{peer.least_times_ours}"
            taken = _spread(spread, CPU_PER_REQUEST.decimals)
            lines.append(f"- {peer.title}: {taken}, **{', '.join(ratios)}** ({budget})")
    return ["CPU µs of peers per JSON request, 32 connections:", "", *lines, ""] if lines else []


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
