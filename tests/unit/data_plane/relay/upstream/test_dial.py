"""Dialling on a fake way out: the permitted targets, the report of a failure, and TLS's check of the name."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import trustme

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.relay.upstream.connection import ConnectionKeeper, UpstreamConnection
from services.data_plane.relay.upstream.dial import DialConfig, Dialer, explain, provider_tls
from services.data_plane.relay.upstream.egress import Made
from services.data_plane.relay.upstream.tls import TlsConnection
from services.data_plane.relay.wire.write_batch import WriteBatch
from shared.endpoint import Endpoint, parse_endpoint
from shared.rejections import Rejection
from tests.unit.data_plane.relay.fake_transport import FakeTransport

PLAIN = parse_endpoint("http://provider.example/v1")
OVER_TLS = parse_endpoint("https://provider.example/v1")
ADDRESS = "192.0.2.77"


class FakeEgress:
    """Connects to `transport` at once; or raises, or never comes back."""

    def __init__(self, failure: Exception | None = None, *, hangs: bool = False) -> None:
        self.failure, self.hangs = failure, hangs
        self.asked: list[Endpoint] = []
        self.transport = FakeTransport()
        self.made: object = None

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        self.asked.append(endpoint)
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        self.made = protocol = make()
        protocol.connection_made(self.transport)
        return protocol


def _factory() -> UpstreamConnection:
    limits, templates = RelayLimits(), TemplateStore().endpoint("one")
    return UpstreamConnection(ConnectionKeeper(), ("acme", "one"), limits, WriteBatch(), 100.0, templates)


def _dialer(
    egress: FakeEgress,
    tls: ssl.SSLContext | None = None,
    seconds: float = 5,
    *,
    allow_plain_http: bool = False,
) -> Dialer:
    return Dialer(egress, tls or provider_tls(None), seconds, allow_plain_http=allow_plain_http)


async def test_an_endpoint_without_tls_is_dialled_only_where_the_operator_allows_it() -> None:
    egress = FakeEgress()
    with pytest.raises(Refused) as caught:
        await _dialer(egress).dial(PLAIN, _factory)
    assert (caught.value.rejection, egress.asked) == (Rejection.UPSTREAM_UNREACHABLE, [])
    connection = await _dialer(egress, allow_plain_http=True).dial(PLAIN, _factory)
    assert (connection is egress.made, egress.asked) == (True, [PLAIN])
    assert egress.transport.written == b""


async def test_a_dial_that_takes_too_long_is_a_timeout_with_its_seconds() -> None:
    with pytest.raises(Refused) as caught:
        await _dialer(FakeEgress(hangs=True), seconds=0.01).dial(OVER_TLS, _factory)
    assert caught.value.rejection is Rejection.UPSTREAM_TIMEOUT
    assert caught.value.detail == "connecting took longer than 0.01 s"


async def test_a_handshake_that_takes_too_long_is_a_timeout_and_its_transport_is_aborted() -> None:
    egress = FakeEgress()
    with pytest.raises(Refused) as caught:
        await _dialer(egress, seconds=0.01).dial(OVER_TLS, _factory)
    assert (caught.value.rejection, egress.transport.ended) == (Rejection.UPSTREAM_TIMEOUT, "abort")
    assert egress.transport.written.startswith(b"\x16\x03")  # a handshake record (RFC 8446 §5.1)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, ADDRESS), "the connection was refused"),
        (ConnectionResetError(errno.ECONNRESET, ADDRESS), "the connection was reset"),
        (OSError(errno.ENETUNREACH, ADDRESS), "there is no route to it"),
        (OSError(errno.EHOSTUNREACH, ADDRESS), "there is no route to it"),
        (OSError(errno.EMFILE, ADDRESS), "connecting failed"),
        (OSError(f"Multiple exceptions: {ADDRESS}"), "connecting failed"),
        (ssl.SSLError(1, f"[SSL: WRONG_VERSION_NUMBER] {ADDRESS}"), "the TLS handshake failed"),
    ],
)
async def test_a_failure_is_told_in_words_without_the_address(error: OSError, said: str) -> None:
    with pytest.raises(Refused) as caught:
        await _dialer(FakeEgress(error)).dial(OVER_TLS, _factory)
    assert (caught.value.rejection, caught.value.detail) == (Rejection.UPSTREAM_UNREACHABLE, said)
    assert caught.value.__cause__ is None
    assert explain(error) == said


async def test_a_refusal_by_the_way_out_passes_as_it_is() -> None:
    refused = Refused(Rejection.UPSTREAM_UNREACHABLE, "its name does not resolve")
    with pytest.raises(Refused) as caught:
        await _dialer(FakeEgress(refused)).dial(OVER_TLS, _factory)
    assert caught.value is refused


class TlsPeer(FakeTransport):
    """A server's side of TLS in memory, which answers each write at once."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.client: TlsConnection | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self._incoming.write(bytes(data))
        with contextlib.suppress(ssl.SSLError):  # more is to come, or the client has refused
            self._tls.do_handshake()
        if self._outgoing.pending:
            asyncio.get_running_loop().call_soon(self._answer, self._outgoing.read())

    def _answer(self, data: bytes) -> None:
        assert self.client is not None
        self.client.data_received(data)


