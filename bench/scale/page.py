"""Writes `docs/scale.md`: the measurements, and their consequences on paper."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Final

from services.data_plane.table.prefetch import PREFETCH_MAX_ORGS
from services.data_plane.table.secrets import MAX_CONCURRENT_READS
from services.data_plane.table.sync import FULL_EVERY_POLLS, SyncTimes

if TYPE_CHECKING:
    from bench.scale.at_once import AtOnce
    from bench.scale.measure import Scale

KEY_CHANGES_PER_ORG_AND_YEAR: Final = 12
CHANGES_PER_HOUR: Final = 1_000
VAULT_READS_PER_SECOND: Final = 250
"""One Vault 1.21 on 2 cores, raft, TLS, audited."""
HOUR: Final = 3_600
MIB: Final = 1024 * 1024
_DATABASES: Final = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


def page(scale: Scale, at_once: AtOnce, note: str = "") -> str:
    """Write the page."""
    orgs, processes = scale.orgs, scale.processes
    return f"""# How large it may get

Written by `python -m bench.scale --orgs {orgs} --processes {processes} --page docs/scale.md`, on a shared
machine with {os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()}). Measured with
the real codecs (`shared/config_feed.py`) and the real table; each of {orgs:,} orgs has every provider, two
owners and a 120-character key. {processes:,} processes are simulated by as many tables that read one stream.
{note}

## Measured

{_table(_measured(scale))}

## {at_once.askers} data planes ask at once

A control plane runs as a process on {_DATABASES[at_once.dialect]} (`--database`). {at_once.askers} clients
ask its fleet's listener for a whole snapshot, as after a new epoch; it is built once and kept as bytes.

{_table(_asked(at_once))}

## On paper, from these numbers

{_table(_paper(scale))}

Prefetch reads the keys of {PREFETCH_MAX_ORGS:,} orgs at most (`AIGW_PREFETCH_MAX_ORGS`) when a process
starts, and none with `AIGW_PREFETCH_SECRETS=false`; the keys of all others are read when they call, once
each. A key that is in use and changes is read at once in either case. Nothing on the request path is shared
between processes, so request capacity grows with their number.
"""


def _measured(scale: Scale) -> list[tuple[str, str]]:
    together = f"an event, CPU of {scale.processes:,} processes together"
    event = f"{scale.event_bytes} B; decoded and applied in {scale.event_seconds * 1e6:.0f} µs"
    each = scale.snapshot_bytes / scale.integrations
    return [
        ("snapshot", f"{scale.snapshot_bytes / MIB:.1f} MiB, {each:.0f} B per integration"),
        ("encode it (control plane)", f"{scale.encode_seconds:.2f} s"),
        ("decode it (data plane, in a thread)", f"{scale.decode_seconds:.2f} s"),
        ("apply the first one, in slices", f"{scale.apply_seconds:.2f} s"),
        ("longest hold of the event loop by both of these", f"{scale.hold_seconds * 1000:.0f} ms"),
        ("apply one that says the same", f"{scale.apply_again_seconds * 1000:.0f} ms"),
        ("an event", event),
        (together, f"{scale.fan_out_seconds * 1000:.0f} ms"),
        ("resident memory, no key loaded", _memory(scale.table_bytes, scale)),
        ("resident memory, every key loaded", _memory(scale.loaded_bytes, scale)),
    ]


def _asked(at_once: AtOnce) -> list[tuple[str, str]]:
    return [
        ("read every row of a snapshot from the database", f"{at_once.read_seconds:.2f} s"),
        ("first data plane served", f"{at_once.first_seconds:.2f} s after it asked"),
        (f"all {at_once.askers} served", f"{at_once.all_seconds:.2f} s"),
        ("sent to each, compressed", f"{at_once.sent_bytes / MIB:.1f} MiB"),
        (
            "the control plane's memory, at its highest",
            f"{at_once.grown_bytes / MIB:.0f} MiB more than before",
        ),
    ]


def _memory(size: int, scale: Scale) -> str:
    return f"{size / MIB:.0f} MiB, {size / scale.orgs:.0f} B per org"


def _paper(scale: Scale) -> list[tuple[str, str]]:
    times = SyncTimes()
    polls = scale.processes / times.poll_seconds
    full = polls / FULL_EVERY_POLLS
    key_reads = scale.orgs * KEY_CHANGES_PER_ORG_AND_YEAR * scale.processes / (365 * 24)
    egress = CHANGES_PER_HOUR * scale.event_bytes * scale.processes / HOUR / 1024
    cold = scale.integrations / VAULT_READS_PER_SECOND / 60
    mebibytes = full * scale.snapshot_bytes / MIB
    changes = f"{KEY_CHANGES_PER_ORG_AND_YEAR} key changes an org and year, in use on every process"
    return [
        (f"Redis out, at {CHANGES_PER_HOUR:,} changes an hour", f"{egress:.0f} KiB/s in all"),
        ("conditional polls at the control planes (304)", f"{polls:.1f} a second"),
        ("these while Redis is down", f"{scale.processes / times.poll_without_bus_seconds:.0f} a second"),
        ("these as Redis fails, once", f"{scale.processes / times.spread_seconds:.0f} a second"),
        ("whole snapshots by the hourly full poll", f"{full:.2f} a second, {mebibytes:.1f} MiB/s"),
        ("cores to encode those", f"{full * scale.encode_seconds:.2f}"),
        ("a fleet that restarts at once", f"{scale.processes * scale.snapshot_bytes / MIB / 1024:.1f} GiB"),
        (f"Vault, {changes}", f"{key_reads:,.0f} reads an hour, {key_reads / HOUR:.1f} a second"),
        ("Vault, one process prefetching everything", f"{cold:.0f} min at {VAULT_READS_PER_SECOND} reads/s"),
        ("Vault, reads of one process at a time", f"{MAX_CONCURRENT_READS} at most"),
    ]


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
