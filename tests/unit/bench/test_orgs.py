"""Tests of `bench/trials/orgs.py` and `many_orgs.py`: the table of any size, and how turns are compared."""

import httpx
import pytest

from bench.measure import WrongAnswerError
from bench.subjects.data_plane import org_used, snapshot_of, snapshot_server
from bench.trials.orgs import figures_of
from shared.config_feed import decode_snapshot, snapshot_etag


def _turn(cpu: float, resident: float = 1) -> dict[str, float]:
    return {"cpu_us_per_request": cpu, "foreign_share": 0, "resident_mib": resident}


def test_turns_are_compared_in_pairs_so_that_a_slow_while_counts_for_both() -> None:
    figures = figures_of([_turn(30), _turn(60), _turn(31)], [_turn(30.3), _turn(60.6), _turn(62)])
    assert figures["many_over_few"] == pytest.approx(1.01)
    assert figures["few_cpu_us_per_request"] == 31
    assert figures["many_cpu_us_per_request"] == 60.6


def test_a_turn_without_any_cpu_is_a_failed_measurement() -> None:
    with pytest.raises(WrongAnswerError, match="too busy"):
        figures_of([_turn(0)], [_turn(30)])


def test_a_snapshot_holds_both_providers_of_every_org_and_the_one_that_calls() -> None:
    snapshot = snapshot_of(10)
    assert (len(snapshot.orgs), len(snapshot.integrations)) == (10, 20)
    assert all(row.enabled for row in snapshot.integrations)
    assert org_used(10) in {row.org for row in snapshot.orgs}


def test_the_stub_gives_the_snapshot_once_and_takes_acknowledgements() -> None:
    snapshot = snapshot_of(3)
    with snapshot_server(snapshot) as port:
        url = f"http://127.0.0.1:{port}/internal/v1"
        with httpx.Client(trust_env=False) as client:
            first = client.get(f"{url}/snapshot")
            known = {"If-None-Match": snapshot_etag(snapshot.epoch, snapshot.revision)}
            again = client.get(f"{url}/snapshot", headers=known)
            posted = client.post(f"{url}/acknowledgement", json={"position": 1})
    assert decode_snapshot(first.content) == snapshot
    assert (again.status_code, posted.status_code) == (304, 204)
