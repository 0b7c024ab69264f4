"""Metrics read from the parts that keep the numbers, at every scrape; with those of the process itself.

One registry per object, so two planes in a single process do not meet. No label holds an org, a box or any
other value of a caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from shared.distribution import Distribution

__all__ = ["CONTENT_TYPE_LATEST", "WatchedMetrics"]


class WatchedMetrics:
    """The watched numbers of one plane. Also a collector of its own registry."""

    def __init__(self) -> None:
        self._gauges: list[tuple[str, str, Callable[[], float | None]]] = []
        self._counters: list[tuple[str, str, Callable[[], float]]] = []
        self._labelled: list[tuple[str, str, str, Callable[[], Mapping[str, int]]]] = []
        self._distributions: list[tuple[str, str, Distribution]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def watch(self, name: str, help_text: str, read: Callable[[], float | None]) -> None:
        """Have a gauge read at every scrape; None, for an unknown number, gives no sample."""
        self._gauges.append((name, help_text, read))

    def watch_count(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Have a counter kept elsewhere read at every scrape."""
        self._counters.append((name, help_text, read))

    def watch_counts(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]
    ) -> None:
        """Have counters kept elsewhere read at every scrape, by the values of a label."""
        self._labelled.append((name, help_text, label, read))

    def watch_distribution(self, name: str, help_text: str, distribution: Distribution) -> None:
        """Have a distribution kept elsewhere read at every scrape."""
        self._distributions.append((name, help_text, distribution))

    def exposition(self) -> bytes:
        """Write everything in the Prometheus text format, whose type is `CONTENT_TYPE_LATEST`."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Give the families; called by the registry."""
        yield from self.watched_families()

    def watched_families(self) -> Iterable[Metric]:
        """Give the families of the watched numbers."""
        for name, help_text, read in self._gauges:
            yield GaugeMetricFamily(name, help_text, value=read())
        for name, help_text, read_count in self._counters:
            yield CounterMetricFamily(name, help_text, value=read_count())
        for name, help_text, label, read_all in self._labelled:
            family = CounterMetricFamily(name, help_text, labels=[label])
            for value, count in list(read_all().items()):
                family.add_metric([value], count)
            yield family
        for name, help_text, distribution in self._distributions:
            histogram = HistogramMetricFamily(name, help_text, labels=())
            distribution.expose(histogram, [])
            yield histogram
