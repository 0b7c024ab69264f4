"""The measurements of the load program: each row of the table is an entry here. `listing` adds the trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.workload import EVENTS_PER_STREAM, UPLOAD_BODY_BYTES, Work


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a row's result, and its form in the table.

    Attributes:
        key: its name in the raw rows.
        title: its name in the table, with the unit.
        decimals: how many to show.
        over_no_proxy: show the subject's addition to the same figure without any proxy.
        compared: show the ratio to the yardstick; says nothing of a figure near zero.
    """

    key: str
    title: str
    decimals: int = 1
    over_no_proxy: bool = False
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement, done with every subject in every round.

    Attributes:
        name: for `--only` and the raw rows.
        title: for people.
        work: the work of each connection.
        connections: how many connections at once.
        figures: the figures of the result in the table.
        seconds: begin no new request after this; those begun are finished.
        most: begin at most so many requests in all; 0 is no such limit.
        rounds: how often in a full run; a quick run does a single round.
        tls: the upstream is reached by TLS.
        fresh: start the subject anew, so that memory kept from earlier rows does not hide growth.
        in_quick: part of a quick run.
        left_out: subjects too slow to keep up, or with meaningless figures.
    """

    name: str
    title: str
    work: Work
    connections: int
    figures: tuple[Figure, ...]
    seconds: float = 1.5
    most: int = 0
    rounds: int = 5
    tls: bool = False
    fresh: bool = False
    in_quick: bool = True
    left_out: frozenset[str] = frozenset()


CPU_PER_REQUEST: Final = Figure("cpu_us_per_request", "CPU µs/request")
CPU_PER_EVENT: Final = Figure("cpu_us_per_event", "CPU µs/chunk")
PER_SECOND: Final = Figure("requests_per_second", "requests/s", decimals=0)
EVENTS_PER_SECOND: Final = Figure("events_per_second", "chunks/s", decimals=0)
P50: Final = Figure("whole_p50_us", "p50 µs", decimals=0)
ADDED_P50: Final = Figure("whole_p50_us", "added p50 µs", over_no_proxy=True)
P99: Final = Figure("whole_p99_us", "p99 µs", decimals=0)
DELAY_P50: Final = Figure("delay_p50_us", "chunk delay p50 µs", decimals=0)
DELAY_P99: Final = Figure("delay_p99_us", "chunk delay p99 µs", decimals=0)
MEMORY: Final = Figure("kib_per_stream", "KiB/open stream")

BUDGET_ROW: Final = "json"
"""The row by which peers are compared with us."""

_JSON: Final = Work("json")
_UPLOAD: Final = Work("json", body_bytes=UPLOAD_BODY_BYTES)
_UNPACED: Final = Work("sse", events=EVENTS_PER_STREAM)
_PACED: Final = Work("sse", events=EVENTS_PER_STREAM, interval_us=20_000)
_BRISK: Final = Work("sse", events=EVENTS_PER_STREAM, interval_us=1_000)
_SLOW: Final = Work("sse", events=30, interval_us=100_000)
_FAN: Final = Work("sse", events=100, interval_us=40_000)

_TOO_SLOW: Final = frozenset({"fastapi_httpx"})
_NO_HTTP: Final = frozenset({"direct", "splice"})

LOAD_ROWS: Final = (
    Row("json", "JSON, 32 connections", _JSON, 32, (CPU_PER_REQUEST, PER_SECOND, P50, P99)),
    Row("json-1", "JSON, 1 connection", _JSON, 1, (P50, ADDED_P50, P99, CPU_PER_REQUEST), seconds=1),
    Row("sse", "SSE unpaced, 32 streams", _UNPACED, 32, (CPU_PER_EVENT, EVENTS_PER_SECOND)),
    Row(
        "sse-brisk", "SSE 1 ms apart, 16 streams", _BRISK, 16, (CPU_PER_EVENT, DELAY_P50), left_out=_TOO_SLOW
    ),
    Row(
        "sse-paced",
        "SSE 20 ms apart, 100 streams",
        _PACED,
        100,
        (CPU_PER_EVENT, DELAY_P50, DELAY_P99),
        most=100,
        rounds=3,
    ),
    Row("upload", "1 MiB upload, 4 connections", _UPLOAD, 4, (CPU_PER_REQUEST, PER_SECOND), seconds=1),
    Row(
        "memory",
        "memory, 500 open streams",
        _SLOW,
        500,
        (MEMORY,),
        most=500,
        rounds=2,
        fresh=True,
        left_out=_NO_HTTP,
    ),
    Row(
        "fan",
        "SSE 40 ms apart, 1,000 streams",
        _FAN,
        1000,
        (CPU_PER_EVENT, DELAY_P50, DELAY_P99),
        most=1000,
        rounds=2,
        in_quick=False,
        left_out=_TOO_SLOW,
    ),
    Row(
        "tls-json",
        "TLS upstream: JSON, 32 connections",
        _JSON,
        32,
        (CPU_PER_REQUEST, PER_SECOND, P50, P99),
        tls=True,
    ),
    Row(
        "tls-json-1",
        "TLS upstream: JSON, 1 connection",
        _JSON,
        1,
        (P50, P99),
        seconds=1,
        tls=True,
        in_quick=False,
    ),
    Row(
        "tls-sse",
        "TLS upstream: SSE unpaced, 32 streams",
        _UNPACED,
        32,
        (CPU_PER_EVENT, EVENTS_PER_SECOND),
        tls=True,
    ),
    Row(
        "tls-sse-paced",
        "TLS upstream: SSE 20 ms apart, 100 streams",
        _PACED,
        100,
        (CPU_PER_EVENT, DELAY_P50, DELAY_P99),
        most=100,
        rounds=3,
        tls=True,
        in_quick=False,
    ),
    Row(
        "tls-upload",
        "TLS upstream: 1 MiB upload, 4 connections",
        _UPLOAD,
        4,
        (CPU_PER_REQUEST, PER_SECOND),
        seconds=1,
        tls=True,
        in_quick=False,
    ),
)
