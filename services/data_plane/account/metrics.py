"""The data plane's metrics: counts and distributions, kept as plain dicts and written on scrape.

The request path adds to dicts by tuple key; `labels().inc()` of the client library would cost ten times as
much. Each object has its own registry, so that two data planes in the same process do not meet. No label
holds a box or any other value freely chosen by callers, and none an org unless the operator wants that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from services.data_plane.account.org_counts import OrgCounts
from services.data_plane.core.usage.stated import PARTS, sum_of
from services.data_plane.core.usage.tokens import NoUsage, Usage
from shared.distribution import Distribution
from shared.watched_metrics import CONTENT_TYPE_LATEST, WatchedMetrics

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_Bounds = tuple[float, ...]
_Ending = tuple[str, int, str, str]
"""Provider, status, code, outcome."""

SEND_BUCKETS: Final[_Bounds] = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
    10.0,
)
"""Seconds: the gateway's own share, up to its connect deadline."""
HEAD_BUCKETS: Final[_Bounds] = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds: how long providers think, up to the first-byte deadline."""
DURATION_BUCKETS: Final[_Bounds] = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds: whole exchanges, up to an hour of a WebSocket."""

MAX_STATED_PARTS: Final = 64 * PARTS
"""The digits of so many usages are made numbers together, at most."""


