"""The names of the control plane's metrics, each read from the part that keeps the number."""

from __future__ import annotations

from services.control_plane.api.context import Context
from services.control_plane.outbox import OutboxRelay
from services.control_plane.outbox_backlog import OutboxBacklog
from services.control_plane.store.tables import AuditTable
from shared.otlp.exporter import OtlpExporter
from shared.vault_session import VaultSession
from shared.watched_metrics import WatchedMetrics


def watch_publisher(metrics: WatchedMetrics, publisher: OutboxRelay, backlog: OutboxBacklog) -> None:
    """Have the way of changes to the event bus watched."""
    metrics.watch(
        "aigw_control_outbox_events",
        "Committed changes that are not on the event bus yet; no sample while the database does not answer.",
        lambda: backlog.events,
    )
    metrics.watch(
        "aigw_control_outbox_oldest_seconds",
        "Age of the oldest of them; 0 without any.",
        lambda: backlog.oldest_seconds,
    )
    metrics.watch_count(
        "aigw_control_events_published",
        "Changes that this process has brought to the event bus.",
        lambda: publisher.published,
    )
    metrics.watch_count(
        "aigw_control_publish_failures",
        "Attempts to publish that failed, for want of the bus or the database.",
        lambda: publisher.failures,
    )


def watch_requests(metrics: WatchedMetrics, context: Context) -> None:
    """Have requests, key tests, changes and refusals by limits watched."""
    counts = context.counts
    metrics.watch_counts(
        "aigw_control_api_requests", "Requests to the REST interface.", "class", lambda: counts.api
    )
    metrics.watch_counts(
        "aigw_control_portal_requests", "Requests to the Portal's pages.", "class", lambda: counts.portal
    )
    metrics.watch_counts(
        "aigw_control_fleet_requests", "Requests of data planes.", "class", lambda: counts.fleet
    )
    metrics.watch_counts(
        "aigw_control_key_tests", "Tests of keys, by verdict.", "verdict", lambda: counts.key_tests
    )
    metrics.watch_counts(
        "aigw_control_changes",
        "Committed changes of this process, by kind.",
        "op",
        lambda: context.database.changes,
    )
    metrics.watch_counts(
        "aigw_control_refused_by_limit",
        "Requests above the share of a person or an org, by problem.",
        "problem",
        lambda: {problem.name.lower(): count for problem, count in list(context.shares.refused.items())},
    )
    metrics.watch_counts(
        "aigw_control_connections_evicted",
        "Connections reset for newer ones because a listener had as many as it may have, by listener.",
        "listener",
        lambda: context.connection_caps.evicted,
    )
    metrics.watch_counts(
        "aigw_control_connections_refused",
        "Connections reset because all others of their listener were busy, by listener.",
        "listener",
        lambda: context.connection_caps.refused,
    )


def watch_database(metrics: WatchedMetrics, context: Context) -> None:
    """Have the use of the database's pool watched, and its outages."""
    database = context.database
    metrics.watch(
        "aigw_control_database_connections",
        "Database connections in use.",
        lambda: database.connections_in_use,
    )
    metrics.watch(
        "aigw_control_database_max_connections",
        "As many may be in use at once.",
        lambda: database.max_connections,
    )
    metrics.watch_count(
        "aigw_control_database_outages",
        "Transactions that found the database away or too busy.",
        lambda: database.outages,
    )


def watch_vault(metrics: WatchedMetrics, session: VaultSession) -> None:
    """Have the calls of Vault watched, and the age of the token."""
    metrics.watch_count("aigw_control_vault_calls", "Calls of Vault, logins included.", lambda: session.calls)
    metrics.watch_count(
        "aigw_control_vault_failures", "Calls of Vault without a good answer.", lambda: session.failures
    )
    metrics.watch(
        "aigw_control_vault_token_left_seconds",
        "Until the token of Vault runs out; no sample before the first login.",
        lambda: session.token_left_seconds,
    )


def watch_audit_export(metrics: WatchedMetrics, exporter: OtlpExporter[AuditTable]) -> None:
    """Have the audit's export to the OpenTelemetry collector watched."""
    metrics.watch_count(
        "aigw_control_audit_records_taken",
        "Rows of the audit that the OpenTelemetry collector has taken.",
        lambda: exporter.taken,
    )
    metrics.watch_count(
        "aigw_control_audit_records_dropped",
        "Rows of the audit that the OpenTelemetry collector did not take. The database has these. Alarm.",
        lambda: exporter.dropped,
    )
