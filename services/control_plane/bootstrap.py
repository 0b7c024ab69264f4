"""Builds the control plane from its settings, runs the listeners, and takes everything down in reverse."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path
from random import SystemRandom
from secrets import token_hex
from typing import Final, Self

import httpx
from anyio import to_thread

from services.control_plane.api.context import Context
from services.control_plane.api.endpoint_addresses import EndpointAddresses
from services.control_plane.api.integration_writes import IntegrationWrites
from services.control_plane.app import internal_app, public_app
from services.control_plane.audit_export import audit_encoder
from services.control_plane.bus.memory import MemoryBus
from services.control_plane.bus.port import Bus
from services.control_plane.bus.redis import RedisBus
from services.control_plane.fair_share.shares import Shares
from services.control_plane.gauges import (
    watch_audit_export,
    watch_database,
    watch_publisher,
    watch_requests,
    watch_vault,
)
from services.control_plane.kept_snapshot import KeptSnapshot
from services.control_plane.key_test.resolve import SystemResolver
from services.control_plane.key_test.stored_key import StoredKeyTester
from services.control_plane.key_test.typed_key import TypedKeyTester
from services.control_plane.outbox import OutboxRelay
from services.control_plane.outbox_backlog import OutboxBacklog
from services.control_plane.readiness import Readiness
from services.control_plane.rules.endpoint import EndpointPolicy
from services.control_plane.secret_janitor import SecretJanitor
from services.control_plane.secret_sweep import SecretSweep
from services.control_plane.secrets.local import LocalSecretWriter
from services.control_plane.secrets.port import SecretWriter
from services.control_plane.secrets.vault import VaultSecretWriter
from services.control_plane.settings import ControlPlaneSettings, Issuer
from services.control_plane.sign_in.bearer import SignIn, TrustedIssuer
from services.control_plane.sign_in.browser import BrowserSignIn
from services.control_plane.sign_in.expiry import SignInExpiry
from services.control_plane.sign_in.issuer_route import IssuerRoute
from services.control_plane.sign_in.keys import FileKeys, KeySource, UrlKeys
from services.control_plane.sign_in.oidc import OidcClient, OidcSignIn
from services.control_plane.store import migrate
from services.control_plane.store.commit_signal import CommitSignal
from services.control_plane.store.database import FLEET_THREADS, REQUEST_THREADS, Database
from services.control_plane.store.lost_commits import LostCommits
from services.control_plane.store.tables import AuditTable
from services.control_plane.worker_threads import WorkerThreads
from shared.cap_log import LOG_EVERY_SECONDS, Fate
from shared.clock import Clock, unix_now
from shared.countdown import Countdown
from shared.deadline_protocol import DeadlineProtocol
from shared.listener import bind, port_of, serve
from shared.memory_stream import MemoryStream
from shared.otlp.encoding import Resource
from shared.otlp.exporter import OtlpExporter
from shared.redis_link import connect, is_redis_url, parse_redis_url
from shared.settings_base import SettingFileError
from shared.tasks import TaskSet
from shared.vault_session import VaultSession
from shared.vault_target import is_vault_url, parse_vault_url

LAST_RELAY_SECONDS: Final = 5.0
_LISTENERS: Final = 2
_log = logging.getLogger(__name__)


class SchemaOutdated(Exception):  # noqa: N818  # a finding about the database, with its remedy
    """The database is not at the newest migration, and this process may not change the schema by itself."""


class ControlPlane:
    """Both listeners and the parts behind them.

    Attributes:
        public_port, internal_port: the ports of the listeners; 0 before `run`.
        context: the parts called by endpoints, for tests without a socket.
    """

    def __init__(
        self,
        settings: ControlPlaneSettings,
        context: Context,
        relay: OutboxRelay,
        sweep: SecretSweep,
        janitor: SecretJanitor,
        resolver: SystemResolver,
        secrets: SecretWriter,
        bus: Bus,
    ) -> None:
        self.public_port = 0
        self.internal_port = 0
        self.context = context
        self._settings = settings
        self._relay = relay
        self._sweep = sweep
        self._janitor = janitor
        self._resolver = resolver
        self._secrets = secrets
        self._bus = bus
        self._backlog = OutboxBacklog(context.database, context.clock)
        self._expiry = SignInExpiry(context.database, context.clock)
        self._audit_export = _audit_export(settings)
        if self._audit_export is not None:
            context.database.on_audit(self._audit_export.add)

    @classmethod
    def build(
        cls,
        settings: ControlPlaneSettings,
        *,
        stream: MemoryStream | None = None,
        clock: Clock = unix_now,
    ) -> Self:
        """Open the database (SQLite is brought to the newest schema) and the secret store; bind nothing.

        `stream` is the in-process bus read by a data plane in the same process.

        Raises:
            SchemaOutdated: a shared database needs `aigw db upgrade`.
            SecretStoreError: the secret store's folder or key cannot be used.
        """
        database = _open_database(settings)
        secrets, pepper = _secret_store(settings)
        bus = _bus(settings, stream)
        policy = EndpointPolicy(settings.allow_plain_http_endpoints, settings.address_exceptions)
        resolver = SystemResolver()
        fleet_threads = WorkerThreads("fleet", FLEET_THREADS)
        snapshots = KeptSnapshot(database, fleet_threads)
        shares = Shares(settings.share_sizes)
        proxy = _egress_proxy(settings)
        context = Context(
            database=database,
            lost_commits=LostCommits(database),
            snapshots=snapshots,
            readiness=Readiness(database),
            fleet_threads=fleet_threads,
            shares=shares,
            sign_in=_sign_in(settings, issuer_route(settings)),
            writes=IntegrationWrites(database, secrets, pepper, policy, clock),
            addresses=EndpointAddresses(resolver, policy.addresses, shares, by_proxy=proxy is not None),
            probe=TypedKeyTester(
                resolver,
                policy.addresses,
                _authorities("AIGW_UPSTREAM_CA_FILE", settings.upstream_ca_file),
                proxy=proxy,
            ),
            stored_keys=StoredKeyTester(settings.data_plane_admin_url, settings.internal_token),
            endpoint_policy=policy,
            clock=clock,
            box_origin=settings.box_origin,
            providers=settings.offered_providers(),
            internal_token=settings.internal_token,
            browser=BrowserSignIn(database, clock, settings.portal_origin),
            oidc=oidc_sign_in(settings, issuer_route(settings)),
            demo_origins=settings.demo_origins,
            forget_seconds=settings.forget_silent_process_seconds,
        )
        relay = OutboxRelay(database, bus, _signal_of(database), clock, snapshots)
        sweep = SecretSweep(database, secrets, _signal_of(database))
        janitor = SecretJanitor(database, secrets, clock)
        plane = cls(settings, context, relay, sweep, janitor, resolver, secrets, bus)
        plane.watch()
        return plane

    def watch(self) -> None:
        """Register the numbers of every part for `/metrics`."""
        context = self.context
        watch_publisher(context.metrics, self._relay, self._backlog)
        watch_requests(context.metrics, context)
        watch_database(context.metrics, context)
        if self._audit_export is not None:
            watch_audit_export(context.metrics, self._audit_export)
        if isinstance(self._secrets, VaultSecretWriter):
            watch_vault(context.metrics, self._secrets.session)

    async def run(self, *, started: Callable[[], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain. `started` is called once, when both listeners accept.

        Raises:
            ListenError: a port cannot be listened on.
            UnusableRedis: the gateway cannot work with this event bus.
        """
        await self._bus.require_usable()
        settings = self._settings
        to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS
        tasks = TaskSet()
        public = bind(
            settings.control_plane_host, settings.control_plane_port, option="AIGW_CONTROL_PLANE_PORT"
        )
        try:
            internal = bind(settings.internal_host, settings.internal_port, option="AIGW_INTERNAL_PORT")
        except BaseException:
            public.close()
            raise
        self.public_port, self.internal_port = port_of(public), port_of(internal)
        both_started = Countdown(_LISTENERS, started)
        try:
            tasks.start(self._relay.run(), "outbox relay")
            tasks.start(self._backlog.run(), "outbox backlog")
            tasks.start(self._sweep.run(), "secret sweep")
            tasks.start(self._janitor.run(), "secret janitor")
            tasks.start(self._log_caps(), "connection caps")
            tasks.start(self._expiry.run(), "sign-in expiry")
            if self._audit_export is not None:
                tasks.start(self._audit_export.run(), "audit export")
            await asyncio.gather(
                *(
                    serve(
                        app,
                        listener,
                        stop=stop,
                        started=both_started.step,
                        grace_seconds=settings.drain_seconds,
                        trusted_proxies=proxies,
                        http=partial(DeadlineProtocol, at_cap=self._noting_at(name)),
                    )
                    for app, listener, proxies, name in (
                        (public_app(self.context), public, settings.trusted_proxies, "rest"),
                        (internal_app(self.context), internal, (), "fleet"),
                    )
                )
            )
        finally:
            await tasks.aclose()
            await self._relay_the_last()
            await self._bus.aclose()
            await self.context.stored_keys.aclose()
            self.close()

    def _noting_at(self, listener: str) -> Callable[[Fate, int], None]:
        caps = self.context.connection_caps
        return lambda fate, limit: caps.note(fate, listener, limit)

    async def _log_caps(self) -> None:
        """Log what has been counted since the last line, also when no further connection comes."""
        while True:
            await asyncio.sleep(LOG_EVERY_SECONDS)
            self.context.connection_caps.log()

    def close(self) -> None:
        """Give up the database, the secret store and every thread; `run` does so by itself."""
        self._resolver.close()
        self.context.readiness.close()
        self.context.fleet_threads.close()
        self._secrets.close()
        self.context.database.close()

    def reach_data_plane(self, admin_url: str) -> None:
        """Have stored keys tested there, whatever the settings say; for a data plane of the same process."""
        self.context.stored_keys.reach(admin_url)

    def sign_in_url(self, email: str) -> str:
        """Make a one-time link into the Portal for a person; its fragment, the token, reaches no log."""
        token = self.context.browser.new_link_token(email)
        return f"http://{self._settings.control_plane_host}:{self.public_port}/sign-in#{token}"

    async def _relay_the_last(self) -> None:
        """Publish the commits of the drained requests.

        Events left by a failure are published at the next start.
        """
        try:
            async with asyncio.timeout(LAST_RELAY_SECONDS):
                await self._relay.relay_batch()
        except Exception as error:  # noqa: BLE001  # the boundary of a stop: nothing may hold it up
            _log.warning("the last events will be published at the next start: %s", type(error).__name__)


