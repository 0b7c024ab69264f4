"""Metrics as a scraper reads them back."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.data_plane.account.metrics import HEAD_BUCKETS, Metrics
from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.usage.tokens import NoUsage, Usage
from shared.distribution import Distribution
from tests.support.exchange_records import exchange_record


def values(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read the exposition back as a scraper would: (sample, labels) to value."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(one.name, frozenset(one.labels.items())): one.value for all_ in families for one in all_.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return values(metrics).get((name, frozenset(labels.items())))


def answered(**changes: object) -> ExchangeRecord:
    record = exchange_record(
        org="acme",
        box="box-1",
        provider="openai",
        status=200,
        outcome="answered",
        seconds_to_send=0.002,
        seconds_to_head=0.3,
        bytes_up=10,
        bytes_down=20,
        reused=True,
    )
    for name, changed in changes.items():
        setattr(record, name, changed)
    return record


def test_exchanges_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics()
    metrics.count(answered())
    metrics.count(answered())
    metrics.count(answered(status=400, code="integration_missing", outcome="rejected"))
    labels = {"provider": "openai", "status": "200", "code": "", "outcome": "answered"}
    assert value(metrics, "aigw_exchanges_total", **labels) == 2
    refused = {"provider": "openai", "status": "400", "code": "integration_missing", "outcome": "rejected"}
    assert value(metrics, "aigw_exchanges_total", **refused) == 1


def test_bytes_reuse_and_leaked_keys_are_summed_by_provider() -> None:
    metrics = Metrics()
    metrics.count(answered())
    metrics.count(answered(leaked_key=True, reused=False))
    metrics.count(answered(provider="anthropic"))
    assert value(metrics, "aigw_bytes_up_total", provider="openai") == 20
    assert value(metrics, "aigw_bytes_down_total", provider="openai") == 40
    assert value(metrics, "aigw_reused_connections_total", provider="openai") == 1
    assert value(metrics, "aigw_leaked_keys_total", provider="openai") == 1
    assert value(metrics, "aigw_leaked_keys_total", provider="anthropic") == 0


def test_tokens_are_summed_by_provider_and_kind_and_what_is_unknown_is_counted() -> None:
    metrics = Metrics()
    metrics.count(answered(usage=Usage(10, 4, 1, 5, 2)))
    metrics.count(answered(usage=Usage(1, 0, 0, 1, 0)))
    for unknown in (NoUsage.UNREADABLE, NoUsage.ABSENT, None):
        metrics.count(answered(usage=unknown))
    metrics.count(answered(provider="anthropic", usage=NoUsage.UNREADABLE))
    kinds = {"input": 11, "cached_input": 4, "cache_write": 1, "output": 6, "reasoning": 2}
    name = "aigw_tokens_total"
    assert {kind: value(metrics, name, provider="openai", kind=kind) for kind in kinds} == kinds
    assert value(metrics, name, provider="anthropic", kind="input") == 0
    found = {"read": 2, "absent": 1, "unreadable": 1}
    name = "aigw_usage_reads_total"
    assert {what: value(metrics, name, provider="openai", found=what) for what in found} == found


def test_times_fall_into_cumulative_buckets() -> None:
    metrics = Metrics()
    for seconds in (0.05, 0.3, 10_000.0):
        metrics.count(answered(seconds_to_head=seconds))
    name = "aigw_time_to_head_seconds_bucket"
    assert [value(metrics, name, provider="openai", le=le) for le in ("0.05", "0.25", "0.5", "+Inf")] == [
        1,
        1,
        2,
        3,
    ]
    assert value(metrics, "aigw_time_to_head_seconds_count", provider="openai") == 3
    assert value(metrics, "aigw_time_to_head_seconds_sum", provider="openai") == 10_000.35
    assert HEAD_BUCKETS[0] == 0.05


def test_what_never_left_has_no_time() -> None:
    metrics = Metrics()
    metrics.count(answered(seconds_to_send=None, seconds_to_head=None))
    assert value(metrics, "aigw_time_to_send_seconds_count", provider="openai") == 0


def test_a_finished_exchange_has_a_duration_if_it_left_for_the_provider() -> None:
    metrics = Metrics()
    metrics.count(answered(seconds=0.7))
    metrics.count(answered(seconds=0.7, seconds_to_send=None))
    assert value(metrics, "aigw_duration_seconds_count", provider="openai") == 1
    assert value(metrics, "aigw_duration_seconds_bucket", provider="openai", le="0.5") == 0
    assert value(metrics, "aigw_duration_seconds_bucket", provider="openai", le="1.0") == 1


def test_the_own_time_leaves_the_connecting_out() -> None:
    metrics = Metrics()
    metrics.count(answered(seconds_to_send=0.0004))
    metrics.count(answered(seconds_to_send=0.2, seconds_to_connect=0.1993, reused=False))
    metrics.count(answered(seconds_to_send=0.2, seconds_to_connect=0.3))  # two clocks may disagree by a tick
    within = {
        name: value(metrics, f"aigw_{name}_seconds_bucket", provider="openai", le="0.001")
        for name in ("time_to_send", "own_time")
    }
    assert within == {"time_to_send": 1, "own_time": 3}
    assert value(metrics, "aigw_own_time_seconds_count", provider="openai") == 3
    assert value(metrics, "aigw_own_time_seconds_sum", provider="openai") == pytest.approx(0.0011)


def test_orgs_have_series_only_where_the_operator_wants_that() -> None:
    metrics = Metrics(max_orgs=1)
    metrics.count(answered())
    metrics.count(answered(org="other", status=503, code="overloaded"))
    labels = {"provider": "openai", "class": "2xx", "code": ""}
    assert value(metrics, "aigw_org_exchanges_total", org="acme", **labels) == 1
    labels = {"provider": "openai", "class": "5xx", "code": "overloaded"}
    assert value(metrics, "aigw_org_exchanges_total", org="", **labels) == 1
    assert value(metrics, "aigw_named_orgs") == 1


def test_watched_distributions_are_read_at_every_scrape() -> None:
    metrics, distribution = Metrics(), Distribution((0.1, 1.0))
    metrics.watch_distribution("aigw_event_lag_seconds", "Lag.", distribution)
    assert value(metrics, "aigw_event_lag_seconds_count") == 0
    distribution.add(0.5)
    assert value(metrics, "aigw_event_lag_seconds_bucket", le="0.1") == 0
    assert value(metrics, "aigw_event_lag_seconds_bucket", le="1.0") == 1


def test_watched_values_are_read_at_every_scrape() -> None:
    metrics, now = Metrics(), [1.0]
    metrics.watch("aigw_open_exchanges", "Now.", lambda: now[0])
    metrics.watch_count("aigw_dropped_log_lines", "Ever.", lambda: now[0] * 2)
    now[0] = 5.0
    assert value(metrics, "aigw_open_exchanges") == 5
    assert value(metrics, "aigw_dropped_log_lines_total") == 10


def test_two_data_planes_in_one_process_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    one.count(answered())
    assert not [key for key in values(two) if key[0] == "aigw_exchanges_total"]


def test_neither_org_nor_box_is_ever_a_label() -> None:
    metrics = Metrics()
    metrics.count(answered(org="org-canary", box="box-canary", route="route-canary", request_id="id-canary"))
    assert b"canary" not in metrics.exposition()


def test_the_process_itself_is_measured_too() -> None:
    assert value(Metrics(), "process_resident_memory_bytes")
