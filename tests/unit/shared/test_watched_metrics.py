"""Numbers kept elsewhere are read at every scrape, and an unknown number gives no sample."""

from __future__ import annotations

from shared.watched_metrics import WatchedMetrics


def lines(metrics: WatchedMetrics, name: str) -> list[str]:
    return [line for line in metrics.exposition().decode().splitlines() if line.startswith(name)]


def test_each_scrape_reads_the_number_of_the_moment() -> None:
    metrics, kept = WatchedMetrics(), {"open": 1.0}
    metrics.watch("aigw_open", "Open ones.", lambda: kept["open"])
    metrics.watch_count("aigw_done", "Finished ones.", lambda: kept["open"] * 10)
    assert lines(metrics, "aigw_") == ["aigw_open 1.0", "aigw_done_total 10.0"]
    kept["open"] = 2.0
    assert lines(metrics, "aigw_") == ["aigw_open 2.0", "aigw_done_total 20.0"]


def test_an_unknown_number_gives_no_sample() -> None:
    metrics = WatchedMetrics()
    metrics.watch("aigw_age", "Age of the oldest.", lambda: None)
    assert lines(metrics, "aigw_age") == []


def test_counters_by_label_have_a_sample_for_each_value() -> None:
    metrics = WatchedMetrics()
    metrics.watch_counts("aigw_refused", "Refused ones.", "limit", lambda: {"person": 2, "org": 3})
    assert lines(metrics, "aigw_refused") == [
        'aigw_refused_total{limit="person"} 2.0',
        'aigw_refused_total{limit="org"} 3.0',
    ]


def test_two_planes_in_one_process_do_not_meet() -> None:
    first, second = WatchedMetrics(), WatchedMetrics()
    first.watch("aigw_open", "Open ones.", lambda: 1.0)
    assert lines(second, "aigw_") == []
    assert lines(first, "process_open_fds") == lines(first, "process_open_fds")[:1] != []
