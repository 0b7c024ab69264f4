"""Builds a node agent from its settings and runs it: takes over, restores, serves, hands over, drains.

The only place with knowledge of every part. Nothing is opened before `run`, and everything is closed at its
end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from typing import Final

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.node_agent.attachments import Attachments
from services.node_agent.keep.hand_over import HandOver, Inheritance, Predecessor, ask
from services.node_agent.keep.store import Store
from services.node_agent.keep.systemd import Passed, ServiceManager, take_passed
from services.node_agent.listeners.making import make_listener
from services.node_agent.listeners.namespace import boot_identity
from services.node_agent.metrics import Metrics
from services.node_agent.relay.acceptor import Shared
from services.node_agent.relay.counters import Counters
from services.node_agent.relay.endings import Endings
from services.node_agent.relay.health import CHECK_SECONDS, HealthCheck
from services.node_agent.relay.targets import ConnectTimes, Targets
from services.node_agent.rest.app import RestParts, rest_app
from services.node_agent.rest.peers import PeerProtocol
from services.node_agent.rules.attachment import UnixListen
from services.node_agent.rules.capacity import Occupancy, caps_for
from services.node_agent.settings import NodeAgentSettings, ServiceManagerNames
from services.node_agent.tokens import Minter
from shared.clock import unix_now
from shared.listener import serve
from shared.process_limits import raise_descriptor_limit
from shared.secret import Secret
from shared.tasks import TaskSet
from shared.tls_files import TlsFiles

logger = logging.getLogger(__name__)

REST_MODE: Final = 0o600
REST_GRACE_SECONDS: Final = 2
"""For REST calls under way when the agent stops or hands over."""

RENEWALS_AT_ONCE: Final = 50
"""Tokens minted in a single turn of the renewal, about 5 ms."""

_DRAIN_POLL_SECONDS: Final = 0.2
_ACCEPTED_SECONDS: Final = 0.5
"""For connections accepted by the event loop and not yet announced when accepting ends."""


class NodeKeyError(ValueError):
    """The node's key is no Ed25519 private key in PEM."""


