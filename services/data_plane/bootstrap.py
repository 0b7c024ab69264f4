"""Builds a data plane from its settings and runs its parts: its listeners, the config sync, the access log.

The only place with knowledge of every part. Nothing is opened before `run`, and everything is closed at its
end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from services.data_plane.account.access_log import AccessLog
from services.data_plane.account.books import Books
from services.data_plane.account.key_verdicts import KeyVerdicts
from services.data_plane.account.last_errors import LastErrors
from services.data_plane.account.telemetry import telemetry_to
from services.data_plane.admin_app import AdminAppParts, admin_app
from services.data_plane.backends import feed, secret_reader
from services.data_plane.box_app.app import BoxAppParts, box_app
from services.data_plane.box_listeners import BoxListeners, box_tls
from services.data_plane.core.descriptors import fit_descriptors
from services.data_plane.gauges import (
    count_box_connections,
    count_telemetry,
    count_upstream_connections,
    count_warm_connections,
    watch_event_lag,
    watch_secrets,
    watched_metrics,
)
from services.data_plane.identity.refusals import IdentityRefusals
from services.data_plane.identity.token_verifier import TokenVerifier
from services.data_plane.inherited_sockets import adopt
from services.data_plane.key_test.stored_keys import StoredKeyTests
from services.data_plane.relay.relay import Relay
from services.data_plane.relay.upstream.dial import DialConfig, provider_tls
from services.data_plane.relay.upstream.egress import DirectEgress, ProxyEgress
from services.data_plane.relay.upstream.resolver import Resolver
from services.data_plane.table.acknowledge import Acknowledger
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.event_lag import EventLag
from services.data_plane.table.forgeries import Forgeries
from services.data_plane.table.seat import seat_of
from services.data_plane.table.secrets import SecretLoader
from services.data_plane.table.sync import ConfigSync, SyncTimes
from services.data_plane.table.vault_reader import VaultSecretReader
from shared.clock import unix_now
from shared.countdown import Countdown
from shared.listener import bind, port_of, serve
from shared.process_limits import descriptor_limit
from shared.tasks import TaskSet

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from services.data_plane.account.metrics import Metrics
    from services.data_plane.account.telemetry import Telemetry
    from services.data_plane.inherited_sockets import InheritedSockets
    from services.data_plane.relay.upstream.egress import Egress
    from services.data_plane.settings import DataPlaneSettings
    from services.data_plane.table.feed import BusReader, SnapshotSource
    from shared.memory_stream import MemoryStream


INHERITED_QUEUE_SECONDS: Final = 10.0
"""How long a worker without configuration leaves connections in the queue of its inherited socket."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """Everything with the life of the data plane."""

    snapshots: SnapshotSource
    bus: BusReader
    loader: SecretLoader
    table: ConfigTable
    sync: ConfigSync
    boxes: BoxListeners
    metrics: Metrics
    last_errors: LastErrors
    key_verdicts: KeyVerdicts
    access_log: AccessLog | None
    telemetry: Telemetry | None
    dial_config: DialConfig


class DataPlane:
    """A data-plane process.

    `box_port` (of the first box listener on an address; else 0) and `admin_port` are known once `started` was
    called.
    """

    def __init__(
        self, settings: DataPlaneSettings, parts: _Parts, inherited: InheritedSockets | None = None
    ) -> None:
        self._settings = settings
        self._inherited = inherited
        self._parts = parts
        self._stopping = False
        self._acknowledger = Acknowledger(
            settings.control_plane_internal_url,
            settings.internal_token,
            parts.table,
            parts.key_verdicts,
            ready=self._is_ready,
            clock=unix_now,
        )
        self.box_port = settings.box_port
        self.admin_port = settings.admin_port

    @classmethod
    def build(
        cls,
        settings: DataPlaneSettings,
        *,
        stream: MemoryStream | None = None,
        inherited: InheritedSockets | None = None,
    ) -> DataPlane:
        """Wire a data plane up.

        Args:
            settings: the operator's values.
            stream: the bus of a control plane in this process, if any.
            inherited: the sockets to serve on, in place of new ones by the settings.
        """
        return cls(settings, _build_parts(settings, stream), inherited)

    @property
    def box_addresses(self) -> str:
        """Where boxes are accepted, for people; ports are known once `started` was called."""
        return str(self._parts.boxes)

    @property
    def ready(self) -> asyncio.Event:
        """Set when the first snapshot is applied and its secrets were read, or 5 s have passed over them."""
        return self._parts.sync.loaded

    async def run(self, *, started: Callable[[], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain. `started` is called when all listeners accept connections.

        Raises:
            ListenError: a port cannot be had.
            UnusableRedis: the gateway cannot work with this event bus.
        """
        await self._parts.bus.require_usable()
        with contextlib.ExitStack() as sockets:
            admin_socket = self._open(sockets)
            self.box_port, self.admin_port = next(iter(self._parts.boxes.ports), 0), port_of(admin_socket)
            self._acknowledger.take_seat(seat_of(admin_socket, self.admin_port or self._settings.admin_port))
            relay = self._make_relay()
            tasks = TaskSet()
            try:
                self._start_background(tasks)
                await self._serve(relay, admin_socket, started, stop)
            finally:
                await relay.aclose()
                await self._acknowledger.report_end()
                await tasks.aclose()
                await self._close()

    def _open(self, sockets: contextlib.ExitStack) -> socket.socket:
        """Open the box listeners' sockets, or adopt them; gives the admin listener's."""
        settings, inherited = self._settings, self._inherited
        if inherited is None:
            self._parts.boxes.open(sockets)
            return _bound(sockets, settings.admin_host, settings.admin_port, "AIGW_ADMIN_PORT")
        self._parts.boxes.adopt(inherited.boxes, sockets)
        admin_socket = adopt(inherited.admin)
        sockets.callback(admin_socket.close)
        return admin_socket

    def _make_relay(self) -> Relay:
        settings, parts = self._settings, self._parts
        relay = Relay(
            table=parts.table,
            routes=settings.routes(),
            account=Books(
                parts.metrics, parts.last_errors, parts.access_log, parts.key_verdicts, parts.telemetry
            ),
            limits=fit_descriptors(settings.relay_limits(), descriptor_limit()),
            egress=parts.dial_config.egress,
            allow_plain_http=settings.allow_plain_http_endpoints,
            box_authorities=settings.authorities(parts.boxes.ports),
            tls_context=parts.dial_config.tls,
            clock=unix_now,
            usage_tap=settings.usage_tap,
            portal=settings.portal_origin,
            forward_trace_context=settings.forward_trace_context,
        )
        parts.table.subscribe(relay.config_changed)
        parts.table.subscribe_to_lost_keys(
            lambda kids: relay.revoke(lambda box: box.kid in kids, "its node's key was removed")
        )
        parts.metrics.watch("aigw_open_exchanges", "Requests under way.", lambda: relay.open_exchanges)
        count_upstream_connections(parts.metrics, relay.parts.pool)
        count_warm_connections(parts.metrics, relay.prewarmer)
        count_box_connections(parts.metrics, relay.connection_limits, parts.boxes)
        return relay

    def _start_background(self, tasks: TaskSet) -> None:
        tasks.start(self._parts.sync.run(), "config sync")
        tasks.start(self._acknowledger.run(), "acknowledgements")
        tasks.start(self._tell_when_ready(), "readiness")
        if self._parts.access_log is not None:
            tasks.start(self._parts.access_log.run(), "access log")
        if self._parts.telemetry is not None:
            for exporter in self._parts.telemetry.exporters.values():
                tasks.start(exporter.run(), "telemetry")

    async def _serve(
        self,
        relay: Relay,
        admin_socket: socket.socket,
        started: Callable[[], None],
        stop: asyncio.Event,
    ) -> None:
        """Run all listeners; at the end drain boxes first, while the operator can still watch."""
        stop_box, stop_admin = asyncio.Event(), asyncio.Event()
        all_started = Countdown(len(self._parts.boxes) + 1, started)
        listeners = TaskSet()
        box = listeners.start(self._serve_boxes(relay, all_started.step, stop_box), "box listeners")
        admin = listeners.start(
            serve(
                self._admin_app(), admin_socket, stop=stop_admin, started=all_started.step, grace_seconds=1
            ),
            "admin listener",
        )
        stopped = listeners.start(stop.wait(), "stop")
        try:
            await asyncio.wait({box, admin, stopped}, return_when=asyncio.FIRST_COMPLETED)
            self._stopping = True
            self._acknowledger.report_change()
            await asyncio.sleep(self._settings.stop_delay_seconds)
            stop_box.set()
            await box
            stop_admin.set()
            await admin
        finally:
            await listeners.aclose()

    async def _serve_boxes(self, relay: Relay, started: Callable[[], None], stop: asyncio.Event) -> None:
        if self._inherited is not None:
            # Connections wait in the queue of a worker that is started anew: better than a 503 to each.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ready.wait(), INHERITED_QUEUE_SECONDS)
        await self._parts.boxes.serve(
            relay,
            self._box_app(),
            stop=stop,
            started=started,
            ready=self._is_ready,
            grace_seconds=self._settings.drain_seconds,
        )

    def _box_app(self) -> Starlette:
        parts = self._parts
        return box_app(
            BoxAppParts(
                table=parts.table,
                last_error=parts.last_errors.of,
                authorities=self._settings.authorities(parts.boxes.ports),
                providers=self._settings.offered_providers(),
                is_key_rejected=parts.key_verdicts.is_rejected,
                portal=self._settings.portal_origin,
            )
        )

    def _admin_app(self) -> Starlette:
        parts = self._parts
        return admin_app(
            AdminAppParts(
                parts.table,
                parts.metrics,
                self._is_ready,
                StoredKeyTests(parts.table, parts.loader, parts.dial_config, self._settings.relay_limits()),
                self._settings.internal_token,
            )
        )

    def _is_ready(self) -> bool:
        return self.ready.is_set() and not self._stopping

    async def _tell_when_ready(self) -> None:
        await self.ready.wait()
        self._acknowledger.report_change()

    async def _close(self) -> None:
        await self._parts.loader.aclose()
        await self._parts.snapshots.aclose()
        await self._parts.bus.aclose()


