"""The metrics of all workers as a single exposition: counts are added up, gauges combined by their meaning.

Pure: texts in, text out. A counter of the sum never goes back, because the last known counts of an ended
worker stay in the sum; Prometheus would take a drop for a restart and count everything again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

_COUNTED: Final = frozenset({"counter", "histogram", "summary"})
LEAST: Final = frozenset(
    {"aigw_config_revision", "aigw_vault_token_left_seconds", "process_start_time_seconds"}
)
"""Gauges of which the worst worker speaks for all: the oldest configuration, the first start."""
GREATEST: Final = frozenset(
    {
        "aigw_box_tls_files_unusable",
        "aigw_config_age_seconds",
        "aigw_config_stale",
        "aigw_max_config_age_seconds",
        "aigw_named_orgs",
        "aigw_unusable_secrets",
        "process_max_fds",
        "process_open_fds",
        "python_info",
    }
)
"""Gauges of which the worst worker speaks for all as well: a sum would count the same thing for each worker,
and each worker has a limit on descriptors of its own.
"""
SUMMED: Final = frozenset(
    {
        "aigw_box_connections",
        "aigw_idle_upstream_connections",
        "aigw_max_box_connections",
        "aigw_open_exchanges",
        "aigw_upstream_connections",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
    }
)
"""Gauges that are added up, as is every other; named here so that a test finds a gauge without a decision."""

_Key = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a sample and its labels."""


@dataclass(slots=True)
class _Family:
    type: str
    documentation: str
    values: dict[_Key, float] = field(default_factory=dict)


class WorkersExposition:
    """The sums over the workers of a data plane."""

    def __init__(self) -> None:
        self._counted: dict[int, dict[_Key, float]] = {}
        self._ended: dict[_Key, float] = {}

    def forget(self, worker: int) -> None:
        """Keep the last known counts of an ended worker; the worker's id is never used again."""
        for key, value in self._counted.pop(worker, {}).items():
            self._ended[key] = self._ended.get(key, 0.0) + value

    def merge(self, texts: Mapping[int, str]) -> bytes:
        """Give a single exposition for the texts of the living workers, by worker id.

        Raises:
            ValueError: a text is not in the Prometheus text format.
        """
        families: dict[str, _Family] = {}
        for worker, text in texts.items():
            counted: dict[_Key, float] = {}
            for metric in text_string_to_metric_families(text):
                family = families.setdefault(metric.name, _Family(metric.type, metric.documentation))
                _take(family, metric, counted)
            self._counted[worker] = counted
        self._add_others(families, texts)
        return generate_latest(_Families(families))

    def _add_others(self, families: dict[str, _Family], texts: Mapping[int, str]) -> None:
        """Add the counts of ended workers, and of workers without an answer this time."""
        silent = [counted for worker, counted in self._counted.items() if worker not in texts]
        for counted in (self._ended, *silent):
            for key, value in counted.items():
                name = key[0]
                for family in _families_of(name, families):
                    family.values[key] = family.values.get(key, 0.0) + value


def _families_of(sample: str, families: Mapping[str, _Family]) -> Iterable[_Family]:
    for suffix in ("", "_total", "_bucket", "_count", "_sum"):
        family = families.get(sample.removesuffix(suffix)) if sample.endswith(suffix) else None
        if family is not None and family.type in _COUNTED:
            return (family,)
    return ()


def _take(family: _Family, metric: Metric, counted: dict[_Key, float]) -> None:
    values, adds = family.values, metric.type in _COUNTED
    for sample in metric.samples:
        key = sample.name, tuple(sample.labels.items())
        before = values.get(key)
        if sample.name.endswith("_created") or sample.name in LEAST:
            values[key] = sample.value if before is None else min(before, sample.value)
        elif sample.name in GREATEST:
            values[key] = sample.value if before is None else max(before, sample.value)
        else:
            values[key] = (before or 0.0) + sample.value
            if adds:
                counted[key] = sample.value


class _Families:
    """The registry interface used by `generate_latest`."""

    def __init__(self, families: Mapping[str, _Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        for name, family in self._families.items():
            metric = Metric(name, family.documentation, family.type)
            for (sample, labels), value in family.values.items():
                metric.add_sample(sample, dict(labels), value)
            yield metric