class TlsEgress(FakeEgress):
    """Connects to a server in memory whose certificate is for `name`."""

    def __init__(self, ca: trustme.CA, name: str) -> None:
        super().__init__()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert(name).configure_cert(context)
        self.transport = self.peer = TlsPeer(context)

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        def remembered() -> Made:
            protocol = make()
            self.peer.client = cast("TlsConnection", protocol)
            return protocol

        return await super().connect(endpoint, remembered)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _trusting(authority: trustme.CA, folder: Path) -> ssl.SSLContext:
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return provider_tls(file)


async def test_over_tls_the_inner_connection_is_given_once_the_name_is_verified(
    authority: trustme.CA, tmp_path: Path
) -> None:
    egress = TlsEgress(authority, "provider.example")
    connection = await _dialer(egress, _trusting(authority, tmp_path)).dial(OVER_TLS, _factory)
    assert isinstance(connection, UpstreamConnection)
    assert connection.usable


@pytest.mark.parametrize("name", ["other.example", "provider.example.attacker.example"])
async def test_a_certificate_for_another_name_is_refused_and_its_transport_aborted(
    authority: trustme.CA, tmp_path: Path, name: str
) -> None:
    egress = TlsEgress(authority, name)
    with pytest.raises(Refused, match="its TLS certificate is not valid: Hostname mismatch") as caught:
        await _dialer(egress, _trusting(authority, tmp_path)).dial(OVER_TLS, _factory)
    assert caught.value.rejection is Rejection.UPSTREAM_UNREACHABLE
    assert egress.transport.closing


async def test_a_certificate_of_an_unknown_authority_is_refused(
    authority: trustme.CA, tmp_path: Path
) -> None:
    egress = TlsEgress(trustme.CA(), "provider.example")
    with pytest.raises(Refused, match="its TLS certificate is not valid"):
        await _dialer(egress, _trusting(authority, tmp_path)).dial(OVER_TLS, _factory)


def test_the_context_for_providers_verifies_names_and_takes_no_old_tls() -> None:
    context = provider_tls(None)
    assert context.check_hostname
    assert (context.verify_mode, context.minimum_version) == (ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2)


async def test_dialers_of_one_configuration_obey_it_and_share_no_tls_session() -> None:
    egress = FakeEgress()
    config = DialConfig(egress, None, provider_tls(None), 5.0, allow_plain_http=True)
    first, second = config.dialer(), config.dialer()
    assert await first.dial(PLAIN, _factory) is egress.made
    assert first._sessions is not second._sessions
    with pytest.raises(Refused):
        await (
            DialConfig(egress, None, provider_tls(None), 5.0, allow_plain_http=False)
            .dialer()
            .dial(PLAIN, _factory)
        )
