"""The agent's metrics for an operator's monitoring. No label names a box or an org."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from services.node_agent.rules.target import Condition

if TYPE_CHECKING:
    from services.node_agent.attachments import Attachments
    from services.node_agent.relay.acceptor import Shared
    from services.node_agent.tokens import Minter

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]


class Metrics:
    """Reads the numbers of the agent's parts at every scrape. Also a collector of its own registry."""

    def __init__(self, attachments: Attachments, shared: Shared, minter: Minter) -> None:
        self._attachments = attachments
        self._shared = shared
        self._minter = minter
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def exposition(self) -> bytes:
        """Write everything in the Prometheus text format, whose type is `CONTENT_TYPE_LATEST`."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Give the families; called by the registry."""
        yield from self._gauges()
        yield from self._counters()
        yield from self._targets()

    def _gauges(self) -> Iterable[Metric]:
        occupancy, tls = self._shared.occupancy, self._shared.targets.tls
        for name, meaning, value in (
            ("aigw_agent_attachments", "Boxes attached to this node.", len(self._attachments.all())),
            (
                "aigw_agent_lost_listeners",
                "Attached boxes whose listener could not be made.",
                self._attachments.lost,
            ),
            ("aigw_agent_connections", "Open connections of boxes.", occupancy.in_all),
            (
                "aigw_agent_max_connections",
                "The cap of all open connections of boxes, from the process's descriptors.",
                occupancy.caps.in_all,
            ),
            (
                "aigw_agent_tls_files_unusable",
                "1 when changed certificate files cannot be used and the former ones stay; else 0. Alarm.",
                float(tls is not None and tls.is_unusable),
            ),
            (
                "aigw_agent_ending_connections",
                "Sides of connections with last bytes still to send.",
                len(self._shared.endings),
            ),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)

    def _counters(self) -> Iterable[Metric]:
        counters = self._shared.counters
        for name, meaning, value in (
            ("aigw_agent_accepted", "Connections accepted from boxes.", counters.accepted),
            (
                "aigw_agent_unserved",
                "Connections of boxes for which no data plane was reached.",
                counters.unserved,
            ),
            (
                "aigw_agent_failed_connects",
                "Attempts to reach a data plane that failed.",
                counters.failed_connects,
            ),
            ("aigw_agent_bytes_up", "Bytes from boxes, of ended connections.", counters.bytes_up),
            ("aigw_agent_bytes_down", "Bytes to boxes, of ended connections.", counters.bytes_down),
            ("aigw_agent_tokens_minted", "Box tokens signed.", self._minter.minted),
        ):
            yield CounterMetricFamily(name, meaning, value=value)
        refused = CounterMetricFamily(
            "aigw_agent_refused", "Connections refused, by the full cap.", labels=["cap"]
        )
        for cap in ("box", "org", "all"):
            refused.add_metric([cap], counters.refused[cap])
        yield refused

    def _targets(self) -> Iterable[Metric]:
        condition = GaugeMetricFamily(
            "aigw_agent_target",
            "1 for the present condition of a data plane, 0 for every other condition.",
            labels=["target", "condition"],
        )
        connections = GaugeMetricFamily(
            "aigw_agent_target_connections", "Open connections to a data plane.", labels=["target"]
        )
        for known in self._shared.targets.known:
            connections.add_metric([known.target.name], known.connections)
            for possible in Condition:
                condition.add_metric([known.target.name, possible.name.lower()], possible is known.condition)
        yield condition
        yield connections
