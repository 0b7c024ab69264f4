"""The monitoring of the parts with numbers of their own: named here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.data_plane.account.metrics import Metrics

if TYPE_CHECKING:
    from services.data_plane.account.access_log import AccessLog
    from services.data_plane.account.telemetry import Telemetry
    from services.data_plane.identity.refusals import IdentityRefusals
    from services.data_plane.relay.connection_limits import ConnectionLimits
    from services.data_plane.relay.tls_handshake import HandshakeFaults
    from services.data_plane.relay.upstream.pool import Pool
    from services.data_plane.relay.upstream.prewarm import Prewarmer
    from services.data_plane.table.config_table import ConfigTable
    from services.data_plane.table.event_lag import EventLag
    from services.data_plane.table.forgeries import Forgeries
    from services.data_plane.table.secrets import SecretLoader
    from shared.tls_files import TlsFiles
    from shared.vault_session import VaultSession


def watched_metrics(
    table: ConfigTable,
    access_log: AccessLog | None,
    refusals: IdentityRefusals,
    forgeries: Forgeries,
    max_orgs: int = 0,
) -> Metrics:
    """Make the metrics of a data plane, with the numbers of configuration, identity and log."""
    metrics = Metrics(max_orgs)
    metrics.watch_counts(
        "aigw_identity_refusals",
        "Requests and connections without a proven box, by the failed check.",
        "reason",
        lambda: refusals.by_fault,
    )
    metrics.watch(
        "aigw_config_revision",
        "Revision of the configuration in use; 0 before the first.",
        lambda: table.position.revision if table.position else 0,
    )
    metrics.watch(
        "aigw_config_age_seconds",
        "Seconds since the last word from the control plane.",
        lambda: table.age_seconds,
    )
    metrics.watch(
        "aigw_max_config_age_seconds",
        "The age from which on every request gets config_unavailable.",
        lambda: table.max_age_seconds,
    )
    metrics.watch(
        "aigw_config_stale",
        "1 when the control plane was last heard of over 60 s ago, or is behind this process; else 0. Alarm.",
        lambda: float(table.is_stale),
    )
    metrics.watch_count(
        "aigw_feed_forgeries",
        "Events, heartbeats and snapshots in Redis without a control plane's signature. Alarm.",
        lambda: forgeries.count,
    )
    metrics.watch(
        "aigw_unusable_secrets",
        "Pinned secrets that are not in use; the last good version keeps serving.",
        lambda: len(table.unusable),
    )
    if access_log is not None:
        metrics.watch_count(
            "aigw_dropped_log_lines",
            "Access log lines given up, because the log is written more slowly than requests end.",
            lambda: access_log.dropped_lines,
        )
    return metrics


def watch_secrets(metrics: Metrics, loader: SecretLoader, vault: VaultSession | None) -> None:
    """Have the reads of the secret store watched; with Vault, also its calls and the token's life."""
    metrics.watch_counts(
        "aigw_secret_reads", "Reads of the secret store, by result.", "result", lambda: loader.reads
    )
    if vault is None:
        return
    metrics.watch_count("aigw_vault_calls", "Calls of Vault, logins included.", lambda: vault.calls)
    metrics.watch_count(
        "aigw_vault_failures", "Calls of Vault without a good answer.", lambda: vault.failures
    )
    metrics.watch(
        "aigw_vault_token_left_seconds",
        "Until the token of Vault runs out; no sample before the first login.",
        lambda: vault.token_left_seconds,
    )


def watch_event_lag(metrics: Metrics, lag: EventLag) -> None:
    """Have the way of changes through the event bus watched."""
    metrics.watch_distribution(
        "aigw_event_lag_seconds",
        "Seconds from a change in the control plane to its effect here, of changes by the event bus. As true "
        "as the clocks of both machines.",
        lag.seconds,
    )


def count_upstream_connections(metrics: Metrics, pool: Pool) -> None:
    """Have the connections to providers counted."""
    metrics.watch(
        "aigw_upstream_connections",
        "Connections to providers that are open now, busy or idle.",
        lambda: pool.open_connections,
    )
    metrics.watch(
        "aigw_idle_upstream_connections", "Those of them that wait for a request.", lambda: len(pool)
    )


def count_warm_connections(metrics: Metrics, warmer: Prewarmer) -> None:
    """Have the connections counted that were opened ahead of a request."""
    metrics.watch_count(
        "aigw_warm_connections_opened",
        "Connections to providers opened ahead of a request.",
        lambda: warmer.opened,
    )
    metrics.watch_count(
        "aigw_warm_connections_used",
        "Connections opened ahead of a request that have carried a request; counted at their end.",
        lambda: warmer.used,
    )
    metrics.watch_count(
        "aigw_warm_connections_failed",
        "Attempts to open a connection ahead of a request that failed.",
        lambda: warmer.failed,
    )


class Listeners(Protocol):
    """The TLS of box listeners: its files, None without a TLS listener, and its failed handshakes."""

    @property
    def tls(self) -> TlsFiles | None:
        """The certificate files."""
        ...

    @property
    def handshake_faults(self) -> HandshakeFaults:
        """The counts of handshakes without success."""
        ...


def count_box_connections(metrics: Metrics, limits: ConnectionLimits, listeners: Listeners) -> None:
    """Have the connections of boxes counted: open, closed by a full cap, and without a TLS handshake."""
    _watch_box_tls(metrics, listeners)
    metrics.watch(
        "aigw_box_connections",
        "Connections of boxes that are open now.",
        lambda: limits.open_connections,
    )
    metrics.watch(
        "aigw_max_box_connections",
        "The cap of all of them, from the descriptors that the process may open.",
        lambda: limits.max_connections,
    )
    metrics.watch_counts(
        "aigw_box_connections_evicted",
        "Idle connections of boxes that were closed for newer ones, by the cap that was full.",
        "cap",
        lambda: limits.cap_log.evicted,
    )
    metrics.watch_counts(
        "aigw_box_connections_refused",
        "Connections of boxes that were refused because all others were busy, by the cap that was full.",
        "cap",
        lambda: limits.cap_log.refused,
    )


def _watch_box_tls(metrics: Metrics, listeners: Listeners) -> None:
    metrics.watch_counts(
        "aigw_box_tls_handshake_failures",
        "TLS handshakes of box connections without success: late, refused (a certificate, most often), left, "
        "or displaced by a newer connection.",
        "fault",
        lambda: listeners.handshake_faults.by_fault,
    )
    metrics.watch(
        "aigw_box_tls_files_unusable",
        "1 when the changed certificate files of box listeners cannot be used, and the former ones stay in "
        "use; else 0. Alarm.",
        lambda: float(listeners.tls is not None and listeners.tls.is_unusable),
    )


def count_telemetry(metrics: Metrics, telemetry: Telemetry) -> None:
    """Have the export to the OpenTelemetry collector counted."""
    metrics.watch_counts(
        "aigw_telemetry_taken",
        "Spans and log records that the OpenTelemetry collector has taken, by signal.",
        "signal",
        lambda: {signal: exporter.taken for signal, exporter in telemetry.exporters.items()},
    )
    metrics.watch_counts(
        "aigw_telemetry_dropped",
        "Spans and log records given up: the queue was full, or the collector did not take the batch.",
        "signal",
        lambda: {signal: exporter.dropped for signal, exporter in telemetry.exporters.items()},
    )
