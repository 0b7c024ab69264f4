"""Tests of `bench/trials/gone.py`: a departure in the provider's notes and in the figures."""

import pytest

from bench.measure import WrongAnswerError
from bench.subjects.subject import Running
from bench.trials.gone import NEVER_SECONDS, PHASES, WAYS, Departure, Phase, Way, depart, figures_of
from bench.trials.provider import running_provider
from bench.workload import UPSTREAM_KEY, UPSTREAM_PREFIX


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("way", WAYS)
def test_the_provider_sees_a_box_go_in_every_phase_and_way(phase: Phase, way: Way) -> None:
    with running_provider() as provider:
        running = Running(port=provider.port, pid=None, prefix=UPSTREAM_PREFIX, key=UPSTREAM_KEY)
        departure = depart(running, provider, 1, phase, way)
    assert (departure.phase, departure.way) == (phase, way)
    assert departure.seconds is not None


def test_a_subject_that_does_not_set_the_key_fails() -> None:
    with running_provider() as provider:
        running = Running(port=provider.port, pid=None, prefix=UPSTREAM_PREFIX, key="placeholder")
        with pytest.raises(WrongAnswerError):
            depart(running, provider, 1, "streaming", "close", begin_seconds=0.2)


def test_figures_are_by_phase_and_way_in_milliseconds() -> None:
    seen = [Departure("waiting", "close", 0.001), Departure("waiting", "reset", 0.004)]
    figures = figures_of([*seen, Departure("waiting", "reset", 0.006)])
    assert figures["waiting_p50_ms"] == pytest.approx(4)
    assert figures["waiting_max_ms"] == pytest.approx(6)
    assert figures["waiting_close_max_ms"] == pytest.approx(1)
    assert figures["never_seen"] == 0
    assert "streaming_p50_ms" not in figures


def test_an_end_that_is_never_seen_shows_as_the_longest_wait() -> None:
    figures = figures_of([Departure("uploading", "close", None), Departure("uploading", "close", 0.001)])
    assert figures["uploading_max_ms"] == NEVER_SECONDS * 1000
    assert figures["never_seen"] == 1
