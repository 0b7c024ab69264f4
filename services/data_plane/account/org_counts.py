"""Finished exchanges by org, for the operator who asks for these series: a bounded number of orgs is named.

The orgs are named in the order of their first request. All others share the series of an empty name, so the
sum over all orgs stays true and the number of series bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord

UNNAMED: Final = ""
"""The label of the orgs above the cap."""

_Ending = tuple[str, str, int, str]
"""Org, provider, hundreds of the status, code."""


class OrgCounts:
    """Counts by org, at most `max_orgs` of them by name."""

    def __init__(self, max_orgs: int) -> None:
        self._max_orgs = max_orgs
        self._named: set[str] = set()
        self._counts: dict[_Ending, int] = {}

    def count(self, record: ExchangeRecord) -> None:
        """Count a finished exchange of a known org."""
        org = record.org
        if not org:
            return
        if org not in self._named:
            if len(self._named) < self._max_orgs:
                self._named.add(org)
            else:
                org = UNNAMED
        ending = (org, record.provider, record.status // 100, record.code)
        self._counts[ending] = self._counts.get(ending, 0) + 1

    def families(self) -> Iterable[Metric]:
        """Give the families, for the registry."""
        family = CounterMetricFamily(
            "aigw_org_exchanges",
            "Finished exchanges by org, only with AIGW_METRICS_MAX_ORGS above 0. The orgs above that number, "
            "in the order of their first request, share the empty name.",
            labels=["org", "provider", "class", "code"],
        )
        for (org, provider, hundreds, code), count in self._counts.items():
            family.add_metric([org, provider, f"{hundreds}xx" if hundreds else "none", code], count)
        yield family
        yield GaugeMetricFamily(
            "aigw_named_orgs",
            "Orgs with series of their own; at AIGW_METRICS_MAX_ORGS no further org gets any.",
            value=len(self._named),
        )
