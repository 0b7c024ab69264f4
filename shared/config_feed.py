"""The config feed: the control plane's messages to every data-plane process. Secret-free by construction.

A *snapshot* is the whole state at a revision; an *event* is a full, changed row with the next revision. A
reader accepts revision r+1 or a heartbeat; anything else means: take a snapshot. Wire types only; the
per-request look-ups are compiled from these types in `services/data_plane/table`.

A snapshot is written as lines of JSON: a head that says how many rows of each kind follow, then the rows, up
to `ROWS_PER_LINE` of them a line. Between two lines a thread that decodes lets others run: a single document
of 100,000 orgs would stop every running stream for half a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from shared.providers import ProviderName

SCHEMA: Final = 1
STREAM_KEY: Final = "aigw:config"
"""The stream's name on the bus; each entry has the id `<revision>-0` and a single field, `event`.

Entries in Redis are signed (`shared/feed_signature.py`); the types here are the signed payload.
"""
EVENT_FIELD: Final = "event"
HEARTBEAT_KEY: Final = "aigw:heartbeat"
"""A second stream with a single entry and field, `beat`: where the stream ends, said every few seconds."""
HEARTBEAT_FIELD: Final = "beat"
HEARTBEAT_SECONDS: Final = 2.0
SNAPSHOT_KEY: Final = "aigw:snapshot"
"""A hash: a copy of the snapshot, for when the control plane is down.

`etag`, `body`, and `stamp`: the time of the last heartbeat up to which the copy was current.
"""
MAX_SNAPSHOT_BYTES: Final = 256 * 1024 * 1024
ROWS_PER_LINE: Final = 250
SNAPSHOT_MEDIA_TYPE: Final = "application/x-ndjson"

_ETAG: Final = re.compile(r'"([\x21\x23-\x7e]{1,64})-([0-9]{1,18})"')
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class IntegrationRow:
    """A provider of an org. A provider without a set-up, or a cleared provider, has no row in a snapshot."""

    org: str
    provider: ProviderName
    enabled: bool
    secret_version: int


@dataclass(frozen=True, slots=True)
class OrgRow:
    """The facts about its org open to a box: its name and the people able to change its settings."""

    org: str
    name: str
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeKeyRow:
    """A key for signing box tokens. `public_key` is the raw Ed25519 key, base64url without padding."""

    kid: str
    public_key: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node with all its keys: normally a single key, several during a rotation.

    The first key stands in the place of the former single key, so old and new processes read rows of both
    forms; an old process knows the first key alone.
    """

    node: str
    kid: str
    public_key: str
    further_keys: tuple[NodeKeyRow, ...] = ()

    @property
    def keys(self) -> tuple[NodeKeyRow, ...]:
        """All its keys."""
        return NodeKeyRow(self.kid, self.public_key), *self.further_keys


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole configuration at `revision` of `epoch`; the epoch changes when the database is restored."""

    epoch: str
    revision: int
    integrations: tuple[IntegrationRow, ...]
    orgs: tuple[OrgRow, ...]
    nodes: tuple[NodeRow, ...]
    schema: Literal[1] = SCHEMA


@dataclass(frozen=True, slots=True)
class Event:
    """A single change. For `op` put, exactly one of the rows is set; a removal names the row by its keys.

    `op`:
        `put_integration` / `clear_integration`: `integration` is the row (for clear, with `enabled` false).
        `put_org` / `remove_org`: `org` is the row.
        `put_node` / `remove_node`: `node` is the row.

    `at` is the time of the change, in Unix seconds; None from a control plane of an older version.
    """

    epoch: str
    revision: int
    op: Literal["put_integration", "clear_integration", "put_org", "remove_org", "put_node", "remove_node"]
    integration: IntegrationRow | None = None
    org: OrgRow | None = None
    node: NodeRow | None = None
    schema: Literal[1] = SCHEMA
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The stream ends at `revision` of `epoch`: a reader at any other revision has missed something.

    `at` is the time of this fact, in Unix seconds: a replayed old beat says nothing about now.
    """

    epoch: str
    revision: int
    at: float
    schema: Literal[1] = SCHEMA


class FeedError(ValueError):
    """The bytes are no snapshot, event or heartbeat of a schema known to this process."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The first line of a snapshot: its position, and the number of rows of each kind to follow."""

    epoch: str
    revision: int
    integrations: int
    orgs: int
    nodes: int
    schema: Literal[1] = SCHEMA


