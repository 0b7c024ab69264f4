"""Single counts of a usage object: a number, nothing, or a value that is neither."""

from __future__ import annotations

from typing import Any, Final

from services.data_plane.core.usage.tokens import MAX_TOKENS

MAX_NAME_CHARS: Final = 128


class BadCount(ValueError):  # noqa: N818  # a finding about the provider's answer
    """A required count is missing, or a count is no number."""


def count_of(said: dict[str, Any], name: str) -> int | None:
    """Give a count; None for an absent or null count; raises `BadCount` for any other value."""
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has a single kind of number: 12, 12.0 and 1.2e1 are the same
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS:
        return value
    raise BadCount(name)


def needed(said: dict[str, Any], name: str) -> int:
    """Give a required count; raises `BadCount`."""
    value = count_of(said, name)
    if value is None:
        raise BadCount(name)
    return value


def requests_of(said: dict[str, Any], name: str) -> int:
    """Give a number of requests beside the tokens; 0 for an absent number or anything else."""
    try:
        return count_of(said, name) or 0
    except BadCount:
        return 0


def largest(*counts: int | None) -> int:
    """Join the spellings of a fact: an absent or zero spelling says nothing against another spelling."""
    return max((count for count in counts if count is not None), default=0)


def inner(said: dict[str, Any], *names: str) -> dict[str, Any]:
    """Give the first of these members with an object; an empty object without such a member."""
    return next((value for name in names if isinstance(value := said.get(name), dict)), {})


def name_of(said: dict[str, Any], member: str) -> str:
    """Give a short printable text, e.g. a model's name; empty for anything else."""
    value = said.get(member)
    is_name = isinstance(value, str) and len(value) <= MAX_NAME_CHARS and value.isprintable()
    return value if is_name and isinstance(value, str) else ""
