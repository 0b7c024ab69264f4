"""Cursor pagination: opaque cursors that name the last item seen, and a common limit for every list."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from services.control_plane.rules.problems import Fault, Problem, ProblemError

DEFAULT_PAGE_ITEMS: Final = 50
MAX_PAGE_ITEMS: Final = 200
MAX_CURSOR_CHARS: Final = 256


class PageQuery(BaseModel):
    """The query of a list."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: int = Field(
        default=DEFAULT_PAGE_ITEMS, ge=1, le=MAX_PAGE_ITEMS, description="How many items at most."
    )
    cursor: str | None = Field(
        default=None,
        max_length=MAX_CURSOR_CHARS,
        description="`next_cursor` of the page before; left out: the first page.",
    )


Page = Annotated[PageQuery, Query()]
"""The query of a list: `limit` and `cursor`, and nothing else, so a mistyped name is noticed."""


def write_cursor(last: str | int) -> str:
    """Write the key of the last item on a page."""
    return urlsafe_b64encode(str(last).encode()).rstrip(b"=").decode()


def read_cursor(cursor: str) -> str:
    """Give that key back, or refuse a cursor not written by `write_cursor`."""
    try:
        last = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        raise bad_cursor() from None
    if not last.isprintable() or not last or write_cursor(last) != cursor:
        raise bad_cursor()
    return last


def bad_cursor() -> ProblemError:
    """The refusal of a cursor."""
    detail = "This is not a cursor that was given out here."
    return ProblemError(Problem.BAD_REQUEST, detail, (Fault(detail, parameter="query cursor"),))
