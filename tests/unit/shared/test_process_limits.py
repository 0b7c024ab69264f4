"""Tests of the limits set by a process on itself, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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


_ORPHAN = """
import os, signal, time
from shared.process_limits import end_with_parent
signal.signal(signal.SIGTERM, lambda *_: (print("told to end", flush=True), os._exit(0)))
end_with_parent({parent})
print("lives", flush=True)
time.sleep(30)
"""


def _orphan(parent: object) -> str:
    return _ORPHAN.replace("{parent}", str(parent))


def test_a_process_is_told_to_end_when_the_one_that_started_it_is_killed(tmp_path: Path) -> None:
    starter = f"""
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {_orphan("os.getppid()")!r}], stdout=open("said", "w"))
while "lives" not in open("said").read(): pass
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {"PYTHONPATH": str(Path.cwd())}
    subprocess.run([sys.executable, "-c", starter], cwd=tmp_path, env=environment, check=False, timeout=60)
    deadline = time.monotonic() + 30
    while "told to end" not in (tmp_path / "said").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_whose_starter_is_gone_already_is_told_to_end_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _orphan(1 if os.getpid() != 1 else 2)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout == "told to end\n"
