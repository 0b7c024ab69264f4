"""The rights of people in an org: owners edit, members read, to strangers the org does not exist."""

from __future__ import annotations

from typing import Literal

from services.control_plane.rules.problems import Problem, ProblemError

Role = Literal["owner", "member"]


def require_reader(role: Role | None) -> Role:
    """Give the role back, or answer as for a missing org."""
    if role is None:
        raise ProblemError(Problem.NOT_FOUND, "There is no such organization among yours.")
    return role


def require_owner(role: Role | None, owners: tuple[str, ...]) -> None:
    """Refuse a stranger as `require_reader` does, and a member with the names of the owners."""
    if require_reader(role) != "owner":
        who = ", ".join(owners) or "nobody yet: ask the platform's operator"
        raise ProblemError(
            Problem.OWNER_REQUIRED,
            f"You are a member of this organization; its owners can do this ({who}).",
            extensions={"owners": list(owners)},
        )
