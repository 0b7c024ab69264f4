"""Tests of the limits that a process sets on itself, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

CANARY = "sk-canary-in-memory-0123456789"

_RAISE = """
import resource
from shared.process_limits import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""

_CRASH = """
import ctypes, os, resource, signal
soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
{forbid}
kept = b"CANARY" * 1000
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
os.kill(os.getpid(), signal.SIGABRT)
"""
_FORBID = "from shared.process_limits import forbid_core_dumps; forbid_core_dumps()"


def test_the_soft_limit_on_descriptors_is_raised_to_the_hard_one() -> None:
    told = subprocess.run([sys.executable, "-c", _RAISE], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["512", "512", "512"]


def test_a_crash_leaves_no_core_dump(tmp_path: Path) -> None:
    script = _CRASH.format(forbid=_FORBID).replace("CANARY", CANARY)
    crashed = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path.cwd())},
    )
    assert crashed.stdout is not None
    with crashed.stdout:
        dumpable, core_bytes = crashed.stdout.read().split()
    _, status = os.waitpid(crashed.pid, 0)
    crashed.returncode = os.waitstatus_to_exitcode(status)
    assert (os.WTERMSIG(status), os.WCOREDUMP(status)) == (signal.SIGABRT, False)
    assert (dumpable, core_bytes) == (b"0", b"0")
    assert list(tmp_path.iterdir()) == []
