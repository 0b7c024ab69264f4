"""Tests of the sum of several workers' metrics."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.data_plane.account.metrics import Metrics
from services.data_plane.account.record import ExchangeRecord
from services.data_plane.workers.exposition import GREATEST, LEAST, SUMMED, WorkersExposition
from tools.metric_registrations import registrations


def _text(exchanges: int = 0, *, open_now: float = 0, revision: float = 7, age: float = 1) -> str:
    metrics = Metrics()
    for _ in range(exchanges):
        record = ExchangeRecord(1.0)
        record.provider, record.status, record.outcome, record.seconds_to_send = (
            "openai",
            200,
            "answered",
            0.002,
        )
        metrics.count(record)
    metrics.watch("aigw_open_exchanges", "Open.", lambda: open_now)
    metrics.watch("aigw_config_revision", "Revision.", lambda: revision)
    metrics.watch("aigw_config_age_seconds", "Age.", lambda: age)
    return metrics.exposition().decode()


def _samples(exposition: bytes) -> dict[str, float]:
    return {
        sample.name + "".join(sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
    }


def test_counts_and_distributions_of_workers_are_added_up() -> None:
    merged = _samples(WorkersExposition().merge({1: _text(2), 2: _text(3)}))
    assert merged["aigw_exchanges_total" + "200answeredopenai"] == 5
    assert merged["aigw_time_to_send_seconds_countopenai"] == 5
    assert merged["aigw_time_to_send_seconds_bucket0.0025openai"] == 5
    assert merged["aigw_time_to_send_seconds_sumopenai"] == pytest.approx(0.01)


def test_a_gauge_is_the_sum_the_least_or_the_greatest_by_its_meaning() -> None:
    texts = {1: _text(open_now=3, revision=9, age=0.5), 2: _text(open_now=4, revision=8, age=70)}
    merged = _samples(WorkersExposition().merge(texts))
    assert merged["aigw_open_exchanges"] == 7
    assert merged["aigw_config_revision"] == 8
    assert merged["aigw_config_age_seconds"] == 70


def test_every_gauge_of_a_data_plane_says_how_workers_are_combined() -> None:
    alone = "services/data_plane/workers/"  # of the main process
    gauges = {
        one.name
        for one in registrations()
        if one.kind == "gauge" and one.path.startswith("services/data_plane/") and alone not in one.path
    }
    decided = [LEAST, GREATEST, SUMMED]
    assert gauges <= frozenset().union(*decided)
    assert sum(map(len, decided)) == len(frozenset().union(*decided)), "a gauge has one decision"


def test_a_secret_that_no_worker_can_use_is_one_secret() -> None:
    metrics = Metrics()
    metrics.watch("aigw_unusable_secrets", "Pinned.", lambda: 1)
    text = metrics.exposition().decode()
    assert _samples(WorkersExposition().merge({1: text, 2: text}))["aigw_unusable_secrets"] == 1


def test_a_counter_never_goes_back_when_a_worker_ends_and_another_takes_its_place() -> None:
    workers = WorkersExposition()
    workers.merge({1: _text(5), 2: _text(1)})
    workers.forget(1)
    merged = _samples(workers.merge({2: _text(2), 3: _text(0)}))
    assert merged["aigw_exchanges_total" + "200answeredopenai"] == 7


def test_a_worker_that_does_not_answer_keeps_its_last_counts_and_has_no_gauges() -> None:
    workers = WorkersExposition()
    workers.merge({1: _text(5, open_now=5), 2: _text(1, open_now=1)})
    merged = _samples(workers.merge({2: _text(1, open_now=1)}))
    assert merged["aigw_exchanges_total" + "200answeredopenai"] == 6
    assert merged["aigw_open_exchanges"] == 1


def test_the_sum_of_one_worker_has_the_same_samples_as_that_worker() -> None:
    text = _text(3, open_now=2)
    assert _samples(WorkersExposition().merge({1: text})) == _samples(text.encode())