def _open_database(settings: ControlPlaneSettings) -> Database:
    database = Database(settings.database_url, reread=settings.database_url_now)
    if database.engine.dialect.name == "sqlite":
        migrate.upgrade(database)
    elif not migrate.is_current(database):
        database.close()
        raise SchemaOutdated("The database is not at the newest schema. Run: aigw db upgrade")
    return database


def _secret_store(settings: ControlPlaneSettings) -> tuple[SecretWriter, bytes]:
    """Open the secret store; beside the store is the key of the fingerprints."""
    typed_pepper = settings.fingerprint_key
    if is_vault_url(settings.secret_store_url):
        assert typed_pepper is not None, "settings check that there is one"
        session = VaultSession(
            parse_vault_url(settings.secret_store_url),
            settings.vault_credential,
            monotonic=time.monotonic,
            random=SystemRandom().random,
        )
        return VaultSecretWriter(session), typed_pepper.reveal().encode()
    local = LocalSecretWriter(settings.secret_folder)
    return local, local.pepper() if typed_pepper is None else typed_pepper.reveal().encode()


def _bus(settings: ControlPlaneSettings, stream: MemoryStream | None) -> Bus:
    if not is_redis_url(settings.event_bus_url):
        return MemoryBus(stream or MemoryStream())
    client = connect(
        parse_redis_url(settings.event_bus_url),
        password=settings.redis_password,
        sentinel_password=settings.redis_sentinel_password,
    )
    return RedisBus(client, settings.feed_keys(), unix_now)


