"""The refusal of a request whose person or org has had its share; the only 429 that is sent at a pace."""

from __future__ import annotations

import math

from services.control_plane.rules.problems import Problem, ProblemError


class OverLimit(ProblemError):  # noqa: N818  # a state of the requester, named as it is seen
    """A 429 with `Retry-After`. `key`: who is over the limit, for the pace of refusals."""

    def __init__(self, problem: Problem, detail: str, *, key: str, wait_seconds: float) -> None:
        super().__init__(problem, detail, headers={"Retry-After": str(max(1, math.ceil(wait_seconds)))})
        self.key = key