class _ByProvider:
    """The counts of a provider; the empty name stands for requests without a provider."""

    __slots__ = (
        *(
            "bytes_down",
            "bytes_up",
            "dialled",
            "duration",
            "leaked",
            "reused",
            "stated",
            "to_head",
            "to_send",
        ),
        *("tokens", "undialled", "usage_found"),
    )

    def __init__(self) -> None:
        self.bytes_up = self.bytes_down = self.reused = self.leaked = 0
        self.tokens = [0] * len(Usage._fields)
        self.stated: list[bytes] = []  # part after part: a list of tuples would wake the garbage collector
        self.usage_found = {"read": 0, **dict.fromkeys((why.value for why in NoUsage), 0)}
        self.to_send = Distribution(SEND_BUCKETS)
        self.to_head = Distribution(HEAD_BUCKETS)
        self.duration = Distribution(DURATION_BUCKETS)
        # The requests that waited for a new connection: with that time, and without.
        self.dialled, self.undialled = Distribution(SEND_BUCKETS), Distribution(SEND_BUCKETS)

    @property
    def own(self) -> Distribution:
        """Give the time before sending without the time for new connections.

        Derived on scrape, so that a request over a pooled connection, whose two times are the same, is added
        once.
        """
        own = Distribution(SEND_BUCKETS)
        own.counts = [
            every - dialled + undialled
            for every, dialled, undialled in zip(
                self.to_send.counts, self.dialled.counts, self.undialled.counts, strict=True
            )
        ]
        own.total = self.to_send.total - self.dialled.total + self.undialled.total
        return own

    def add_times(self, record: ExchangeRecord) -> None:
        if (seconds := record.seconds_to_send) is not None:
            self.to_send.add(seconds)
            self.duration.add(record.seconds)
            if record.seconds_to_connect:
                self.dialled.add(seconds)
                self.undialled.add(max(0.0, seconds - record.seconds_to_connect))
        if (seconds := record.seconds_to_head) is not None:
            self.to_head.add(seconds)

    def add_usage(self, usage: Usage, answers: int = 1) -> None:
        self.usage_found["read"] += answers
        tokens = self.tokens
        for kind, count in enumerate(usage):
            if count:  # mostly two of them
                tokens[kind] += count

    def add_stated(self) -> None:
        """Add the counts collected in `stated`."""
        stated, self.stated = self.stated, []
        self.add_usage(sum_of(stated), len(stated) // PARTS)


class _Tally:
    """The number of a provider's exchanges with the same outcome."""

    __slots__ = ("count", "sums")

    def __init__(self, sums: _ByProvider) -> None:
        self.count = 0
        self.sums = sums


class Metrics(WatchedMetrics):
    """The books of a data plane, beside its watched numbers. Also a collector of its own registry."""

    def __init__(self, max_orgs: int = 0) -> None:
        """Make empty books, with series of their own for `max_orgs` orgs at most."""
        super().__init__()
        self._orgs = OrgCounts(max_orgs) if max_orgs else None
        self._tallies: dict[_Ending, _Tally] = {}
        self._providers: dict[str, _ByProvider] = {}

    def count(self, record: ExchangeRecord) -> None:
        """Count a finished exchange. No I/O; a few dict operations."""
        ending = (record.provider, record.status, record.code, record.outcome)
        tally = self._tallies.get(ending) or self._new_tally(ending)
        tally.count += 1
        sums = tally.sums
        sums.bytes_up += record.bytes_up
        sums.bytes_down += record.bytes_down
        if record.reused:
            sums.reused += 1
        if record.leaked_key:
            sums.leaked += 1
        usage = record.usage
        if record.stated_usage is not None:
            sums.stated.extend(record.stated_usage)
            if len(sums.stated) >= MAX_STATED_PARTS:
                sums.add_stated()
        elif usage is None:
            pass
        elif isinstance(usage, Usage):
            sums.add_usage(usage)
        else:
            sums.usage_found[usage.value] += 1
        if record.usage_gap is not None:
            sums.usage_found[record.usage_gap.value] += 1
        sums.add_times(record)
        if self._orgs is not None:
            self._orgs.count(record)

    def _new_tally(self, ending: _Ending) -> _Tally:
        provider = ending[0]
        sums = self._providers.get(provider)
        if sums is None:
            sums = self._providers[provider] = _ByProvider()
        tally = self._tallies[ending] = _Tally(sums)
        return tally

    def collect(self) -> Iterable[Metric]:
        """Give the families; called by the registry."""
        yield self._exchange_family()
        yield from self._provider_families()
        if self._orgs is not None:
            yield from self._orgs.families()
        yield from self.watched_families()

    def _exchange_family(self) -> Metric:
        family = CounterMetricFamily(
            "aigw_exchanges",
            "Finished exchanges, by the status seen by the box and the way of ending.",
            labels=["provider", "status", "code", "outcome"],
        )
        for (provider, status, code, outcome), tally in self._tallies.items():
            family.add_metric([provider, str(status), code, outcome], tally.count)
        return family

    def _provider_families(self) -> Iterable[Metric]:
        counters: tuple[tuple[str, str, Callable[[_ByProvider], int]], ...] = (
            ("aigw_bytes_up", "Bytes relayed from boxes to providers.", lambda sums: sums.bytes_up),
            ("aigw_bytes_down", "Bytes relayed from providers to boxes.", lambda sums: sums.bytes_down),
            ("aigw_reused_connections", "Exchanges over a pooled connection.", lambda sums: sums.reused),
            (
                "aigw_leaked_keys",
                "Requests whose placeholder looked like a real key of a provider.",
                lambda sums: sums.leaked,
            ),
        )
        for name, help_text, read in counters:
            counter = CounterMetricFamily(name, help_text, labels=["provider"])
            for provider, sums in self._providers.items():
                counter.add_metric([provider], read(sums))
            yield counter
        yield from self._usage_families()
        distributions: tuple[tuple[str, str, Callable[[_ByProvider], Distribution]], ...] = (
            (
                "aigw_time_to_send_seconds",
                "Seconds from a request's head arriving to its head leaving for the provider.",
                lambda sums: sums.to_send,
            ),
            (
                "aigw_time_to_head_seconds",
                "Seconds from a request's head arriving to the response's head arriving.",
                lambda sums: sums.to_head,
            ),
            (
                "aigw_duration_seconds",
                "Seconds from a request's head arriving to its end, of requests that have left.",
                lambda sums: sums.duration,
            ),
            (
                "aigw_own_time_seconds",
                "Seconds to send without those for a new connection: the gateway's own time.",
                lambda sums: sums.own,
            ),
        )
        for name, help_text, choose in distributions:
            histogram = HistogramMetricFamily(name, help_text, labels=["provider"])
            for provider, sums in self._providers.items():
                choose(sums).expose(histogram, [provider])
            yield histogram

    def _usage_families(self) -> Iterable[Metric]:
        tokens = CounterMetricFamily(
            "aigw_tokens",
            "Tokens, as stated by the providers' answers. Cached input and cache writes are parts of input, "
            "cache_write_1h is part of cache_write, and reasoning is part of output.",
            labels=["provider", "kind"],
        )
        found = CounterMetricFamily(
            "aigw_usage_reads",
            "Answers searched for their tokens: read, or why the tokens are unknown.",
            labels=["provider", "found"],
        )
        for provider, sums in self._providers.items():
            sums.add_stated()
            for kind, count in zip(Usage._fields, sums.tokens, strict=True):
                tokens.add_metric([provider, kind.removesuffix("_tokens")], count)
            for what, count in sums.usage_found.items():
                found.add_metric([provider, what], count)
        yield tokens
        yield found
