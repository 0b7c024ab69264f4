"""How long the faults last: the short form of every test run, and the full form of `make faults`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pytest

MARKS: Final = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("faults"),
    pytest.mark.timeout(900),
]
"""The tests of this folder share a site, hence a single worker and a single loop."""
FULL_ONLY: Final = pytest.mark.full_faults
"""For long tests of faults resembling another: left out of the short form."""


@dataclass(frozen=True, slots=True)
class Form:
    """Numbers of changes and seconds of down-time."""

    name: Literal["short", "full"]
    toggles: int
    redis_down_seconds: float
    redis_down_changes: int
    redis_silent_seconds: float
    down_seconds: float
    concurrent_writes: int
    kills: int
    token_ttl_seconds: int
    restored_changes: int
    cold_orgs: int
    lost_commits: int
    pooled_changes: int
    starved_seconds: float
    starved_turns: int


SHORT: Final = Form(
    "short",
    toggles=50,
    redis_down_seconds=5,
    redis_down_changes=5,
    redis_silent_seconds=5,
    down_seconds=2,
    concurrent_writes=60,
    kills=1,
    token_ttl_seconds=4,
    restored_changes=10,
    cold_orgs=200,
    lost_commits=3,
    pooled_changes=10,
    starved_seconds=4,
    starved_turns=2,
)
FULL: Final = Form(
    "full",
    toggles=1_000,
    redis_down_seconds=60,
    redis_down_changes=20,
    redis_silent_seconds=30,
    down_seconds=15,
    concurrent_writes=400,
    kills=3,
    token_ttl_seconds=60,
    restored_changes=100,
    cold_orgs=5_000,
    lost_commits=20,
    pooled_changes=100,
    starved_seconds=15,
    starved_turns=5,
)
