"""The option of the tests with several data-plane processes: `--processes full` runs them in full length."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Length:
    """How long the tests with several processes last.

    Attributes:
        kills: how many workers are killed.
        kill_pause_seconds: between two kills.
        rounds: how often every process of a fleet is restarted.
        callers: how many clients call at once.
    """

    kills: int
    kill_pause_seconds: float
    rounds: int
    callers: int


SHORT = Length(kills=3, kill_pause_seconds=0.0, rounds=1, callers=4)
FULL = Length(kills=12, kill_pause_seconds=5.0, rounds=3, callers=8)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--processes", choices=["short", "full"], default="short", help="length of the tests with processes"
    )


@pytest.fixture(scope="session")
def length(pytestconfig: pytest.Config) -> Length:
    """How long the tests with several processes last."""
    return FULL if pytestconfig.getoption("--processes", "short") == "full" else SHORT