class NodeAgent:
    """A node agent's process.

    Args:
        settings: as set by the operator.
        names: as set by the service manager.
    """

    def __init__(self, settings: NodeAgentSettings, names: ServiceManagerNames) -> None:
        self._settings = settings
        self._names = names
        self._manager = ServiceManager(names.notify_socket)
        self._minter = Minter(read_node_key(settings.agent_node_key), settings.agent_kid, unix_now)
        self._tls = target_tls(settings)
        self._predecessor: Predecessor | None = None
        self._successor: subprocess.Popen[bytes] | None = None

    async def run(self, *, started: Callable[[], None], stop: asyncio.Event, upgrade: asyncio.Event) -> None:
        """Serve until `stop` is set or a successor has taken over; `upgrade` starts a successor.

        Raises:
            ListenerError: the REST socket cannot be had.
            HandOverError: another agent runs and does not hand over.
            StoreError: the folder of attachments cannot be used.
        """
        descriptors = raise_descriptor_limit()
        tasks = TaskSet()
        hand_over = HandOver(self._settings.hand_over_socket)
        try:
            inheritance = await asyncio.to_thread(ask, self._settings.hand_over_socket)
            passed, rest = self._sockets(inheritance)
            store = Store(self._settings.agent_folder)
            kept = store.open()
            shared = self._shared(descriptors, len(kept), tasks)
            attachments = self._attachments(store, shared, descriptors)
            await attachments.restore(kept, passed)
            if inheritance is not None:
                self._predecessor = inheritance.link
                inheritance.link.begin()
            hand_over.open()
            await self._start_background(tasks, shared, attachments)
            await self._serve(attachments, shared, hand_over, rest, started, stop, upgrade)
        finally:
            await tasks.aclose()
            hand_over.close()
            if self._predecessor is not None:
                self._predecessor.close()

    def _sockets(self, inheritance: Inheritance | None) -> tuple[dict[int, socket.socket], socket.socket]:
        passed = (
            take_passed(self._names.listen_fds, self._names.listen_fd_names)
            if self._names.listen_fds
            else Passed.nothing()
        )
        if inheritance is None:
            return passed.boxes, passed.rest or _rest_socket(self._settings.agent_socket)
        for surplus in [*passed.boxes.values(), *([passed.rest] if passed.rest else [])]:
            surplus.close()  # copies of what the predecessor gave
        return inheritance.boxes, inheritance.rest

    def _shared(self, descriptors: int, listeners: int, tasks: TaskSet) -> Shared:
        settings, counters = self._settings, Counters()
        caps = caps_for(descriptors, listeners, per_box=settings.agent_max_connections_per_box)
        return Shared(
            targets=Targets(
                settings.targets(),
                tls=self._tls,
                times=ConnectTimes(settings.agent_attempt_seconds, settings.agent_connect_seconds),
                counters=counters,
                turn=SystemRandom().randrange(1_000),
            ),
            occupancy=Occupancy(caps),
            counters=counters,
            endings=Endings(time.monotonic),
            tasks=tasks,
            clock=unix_now,
        )

    def _attachments(self, store: Store, shared: Shared, descriptors: int) -> Attachments:
        return Attachments(
            store=store,
            manager=self._manager,
            minter=self._minter,
            shared=shared,
            drop_elsewhere=self._drop_elsewhere,
            descriptors=descriptors,
            max_connections_per_box=self._settings.agent_max_connections_per_box,
            boot=boot_identity(),
        )

    async def _drop_elsewhere(self, generation: int) -> None:
        if self._predecessor is not None:
            await self._predecessor.drop(generation)

    async def _start_background(self, tasks: TaskSet, shared: Shared, attachments: Attachments) -> None:
        client = httpx.AsyncClient(timeout=CHECK_SECONDS, trust_env=False)
        checks = [
            HealthCheck(
                known,
                client,
                self._tls,
                interval_seconds=self._settings.agent_health_seconds,
                random=SystemRandom().random,
            )
            for known in shared.targets.known
        ]
        # A first look before the first connection, so that none is sent to a data plane that is gone.
        await asyncio.gather(*(check.check() for check in checks))
        for check in checks:
            tasks.start(check.run(), "health check")
        if self._tls is not None:
            tasks.start(self._tls.run(), "TLS files of targets")
        tasks.start(_renew(attachments), "token renewal")
        tasks.start(shared.endings.run(), "endings")

    async def _serve(
        self,
        attachments: Attachments,
        shared: Shared,
        hand_over: HandOver,
        rest: socket.socket,
        started: Callable[[], None],
        stop: asyncio.Event,
        upgrade: asyncio.Event,
    ) -> None:
        app = rest_app(
            RestParts(
                attachments, Metrics(attachments, shared, self._minter), lambda: shared.targets.any_ready
            )
        )

        def announced() -> None:
            self._manager.ready()
            started()

        waiting = TaskSet()
        try:
            waiting.start(self._upgrades(upgrade), "upgrades")
            while True:
                ending = asyncio.Event()
                serving = waiting.start(
                    serve(
                        app,
                        rest.dup(),
                        stop=ending,
                        started=announced,
                        http=PeerProtocol,
                        grace_seconds=REST_GRACE_SECONDS,
                    ),
                    "REST",
                )
                stopped = waiting.start(stop.wait(), "stop")
                asked = waiting.start(hand_over.asked(), "hand-over")
                await asyncio.wait({serving, stopped, asked}, return_when=asyncio.FIRST_COMPLETED)
                ending.set()
                asked.cancel()
                await serving  # the last change is done then
                if stop.is_set():
                    await self._stop(attachments)
                    return
                was_asked = asked.done() and not asked.cancelled()
                if was_asked and await hand_over.give(attachments.listeners(), rest):
                    break
                logger.error("the successor did not take over; this agent goes on")
            await self._drain(attachments, hand_over, stop)
        finally:
            await waiting.aclose()
            rest.close()

    async def _stop(self, attachments: Attachments) -> None:
        self._manager.stopping()
        attachments.stop_accepting()
        stop_seconds = self._settings.agent_stop_seconds
        deadline = time.monotonic() + stop_seconds
        await asyncio.sleep(min(_ACCEPTED_SECONDS, stop_seconds))
        logger.info(
            "stopping: %d connections may end by themselves for %g s", attachments.connections, stop_seconds
        )
        while attachments.connections and time.monotonic() < deadline:  # noqa: ASYNC110  # a count, no event
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        attachments.close_connections()
        await asyncio.sleep(0)  # so that the ends and resets leave

    async def _drain(self, attachments: Attachments, hand_over: HandOver, stop: asyncio.Event) -> None:
        """Let connections end by themselves; the successor says which lives have ended meanwhile."""
        self._manager.main_process_is(hand_over.successor_pid)
        attachments.stop_accepting()
        logger.info(
            "process %d has taken over; %d connections drain",
            hand_over.successor_pid,
            attachments.connections,
        )
        following = TaskSet()
        followed = following.start(_follow(attachments, hand_over), "successor")
        deadline = time.monotonic() + self._settings.agent_drain_seconds
        await asyncio.sleep(_ACCEPTED_SECONDS)
        try:
            while (
                (attachments.connections or self._has_predecessor)
                and not followed.done()
                and not stop.is_set()
            ):
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(_DRAIN_POLL_SECONDS)
        finally:
            attachments.close_connections()
            await following.aclose()

    @property
    def _has_predecessor(self) -> bool:
        return self._predecessor is not None and not self._predecessor.is_gone

    async def _upgrades(self, upgrade: asyncio.Event) -> None:
        """Start this program again on each `upgrade`: the new process takes over and becomes the main one."""
        while True:
            await upgrade.wait()
            upgrade.clear()
            if self._successor is not None and self._successor.poll() is None:
                continue
            logger.info("starting a successor")
            self._successor = subprocess.Popen([sys.executable, *sys.orig_argv[1:]])  # noqa: ASYNC220, S603  # this program


async def _follow(attachments: Attachments, hand_over: HandOver) -> None:
    while (generation := await hand_over.drops()) is not None:
        await attachments.drop(generation)
        await hand_over.dropped(generation)
    logger.warning("the successor has ended; so do the connections that drained")


async def _renew(attachments: Attachments) -> None:
    while True:
        renewed = attachments.renew_tokens(RENEWALS_AT_ONCE)
        await asyncio.sleep(1 if renewed < RENEWALS_AT_ONCE else 0)


def read_node_key(pem: Secret) -> Ed25519PrivateKey:
    """Read the node's key; raises `NodeKeyError`, whose text never contains any part of the key."""
    try:
        key = serialization.load_pem_private_key(pem.reveal().encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise NodeKeyError("it is no Ed25519 private key in PEM")
    return key


def _rest_socket(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return make_listener(UnixListen(str(path), REST_MODE)).made


def target_tls(settings: NodeAgentSettings) -> TlsFiles | None:
    """Give the TLS of `tls` targets, None without one; raises `OSError` where a file cannot be used."""
    if not any(target.transport == "tls" for target in settings.targets()):
        return None
    authorities, certificate = settings.agent_tls_ca_file, settings.agent_tls_certificate

    def build() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    paths = [path for path in (authorities, certificate) if path is not None]
    return TlsFiles("AIGW_AGENT_TLS_CA_FILE or AIGW_AGENT_TLS_CERTIFICATE", build, paths)
