"""Tests of `bench/cpu_quota.py`: a process has its share of a core, and its group goes afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cpu_quota import PERIOD_MICROSECONDS, files_of, limited


@pytest.mark.parametrize("version", [1, 2])
def test_a_share_is_a_quota_of_each_period(version: int) -> None:
    text = " ".join(files_of(0.25, version=version).values())
    assert str(PERIOD_MICROSECONDS // 4) in text
    assert str(PERIOD_MICROSECONDS) in text


def test_a_limited_process_is_in_a_group_that_ends_with_the_limit() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        group = Path(f"/proc/{process.pid}/cgroup")
        with limited([process.pid], 0.5) as is_limited:
            inside = group.read_text()
        assert is_limited == (f"aigw-bench-{process.pid}" in inside)
        assert f"aigw-bench-{process.pid}" not in group.read_text()
        process.communicate(b"\n")


def test_a_process_that_is_not_there_cannot_be_limited() -> None:
    with limited([os.getpid() + 10_000_000], 0.5) as is_limited:
        assert not is_limited
