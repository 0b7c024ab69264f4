"""The monitoring of the parts with numbers of their own: named here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.account.metrics import Metrics

if TYPE_CHECKING:
    from services.data_plane.account.access_log import AccessLog
    from services.data_plane.identity.refusals import IdentityRefusals
    from services.data_plane.relay.upstream.prewarm import Prewarmer
    from services.data_plane.table.config_table import ConfigTable
    from services.data_plane.table.forgeries import Forgeries


def watched_metrics(
    table: ConfigTable, access_log: AccessLog | None, refusals: IdentityRefusals, forgeries: Forgeries
) -> Metrics:
    """Make the metrics of a data plane, with the numbers of configuration, identity and log."""
    metrics = Metrics()
    metrics.watch_counts(
        "aigw_identity_refusals",
        "Callers whose box could not be told, by reason.",
        "reason",
        lambda: refusals.by_fault,
    )
    metrics.watch(
        "aigw_config_revision",
        "Revision of the configuration in use; 0 before the first.",
        lambda: table.position.revision if table.position else 0,
    )
    metrics.watch(
        "aigw_config_age_seconds", "Since the control plane was last heard of.", lambda: table.age_seconds
    )
    metrics.watch(
        "aigw_config_stale",
        "1 when that is longer than 60 s ago, or the control plane is behind: time for an alarm.",
        lambda: float(table.is_stale),
    )
    metrics.watch_count(
        "aigw_feed_forgeries",
        "Events, heartbeats and snapshots in Redis that no control plane has signed: time for an alarm.",
        lambda: forgeries.count,
    )
    metrics.watch("aigw_secret_nacks", "Pinned secrets that are not in use.", lambda: len(table.nacks))
    if access_log is not None:
        metrics.watch_count(
            "aigw_dropped_log_lines", "Access log lines given up.", lambda: access_log.dropped_lines
        )
    return metrics


def count_warm_connections(metrics: Metrics, warmer: Prewarmer) -> None:
    """Have the connections counted that were opened ahead of a request."""
    metrics.watch_count(
        "aigw_warm_connections_opened",
        "Connections to providers opened ahead of a request.",
        lambda: warmer.opened,
    )
    metrics.watch_count(
        "aigw_warm_connections_used",
        "Those of them that have carried a request; counted at their end.",
        lambda: warmer.used,
    )
    metrics.watch_count(
        "aigw_warm_connections_failed",
        "Connections that could not be opened ahead.",
        lambda: warmer.failed,
    )
