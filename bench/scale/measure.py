"""Measures a process of a large fleet: codec, table, memory, and the cost of an event to many readers."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from aigw.process import settle_memory
from bench.scale.crowd import EveryKey, crowd, toggles
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.position import Decision
from services.data_plane.table.secrets import SecretLoader
from shared.config_feed import Snapshot, decode_event, decode_snapshot, encode_event, encode_snapshot
from shared.memory_stream import MemoryStream
from shared.tasks import TaskSet

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS: Final = 2_000
FAN_OUT_EVENTS: Final = 20
FAN_OUT_ORGS: Final = 100
FAN_OUT_PAUSE_SECONDS: Final = 0.3
READ_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.001
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Scale:
    """The measurements, for `orgs` orgs and `processes` processes. Times in seconds, sizes in bytes."""

    orgs: int
    integrations: int
    processes: int
    snapshot_bytes: int
    encode_seconds: float
    decode_seconds: float
    apply_seconds: float
    apply_again_seconds: float
    hold_seconds: float
    event_bytes: int
    event_seconds: float
    fan_out_seconds: float
    table_bytes: int
    loaded_bytes: int


def measure(
    orgs: int, processes: int, *, events: int = EVENTS, fan_out_events: int = FAN_OUT_EVENTS
) -> Scale:
    """Measure everything; needs a process of its own, because memory is the whole process's."""
    settle_memory()  # as a process does
    body, encode_seconds = _encoded(orgs)
    before = _resident_bytes()
    snapshot, decode_seconds = _timed(lambda: decode_snapshot(body))
    table = _table()
    apply_seconds, apply_again_seconds = (_applied(table, snapshot) for _ in range(2))
    counts = table.counts()
    encoded = [encode_event(event) for event in toggles(snapshot, events)]
    del snapshot
    table_bytes = _resident_bytes() - before
    asyncio.run(_load_all(table))
    loaded_bytes = _resident_bytes() - before
    _, event_seconds = _timed(lambda: _apply_all(table, encoded))
    return Scale(
        orgs=orgs,
        integrations=counts["integrations"],
        processes=processes,
        snapshot_bytes=len(body),
        encode_seconds=encode_seconds,
        decode_seconds=decode_seconds,
        apply_seconds=apply_seconds,
        apply_again_seconds=apply_again_seconds,
        hold_seconds=asyncio.run(_longest_hold(body)),
        event_bytes=sum(map(len, encoded)) // len(encoded),
        event_seconds=event_seconds / len(encoded),
        fan_out_seconds=asyncio.run(_fan_out(processes, fan_out_events)),
        table_bytes=table_bytes,
        loaded_bytes=loaded_bytes,
    )


def _encoded(orgs: int) -> tuple[bytes, float]:
    snapshot = crowd(orgs)
    return _timed(lambda: encode_snapshot(snapshot))


def _applied(table: ConfigTable, snapshot: Snapshot) -> float:
    return _timed(lambda: table.apply_snapshot(snapshot))[1]


def _table() -> ConfigTable:
    loader = SecretLoader(EveryKey(), monotonic=time.monotonic)
    return ConfigTable(
        loader,
        clock=time.monotonic,
        max_age_seconds=86_400,
        allow_plain_http=False,
        prefetch_max_orgs=sys.maxsize,
    )


async def _longest_hold(body: bytes) -> float:
    """Seconds for which nothing else could run at the most, while a process took its first snapshot in."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        before = time.perf_counter()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.perf_counter()
            longest, before = max(longest, now - before - LOOK_SECONDS), now

    settle_memory()  # what was measured before is no part of this
    tasks = TaskSet()
    tasks.start(watch(), "watch")
    await asyncio.sleep(LOOK_SECONDS)
    snapshot = await asyncio.to_thread(decode_snapshot, body)
    for _ in _table().apply_in_slices(snapshot):
        await asyncio.sleep(0)
    await tasks.aclose()
    return longest


def _apply_all(table: ConfigTable, events: list[bytes]) -> None:
    for data in events:
        if table.apply_event(decode_event(data)) is not Decision.ACCEPT:
            raise AssertionError("an event was not the next one")


async def _load_all(table: ConfigTable) -> None:
    for org, provider in table.wanted():
        await table.load(org, provider)


async def _fan_out(processes: int, number: int) -> float:
    """Seconds of CPU spent on an event by `processes` readers together, each with its own table."""
    stream, snapshot = MemoryStream(), crowd(FAN_OUT_ORGS)
    tables = [_table() for _ in range(processes)]
    for table in tables:
        table.apply_snapshot(snapshot)
    events = toggles(snapshot, number)
    began = time.process_time()
    async with asyncio.TaskGroup() as readers:
        for table in tables:
            readers.create_task(_follow(stream, table, snapshot, len(events)))
        for event in events:
            await asyncio.sleep(FAN_OUT_PAUSE_SECONDS)
            stream.append(event.revision, encode_event(event))
    return (time.process_time() - began) / len(events)


async def _follow(stream: MemoryStream, table: ConfigTable, snapshot: Snapshot, number: int) -> None:
    at = snapshot.revision
    while at < snapshot.revision + number:
        for revision, data in await stream.read(at, READ_SECONDS):
            _apply_all(table, [data])
            at = revision


def _timed(do: Callable[[], _Result]) -> tuple[_Result, float]:
    began = time.perf_counter()
    result = do()
    return result, time.perf_counter() - began


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