def _bound(sockets: contextlib.ExitStack, host: str, port: int, option: str) -> socket.socket:
    listener = bind(host, port, option=option)
    sockets.callback(listener.close)
    return listener


def _build_parts(settings: DataPlaneSettings, stream: MemoryStream | None) -> _Parts:
    reader = secret_reader(settings)
    loader = SecretLoader(reader, monotonic=time.monotonic)
    table = ConfigTable(
        loader,
        clock=time.monotonic,
        max_age_seconds=settings.max_config_age_seconds,
        allow_plain_http=settings.allow_plain_http_endpoints,
        prefetch_max_orgs=settings.prefetch_max_orgs if settings.prefetch_secrets else 0,
    )
    forgeries = Forgeries(time.monotonic)
    snapshots, bus = feed(settings, stream, forgeries)
    poll = settings.snapshot_poll_seconds
    times = SyncTimes(poll, min(poll, SyncTimes().poll_without_bus_seconds))
    access_log, refusals = _access_log(settings), IdentityRefusals()
    metrics = watched_metrics(table, access_log, refusals, forgeries, settings.metrics_max_orgs)
    telemetry, lag = _telemetry(settings), EventLag(unix_now)
    watch_secrets(metrics, loader, reader.session if isinstance(reader, VaultSecretReader) else None)
    watch_event_lag(metrics, lag)
    if telemetry is not None:
        count_telemetry(metrics, telemetry)
    return _Parts(
        snapshots=snapshots,
        bus=bus,
        loader=loader,
        table=table,
        sync=ConfigSync(table, snapshots, bus, random=SystemRandom().random, times=times, lag=lag),
        boxes=_boxes(settings, table, refusals),
        metrics=metrics,
        last_errors=LastErrors(),
        key_verdicts=KeyVerdicts(),
        access_log=access_log,
        telemetry=telemetry,
        dial_config=_dial_config(settings),
    )


