"""The listeners for boxes: opened together, each with its own identity mode, served and drained together."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

from services.data_plane.identity.header import HeaderIdentity
from services.data_plane.identity.proxy_tlv import PrefaceIdentity
from services.data_plane.identity.static import StaticIdentity
from services.data_plane.inherited_sockets import adopt
from services.data_plane.relay.preface_connection import preface_protocol_factory
from services.data_plane.relay.tls_handshake import HandshakeFaults, tls_protocol_factory
from shared.listener import ListenError, bind, bind_unix, port_of, serve
from shared.tasks import TaskSet
from shared.tls_files import TlsFiles

if TYPE_CHECKING:
    import asyncio
    import contextlib
    import socket
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from starlette.applications import Starlette

    from services.data_plane.identity.box_listener import BoxListener
    from services.data_plane.identity.token_verifier import TokenVerifier
    from services.data_plane.relay.relay import Relay
    from shared.listener import ProtocolFactory


class BoxListeners:
    """All listeners for boxes of a process.

    Args:
        listeners: the listeners to open, each with its setting.
        verifier: judges box tokens.
        static_org: the org of every caller in static mode.
        tls: for listeners with the transport `tls`.

    Attributes:
        handshake_faults: the TLS handshakes without success.
    """

    def __init__(
        self,
        listeners: Sequence[tuple[BoxListener, str]],
        verifier: TokenVerifier,
        static_org: str,
        tls: TlsFiles | None,
    ) -> None:
        self._listeners = listeners
        self._verifier = verifier
        self._header = HeaderIdentity(verifier)
        self._static_org = static_org
        self.tls = tls
        self.handshake_faults = HandshakeFaults()
        self._sockets: list[socket.socket] = []

    def __len__(self) -> int:
        return len(self._listeners)

    def __str__(self) -> str:
        """Name every listener, with its actual port once open."""
        ports = iter(self.ports)
        return ", ".join(
            str(
                listener
                if listener.transport == "unix"
                else replace(listener, port=next(ports, listener.port))
            )
            for listener, _ in self._listeners
        )

    def adopt(self, descriptors: Sequence[int], stack: contextlib.ExitStack) -> None:
        """Take over sockets opened by another process, to be closed by `stack`."""
        for descriptor in descriptors:
            opened = adopt(descriptor)
            stack.callback(opened.close)
            self._sockets.append(opened)

    def open(self, stack: contextlib.ExitStack) -> None:
        """Open every socket, to be closed by `stack`; raises `ListenError`."""
        for listener, option in self._listeners:
            opened = (
                bind_unix(listener.path, listener.permissions, option=option)
                if listener.transport == "unix"
                else bind(listener.host, listener.port, option=option)
            )
            stack.callback(opened.close)
            self._sockets.append(opened)

    @property
    def ports(self) -> list[int]:
        """The ports of the listeners on addresses, once open."""
        pairs = zip(self._listeners, self._sockets, strict=False)
        return [port_of(opened) for (listener, _), opened in pairs if listener.transport != "unix"]

    async def serve(
        self,
        relay: Relay,
        app: Starlette,
        *,
        stop: asyncio.Event,
        started: Callable[[], None],
        ready: Callable[[], bool],
        grace_seconds: int,
    ) -> None:
        """Serve all until `stop` is set, then drain; `started` is called by each. Raises `ListenError`."""
        tasks = TaskSet()
        if self.tls is not None:
            tasks.start(self.tls.run(), "TLS files of box listeners")
        try:
            serving = [
                tasks.start(
                    serve(
                        app,
                        opened,
                        stop=stop,
                        started=started,
                        http=self._protocol_factory(listener, relay, ready),
                        grace_seconds=grace_seconds,
                    ),
                    f"box listener {listener}",
                )
                for (listener, _), opened in zip(self._listeners, self._sockets, strict=True)
            ]
            for one in serving:
                await one
        finally:
            await tasks.aclose()

    def _protocol_factory(
        self, listener: BoxListener, relay: Relay, ready: Callable[[], bool]
    ) -> ProtocolFactory:
        made, tls = self._plain_protocol_factory(listener, relay, ready), self.tls
        if listener.transport != "tls" or tls is None:
            return made
        return tls_protocol_factory(relay, made, lambda: tls.context, self.handshake_faults)

    def _plain_protocol_factory(
        self, listener: BoxListener, relay: Relay, ready: Callable[[], bool]
    ) -> ProtocolFactory:
        match listener.mode:
            case "static":
                return relay.protocol_factory(StaticIdentity(self._static_org))
            case "header":
                return relay.protocol_factory(self._header)
            case "proxy-tlv":
                return preface_protocol_factory(relay, PrefaceIdentity(self._verifier), ready)


def box_tls(certificate_file: Path, key_file: Path, client_ca_file: Path | None) -> TlsFiles:
    """Give the TLS of box listeners; with authorities, a client must show a certificate of theirs.

    Raises:
        ListenError: a file cannot be read or used.
    """
    name = "AIGW_BOX_TLS_CERTIFICATE_FILE and AIGW_BOX_TLS_KEY_FILE"
    if client_ca_file is not None:
        name = f"{name} or AIGW_BOX_TLS_CLIENT_CA_FILE"
    paths = [path for path in (certificate_file, key_file, client_ca_file) if path is not None]
    try:
        return TlsFiles(name, lambda: _context(certificate_file, key_file, client_ca_file), paths)
    except OSError as error:  # `ssl.SSLError` is one
        raise ListenError(f"{name} cannot be used ({error.strerror}).") from None


def _context(certificate_file: Path, key_file: Path, client_ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate_file, key_file)
    if client_ca_file is not None:
        context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
