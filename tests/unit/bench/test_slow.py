"""Tests of `bench/trials/slow.py`: the transfers, without a subject between box and provider."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.measure import WrongAnswerError
from bench.subjects.subject import Running
from bench.trials.bulk import Pace
from bench.trials.provider import running_provider
from bench.trials.slow import PeakWatch, send_up, take_down
from bench.workload import UPSTREAM_KEY, UPSTREAM_PREFIX

_BYTES = 1_000_000
_AT_ONCE = Pace(turn_seconds=0)


@pytest.fixture
def direct() -> Iterator[Running]:
    with running_provider(_AT_ONCE) as provider:
        yield Running(port=provider.port, pid=None, prefix=UPSTREAM_PREFIX, key=UPSTREAM_KEY)


def test_a_body_goes_down_and_up_whole(direct: Running) -> None:
    take_down(direct, _BYTES, _AT_ONCE)
    send_up(direct, _BYTES, _AT_ONCE)


def test_a_refused_transfer_is_a_wrong_answer() -> None:
    with running_provider(_AT_ONCE) as provider:
        running = Running(port=provider.port, pid=None, prefix="/v2", key=UPSTREAM_KEY)
        with pytest.raises(WrongAnswerError, match="400"):
            take_down(running, _BYTES, _AT_ONCE)


def test_what_a_process_takes_meanwhile_is_its_growth() -> None:
    # A process of its own: whatever else this one starts and ends would count as its growth, too.
    program = "import os; print(flush=True); input(); held = os.urandom(32 * 2**20); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as taking:
        assert taking.stdin is not None
        assert taking.stdout is not None
        taking.stdout.readline()
        with PeakWatch(taking.pid) as watch:
            taking.stdin.write("\n")
            taking.stdin.flush()
            while watch.growth_mib < 24:  # until it has looked; the test's own deadline bounds it
                assert taking.poll() is None
        taking.stdin.write("\n")
    assert watch.peak_bytes > watch.before_bytes
