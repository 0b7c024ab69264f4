"""The report of a data-plane process, sent every few seconds: configuration, and findings of traffic.

Wire types only, secret-free by construction. `POST /internal/v1/acknowledgements` takes a report as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from shared.providers import ProviderName

SCHEMA: Final = 1
REPORT_SECONDS: Final = 2.0
EXPIRY_SECONDS: Final = 15.0
"""A process without a report for this long is silent: cut off or ended; nobody knows which."""
FORGET_SECONDS: Final = 86_400
"""As long as a data plane serves its last configuration without word from the control plane, by default."""
MAX_PENDING: Final = 200
MAX_SEEN: Final = 200
MAX_REPORT_BYTES: Final = 60 * 1024
"""Below the control plane's limit for a body (64 KiB), above which the whole report would be refused."""
SEEN_RESERVE_BYTES: Final = 8 * 1024
"""Kept for `seen` however many entries are pending, so the list of `seen` moves on: an entry has 800 bytes at
most.
"""

_Id = Annotated[str, Field(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True)
class Pending:
    """A pinned secret not yet used by the process: being read, or unreadable."""

    org: _Id
    provider: ProviderName


@dataclass(frozen=True, slots=True)
class Seen:
    """The provider's latest verdict on an org's key, its time (Unix seconds), and the secret's version.

    Version 0 stands in reports of processes of a former release.
    """

    org: _Id
    provider: ProviderName
    verdict: Literal["accepted", "rejected"]
    at: Annotated[float, Field(ge=0)]
    secret_version: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The state of a process.

    Attributes:
        process: an id of its own, new at every start.
        epoch, applied_revision: where its configuration stands; "" and 0 before the first.
        applied_at: since when (Unix seconds).
        ready: whether it takes traffic.
        pending: at most `MAX_PENDING` entries that fit; `is_all_pending` tells whether the list is complete.
        seen: at most `MAX_SEEN` entries that fit, only entries new since the last report.
        seat: the place that one living process alone can hold (`data_plane/table/seat.py`); "" for an unknown
            place, as in reports of a former release.
        ended: whether this is the last report: the process serves no box any more.
    """

    process: _Id
    epoch: Annotated[str, Field(max_length=64)]
    applied_revision: Annotated[int, Field(ge=0)]
    applied_at: Annotated[float, Field(ge=0)]
    ready: bool
    pending: Annotated[tuple[Pending, ...], Field(max_length=MAX_PENDING)]
    is_all_pending: bool
    seen: Annotated[tuple[Seen, ...], Field(max_length=MAX_SEEN)]
    seat: Annotated[str, Field(max_length=64)] = ""
    ended: bool = False
    schema: Literal[1] = SCHEMA


class AcknowledgementError(ValueError):
    """The bytes are no acknowledgement of a schema known to this process."""


_ACKNOWLEDGEMENT: TypeAdapter[Acknowledgement] = TypeAdapter(Acknowledgement)
_PENDING: TypeAdapter[tuple[Pending, ...]] = TypeAdapter(tuple[Pending, ...])
_ENTRY: TypeAdapter[Pending | Seen] = TypeAdapter(Pending | Seen)
_EntryType = TypeVar("_EntryType", Pending, Seen)


def encode_acknowledgement(report: Acknowledgement) -> bytes:
    """Write a report as JSON."""
    return _ACKNOWLEDGEMENT.dump_json(report)


def fitted(report: Acknowledgement) -> Acknowledgement:
    """Give the report with as much of `pending`, then of `seen`, as fits into `MAX_REPORT_BYTES`."""
    bare = replace(report, pending=(), seen=())
    room = MAX_REPORT_BYTES - len(encode_acknowledgement(bare)) - 1  # `true` may become `false`
    _, seen_bytes = _cut(report.seen, SEEN_RESERVE_BYTES)
    pending, pending_bytes = _cut(report.pending, room - seen_bytes)
    seen, _ = _cut(report.seen, room - pending_bytes)
    is_all = report.is_all_pending and len(pending) == len(report.pending)
    return replace(report, pending=pending, is_all_pending=is_all, seen=seen)


def _cut(entries: Iterable[_EntryType], room: int) -> tuple[tuple[_EntryType, ...], int]:
    """Give the first entries within `room` bytes as JSON, commas included, and their size."""
    kept: list[_EntryType] = []
    taken = 0
    for entry in entries:
        size = len(_ENTRY.dump_json(entry)) + 1
        if taken + size > room:
            break
        kept.append(entry)
        taken += size
    return tuple(kept), taken


def decode_acknowledgement(data: bytes) -> Acknowledgement:
    """Read a report; raises `AcknowledgementError`."""
    try:
        return _ACKNOWLEDGEMENT.validate_json(data, strict=True)
    except ValidationError as error:
        raise AcknowledgementError(f"not a report of schema {SCHEMA}: {error.error_count()} faults") from None


def encode_pending(pending: tuple[Pending, ...]) -> str:
    """Write the pending secrets alone, in the form kept between reports."""
    return _PENDING.dump_json(pending).decode()


def decode_pending(text: str) -> tuple[Pending, ...]:
    """Read the output of `encode_pending`."""
    return _PENDING.validate_json(text)