def _boxes(settings: DataPlaneSettings, table: ConfigTable, refusals: IdentityRefusals) -> BoxListeners:
    verifier = TokenVerifier(
        lambda: table.node_keys,
        configured=lambda: table.position is not None,
        clock=unix_now,
        refusals=refusals,
    )
    certificate, key = settings.box_tls_certificate_file, settings.box_tls_key_file
    tls = box_tls(certificate, key, settings.box_tls_client_ca_file) if certificate and key else None
    listeners = [(listener, settings.box_option) for listener in settings.listeners()]
    return BoxListeners(listeners, verifier, settings.static_org, tls)


def _access_log(settings: DataPlaneSettings) -> AccessLog | None:
    match settings.access_log:
        case "off":
            return None
        case "stdout":
            return AccessLog(sys.stdout)
        case "stderr":
            return AccessLog(sys.stderr)


def _telemetry(settings: DataPlaneSettings) -> Telemetry | None:
    if not settings.otlp_endpoint:
        return None
    return telemetry_to(
        settings.otlp_endpoint,
        settings.otlp_signals,
        headers=settings.collector_headers(),
        tls=settings.collector_tls(),
        trace_ratio=settings.otlp_trace_ratio,
    )


def _dial_config(settings: DataPlaneSettings) -> DialConfig:
    proxy, policy = settings.egress_proxy_address(), settings.address_policy()
    egress: Egress
    if proxy is None:
        resolver = Resolver(policy)
        egress = DirectEgress(resolver)
    else:
        resolver = None
        egress = ProxyEgress(*proxy, settings.egress_proxy_credentials, policy)
    return DialConfig(
        egress=egress,
        resolver=resolver,
        tls=provider_tls(settings.upstream_ca_file),
        connect_seconds=settings.relay_limits().connect_seconds,
        allow_plain_http=settings.allow_plain_http_endpoints,
    )
