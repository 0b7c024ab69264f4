"""What a data-plane process reports every few seconds: where its configuration stands, what traffic showed.

Wire types only, secret-free by construction. `POST /internal/v1/acknowledgements` takes one as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from shared.providers import ProviderName

SCHEMA: Final = 1
REPORT_SECONDS: Final = 2.0
EXPIRY_SECONDS: Final = 15.0
"""A process that has not reported for this long counts as gone."""
MAX_PENDING: Final = 200
MAX_SEEN: Final = 200

_Id = Annotated[str, Field(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True)
class Pending:
    """A pinned secret that the process does not use yet: being read, or it cannot be read."""

    org: _Id
    provider: ProviderName


@dataclass(frozen=True, slots=True)
class Seen:
    """What the provider last said to an org's key, and when (Unix seconds)."""

    org: _Id
    provider: ProviderName
    verdict: Literal["accepted", "rejected"]
    at: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The state of one process.

    Attributes:
        process: an id of its own, new at every start.
        epoch, applied_revision: where its configuration stands; "" and 0 before the first.
        applied_at: since when (Unix seconds).
        ready: whether it takes traffic.
        pending: at most `MAX_PENDING`; `is_all_pending` tells whether that is all of them.
        seen: at most `MAX_SEEN`, only what is new since the last report.
    """

    process: _Id
    epoch: Annotated[str, Field(max_length=64)]
    applied_revision: Annotated[int, Field(ge=0)]
    applied_at: Annotated[float, Field(ge=0)]
    ready: bool
    pending: Annotated[tuple[Pending, ...], Field(max_length=MAX_PENDING)]
    is_all_pending: bool
    seen: Annotated[tuple[Seen, ...], Field(max_length=MAX_SEEN)]
    schema: Literal[1] = SCHEMA


class AcknowledgementError(ValueError):
    """Bytes that are no acknowledgement of a schema this process knows."""


_ACKNOWLEDGEMENT: TypeAdapter[Acknowledgement] = TypeAdapter(Acknowledgement)
_PENDING: TypeAdapter[tuple[Pending, ...]] = TypeAdapter(tuple[Pending, ...])


def encode_acknowledgement(report: Acknowledgement) -> bytes:
    """Write a report as JSON."""
    return _ACKNOWLEDGEMENT.dump_json(report)


def decode_acknowledgement(data: bytes) -> Acknowledgement:
    """Read a report; raises `AcknowledgementError`."""
    try:
        return _ACKNOWLEDGEMENT.validate_json(data, strict=True)
    except ValidationError as error:
        raise AcknowledgementError(f"not a report of schema {SCHEMA}: {error.error_count()} faults") from None


def encode_pending(pending: tuple[Pending, ...]) -> str:
    """Write the pending secrets alone, as they are kept between reports."""
    return _PENDING.dump_json(pending).decode()


def decode_pending(text: str) -> tuple[Pending, ...]:
    """Read what `encode_pending` wrote."""
    return _PENDING.validate_json(text)
