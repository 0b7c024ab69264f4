"""TLS to a provider, inside our own protocol: bytes in, bytes out, a single write per wake-up.

The event loop's own TLS layer reads every record in a call of its own and needs another call to find no more;
for a stream of small events this costs more than the relaying. Here a wake-up's records are read together. A
connection without TLS's own goodbye counts as broken, so a truncated answer is never taken for a whole answer
(RFC 8446 §6.1, RFC 9112 §9.8).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, cast

from services.data_plane.relay.upstream.unread import read_unread

if TYPE_CHECKING:
    from services.data_plane.relay.upstream.connection import UpstreamConnection

MAX_RECORD_BYTES: Final = 16 * 1024  # RFC 8446 §5.1
MAX_REMEMBERED_SESSIONS: Final = 4096
SessionKey = tuple[str, str]


class SessionCache:
    """The latest TLS session for each (org, endpoint), to save a new connection half the handshake."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[SessionKey, ssl.SSLSession] = OrderedDict()

    def get(self, key: SessionKey) -> ssl.SSLSession | None:
        """Give the session to resume, if any."""
        return self._sessions.get(key)

    def put(self, key: SessionKey, session: ssl.SSLSession) -> None:
        """Remember a session; the session not renewed for longest goes first."""
        self._sessions[key] = session
        self._sessions.move_to_end(key)
        if len(self._sessions) > MAX_REMEMBERED_SESSIONS:
            self._sessions.popitem(last=False)


class TlsConnection:
    """Carries an upstream connection over TLS. `ready` is done when the handshake is.

    Raises through `ready`:
        ssl.SSLError: the handshake failed, the certificate included.
        ConnectionError: the connection ended before the handshake.
    """

    def __init__(
        self,
        inner: UpstreamConnection,
        context: ssl.SSLContext,
        host: str,
        sessions: SessionCache,
    ) -> None:
        self.inner = inner
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sessions = sessions
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=host, session=sessions.get(inner.pool_key)
        )
        self._open = False
        self._session_kept = False
        self._goodbye = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._raw = cast("asyncio.Transport", transport)
        self._shake_hands()

    def data_received(self, data: bytes) -> None:
        """Decrypt a wake-up's records and hand them on together."""
        self._incoming.write(data)
        if not self._open:
            self._shake_hands()
            if not self._open:
                return
        plain = self._read()
        if plain:
            self._keep_session()
            self.inner.data_received(plain)
        if self._goodbye:
            self._raw.close()

    def eof_received(self) -> bool:
        """The provider sends no more; the transport closes itself."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection inside, with an error unless the provider had said goodbye."""
        if not self.ready.done():
            self._fail(exc or ConnectionResetError("the connection ended in the TLS handshake"))
        elif self._open:
            if exc is not None and (unread := read_unread(self._raw)):
                self.data_received(unread)
            cut = None if self._goodbye else ConnectionResetError("the connection ended without close_notify")
            self.inner.connection_lost(exc or cut)

    def pause_writing(self) -> None:
        """The provider takes no more for now."""
        if self._open:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """The provider takes bytes again."""
        if self._open:
            self.inner.resume_writing()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the alert that tells the provider why
            if not self.ready.done():
                self._fail(error)
            self._raw.close()
            return
        self._flush()
        self._open = True
        self.inner.connection_made(TlsTransport(self))
        if not self.ready.done():
            self.ready.set_result(None)

    def _fail(self, error: Exception) -> None:
        self.ready.set_exception(error)
        self.ready.exception()  # nobody waits for it any more where the deadline has passed

    def _read(self) -> bytes:
        pieces = []
        try:
            while self._incoming.pending or self._tls.pending():
                piece = self._tls.read(MAX_RECORD_BYTES)
                if not piece:
                    self._goodbye = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass  # the rest of a record is still to come
        except ssl.SSLError:
            self._raw.abort()
        if self._outgoing.pending:
            self._flush()  # TLS's own answers: a key update, an alert
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep_session(self) -> None:
        """TLS 1.3 sends the session after the handshake, before the first answer (RFC 8446 §4.6.1)."""
        if not self._session_kept:
            self._session_kept = True
            session = self._tls.session
            if session is not None and session.has_ticket:
                self._sessions.put(self.inner.pool_key, session)

    def _flush(self) -> None:
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    # What the transport below does for the connection inside.

    @property
    def raw(self) -> asyncio.Transport:
        """The transport of the encrypted bytes."""
        return self._raw

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if data and not self._raw.is_closing():
            try:
                self._tls.write(data)
            except ssl.SSLError:
                self._raw.abort()  # the provider has ended the session; `connection_lost` says the rest
                return
            self._raw.write(self._outgoing.read())

    def close(self) -> None:
        """Say goodbye and close once everything has left."""
        if not self._raw.is_closing():
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()  # the goodbye is written all the same; nobody waits for the answer
            self._flush()
        self._raw.close()


class TlsTransport(asyncio.Transport):
    """A connection's transport over TLS."""

    def __init__(self, connection: TlsConnection) -> None:
        super().__init__()
        self._connection = connection
        self._raw = connection.raw
        self.write = connection.write  # type: ignore[method-assign, assignment]  # one call less per piece
        self.pause_reading = self._raw.pause_reading  # type: ignore[method-assign]  # same
        self.resume_reading = self._raw.resume_reading  # type: ignore[method-assign]  # same
        self.is_closing = self._raw.is_closing  # type: ignore[method-assign]  # same

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As the transport's own."""
        self._raw.set_write_buffer_limits(high=high, low=low)

    def get_write_buffer_size(self) -> int:
        """How many encrypted bytes wait."""
        return self._raw.get_write_buffer_size()

    def close(self) -> None:
        """Say goodbye, then close."""
        self._connection.close()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()