def _audit_export(settings: ControlPlaneSettings) -> OtlpExporter[AuditTable] | None:
    if not settings.sends("logs"):
        return None
    resource = Resource("aigw-control-plane", version_of("run9-ai-gateway"), token_hex(16))
    return OtlpExporter(
        f"{settings.otlp_endpoint}/v1/logs",
        audit_encoder(resource),
        headers=settings.collector_headers(),
        tls=settings.collector_tls(),
    )


def _signal_of(database: Database) -> CommitSignal:
    signal = CommitSignal()
    database.on_commit(signal.announce)
    return signal


def issuer_route(settings: ControlPlaneSettings) -> IssuerRoute:
    """Build the way to every issuer.

    Raises:
        SettingFileError: the file of AIGW_ISSUER_CA_FILE cannot be used.
    """
    tls = _authorities("AIGW_ISSUER_CA_FILE", settings.issuer_ca_file)
    return IssuerRoute(tls, settings.issuer_proxy_for)


def _sign_in(settings: ControlPlaneSettings, route: IssuerRoute) -> SignIn:
    trusted = {
        entry.issuer: TrustedIssuer(entry.audience, issuer_keys(entry, route), entry.assume_email_verified)
        for entry in settings.issuers
    }
    return SignIn(trusted, settings.platform_token)


def oidc_sign_in(settings: ControlPlaneSettings, route: IssuerRoute) -> OidcSignIn | None:
    """Build how people sign in to the Portal at an issuer; None without an issuer."""
    if not settings.oidc_issuer:
        return None
    return OidcSignIn(
        OidcClient(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            secret=settings.oidc_client_secret,
            portal_origin=settings.portal_origin,
            assume_email_verified=settings.oidc_assume_email_verified,
            auth_method=settings.oidc_client_auth or None,
            signs_out_there=settings.oidc_sign_out,
        ),
        transport=route.transport,
        keys_at=lambda url: UrlKeys(url, route),
    )


def issuer_keys(issuer: Issuer, route: IssuerRoute) -> KeySource:
    """Build the source of an issuer's keys."""
    if issuer.jwks_file is not None:
        return FileKeys(issuer.jwks_file)
    assert issuer.jwks_url is not None, "settings check that there is one of the two"
    return UrlKeys(issuer.jwks_url, route)


def _egress_proxy(settings: ControlPlaneSettings) -> httpx.Proxy | None:
    address, credentials = settings.egress_proxy_address(), settings.egress_proxy_credentials
    if address is None:
        return None
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    user, _, password = ("" if credentials is None else credentials.reveal()).partition(":")
    return httpx.Proxy(f"http://{host}:{address[1]}", auth=(user, password) if credentials else None)


def _authorities(setting: str, file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingFileError(f"{setting}: it cannot be used ({reason})") from None
