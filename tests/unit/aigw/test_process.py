"""How a long-running command ends: at once, whatever its threads still wait for."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

END_SECONDS = 20.0
"""Far below the minute for which the threads of this test sleep."""

WAITING_THREADS = """
import asyncio, sys, time
from concurrent.futures import ThreadPoolExecutor
from aigw.process import run_until_signalled

async def main(stop):
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
    ThreadPoolExecutor(1).submit(time.sleep, 60)
    print("ready", flush=True)
    await stop.wait()
    print("closed")

run_until_signalled(main)
"""


def test_a_stop_waits_for_no_thread_and_loses_no_output() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING_THREADS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 0
    assert out == "closed\n"


STOPS = """
from aigw.process import run_until_signalled

async def main(stop):
    print("ready", flush=True)
    await stop.wait()
    print("closed")

run_until_signalled(main)
"""


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_closed_terminal_stops_as_cleanly_as_a_service_manager(name: str) -> None:
    with subprocess.Popen([sys.executable, "-c", STOPS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.Signals[name])
        out, _ = process.communicate(timeout=END_SECONDS)
    assert (process.returncode, out) == (0, "closed\n")


def test_under_nohup_a_closed_terminal_stops_nothing() -> None:
    command = ["env", "--ignore-signal=HUP", sys.executable, "-c", STOPS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.terminate()
        assert process.wait(END_SECONDS) == 0


def test_a_failure_is_still_a_failure() -> None:
    program = """
from aigw.process import run_until_signalled

async def main(stop):
    raise LookupError("no such thing")

run_until_signalled(main)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=END_SECONDS
    )
    assert done.returncode == 1
    assert "no such thing" in done.stderr