@dataclass(frozen=True, slots=True)
class _Rows:
    """Any other line; each has rows of a single kind."""

    integrations: tuple[IntegrationRow, ...] = ()
    orgs: tuple[OrgRow, ...] = ()
    nodes: tuple[NodeRow, ...] = ()


_HEAD: TypeAdapter[_Head] = TypeAdapter(_Head)
_ROWS: TypeAdapter[_Rows] = TypeAdapter(_Rows)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_HEARTBEAT: TypeAdapter[Heartbeat] = TypeAdapter(Heartbeat)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Write a snapshot as lines of JSON."""
    head = _Head(
        snapshot.epoch,
        snapshot.revision,
        len(snapshot.integrations),
        len(snapshot.orgs),
        len(snapshot.nodes),
    )
    rows = (
        *(_Rows(integrations=part) for part in _parts(snapshot.integrations)),
        *(_Rows(orgs=part) for part in _parts(snapshot.orgs)),
        *(_Rows(nodes=part) for part in _parts(snapshot.nodes)),
    )
    lines = [_HEAD.dump_json(head), *(_ROWS.dump_json(part, exclude_defaults=True) for part in rows)]
    return b"\n".join(lines)


def decode_snapshot(data: bytes) -> Snapshot:
    """Read a snapshot; raises `FeedError`, also when rows are missing."""
    lines = _lines(data)
    integrations: list[IntegrationRow] = []
    orgs: list[OrgRow] = []
    nodes: list[NodeRow] = []
    try:
        head = _HEAD.validate_json(next(lines, b""), strict=True)
        for line in lines:
            rows = _ROWS.validate_json(line, strict=True)
            integrations += rows.integrations
            orgs += rows.orgs
            nodes += rows.nodes
    except ValidationError as error:
        raise FeedError(f"not a snapshot of schema {SCHEMA}: {error.error_count()} faults") from None
    if (len(integrations), len(orgs), len(nodes)) != (head.integrations, head.orgs, head.nodes):
        raise FeedError("not a whole snapshot: it has other rows than its head says")
    return Snapshot(head.epoch, head.revision, tuple(integrations), tuple(orgs), tuple(nodes))


def _lines(data: bytes) -> Iterator[bytes]:
    """Split off line after line: one split of everything would stop other threads for its duration."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end]
        start = end + 1
    if start < len(data):
        yield data[start:]


def _parts(rows: tuple[_Row, ...]) -> Iterator[tuple[_Row, ...]]:
    left = iter(rows)
    while part := tuple(islice(left, ROWS_PER_LINE)):
        yield part


def snapshot_etag(epoch: str, revision: int) -> str:
    """Write the `ETag` of the snapshot at `revision`; a reader returns the value as `If-None-Match`."""
    return f'"{epoch}-{revision}"'


def read_snapshot_etag(text: str) -> tuple[str, int] | None:
    """Read the output of `snapshot_etag`: (epoch, revision); None for anything else."""
    match = _ETAG.fullmatch(text)
    return None if match is None else (match[1], int(match[2]))


def encode_event(event: Event) -> bytes:
    """Write an event as JSON."""
    return _EVENT.dump_json(event, exclude_none=True)


def decode_event(data: bytes) -> Event:
    """Read an event; raises `FeedError`, also when the rows do not match the event's `op`."""
    try:
        event = _EVENT.validate_json(data, strict=True)
    except ValidationError as error:
        raise FeedError(f"not an event of schema {SCHEMA}: {error.error_count()} faults") from None
    kind = event.op.partition("_")[2]
    rows = {"integration": event.integration, "org": event.org, "node": event.node}
    if [name for name, row in rows.items() if row is not None] != [kind]:
        raise FeedError(f"a {event.op} event has one row, its {kind}")
    return event


def encode_heartbeat(beat: Heartbeat) -> bytes:
    """Write a heartbeat as JSON."""
    return _HEARTBEAT.dump_json(beat)


def decode_heartbeat(data: bytes) -> Heartbeat:
    """Read a heartbeat; raises `FeedError`."""
    try:
        return _HEARTBEAT.validate_json(data, strict=True)
    except ValidationError as error:
        raise FeedError(f"not a heartbeat of schema {SCHEMA}: {error.error_count()} faults") from None
