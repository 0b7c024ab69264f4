"""The README's six rows, and the peers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.subjects.subject import Subject
from bench.summary import Summary

_TIMES: Final = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class DigestRow:
    """A row of the README: a figure of a bench row, in a person's words.

    Attributes:
        row: the bench row's name.
        key: the figure's name in the raw rows.
        title: the figure in words, with its unit.
        decimals: how many to show.
        over_no_proxy: the figure counts from its value without any proxy.
    """

    row: str
    key: str
    title: str
    decimals: int = 1
    over_no_proxy: bool = False


DIGEST_ROWS: Final = (
    DigestRow("json", "cpu_us_per_request", "JSON request, CPU µs"),
    DigestRow("tls-json", "cpu_us_per_request", "JSON request to a TLS provider, CPU µs"),
    DigestRow("sse-paced", "cpu_us_per_event", "streamed chunk, CPU µs"),
    DigestRow("json-1", "whole_p50_us", "latency added to a JSON request, µs", 0, over_no_proxy=True),
    DigestRow("memory", "kib_per_stream", "memory of an open stream, KiB"),
    DigestRow("upload", "cpu_us_per_request", "1 MiB upload, CPU µs", 0),
)
_PEERS: Final = ("nginx", "fastapi_httpx", "portkey", "litellm")
_PEER_ROW: Final = DIGEST_ROWS[0]


def digest(summary: Summary, subjects: Sequence[Subject], *, ours: str, yardstick: str, no_proxy: str) -> str:
    """Write the six rows and the table of peers as Markdown."""
    lines = [f"| | nginx | gateway | gateway {_TIMES} nginx |", "| --- | ---: | ---: | ---: |"]
    for row in DIGEST_ROWS:
        theirs, own = (figure(summary, row, who, no_proxy) for who in (yardstick, ours))
        if theirs and own is not None:
            cells = (f"{theirs:,.{row.decimals}f}", f"{own:,.{row.decimals}f}", f"**{own / theirs:.2f}**")
            lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_peers(summary, subjects, ours)]) + "\n"


def _peers(summary: Summary, subjects: Sequence[Subject], ours: str) -> list[str]:
    own = summary.spread(_PEER_ROW.row, ours, _PEER_ROW.key)
    titles = {subject.name: subject.title for subject in subjects}
    lines = []
    for peer in _PEERS:
        theirs = summary.spread(_PEER_ROW.row, peer, _PEER_ROW.key)
        if own is not None and theirs is not None:
            times = theirs.median / own.median
            shown = f"{times:.2f}" if times < 10 else f"{times:.0f}"  # three digits are enough
            lines.append(f"| {titles.get(peer, peer)} | {theirs.median:,.1f} | {_TIMES}{shown} |")
    head = ["| peer | CPU µs a JSON request | in terms of the gateway |", "| --- | ---: | ---: |"]
    return [*head, *lines] if lines else []


def figure(summary: Summary, row: DigestRow, subject: str, no_proxy: str) -> float | None:
    """Give the median of a digest row's figure for a subject; None where nothing was measured."""
    if row.over_no_proxy:
        return summary.added(row.row, subject, row.key, no_proxy)
    spread = summary.spread(row.row, subject, row.key)
    return None if spread is None else spread.median
