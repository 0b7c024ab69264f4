"""Tries a typed key at its provider: DNS, TLS, authentication, model list. Stores nothing, repeats no byte.

The connection is made to a checked address, with the certificate verified for the name, so a name with
changing addresses between check and connect gains nothing (threat row 7); or by the operator's egress proxy,
which looks the name up and sees no byte of an https request. The wording of a finding, and its relation to
the key, is in `shared/key_test_report.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

import httpx

from services.control_plane.fair_share.fair_slots import FairSlots, SlotRefused
from services.control_plane.key_test.credential import credential_headers
from services.control_plane.key_test.resolve import NOT_PUBLIC, Requester, ResolveError, Resolver
from shared.addresses import AddressPolicy
from shared.endpoint import Endpoint
from shared.key_test import TOTAL_SECONDS, KeyTestStep
from shared.key_test_report import KeyTestReport
from shared.providers import PROVIDERS, ProviderName
from shared.secret import Secret

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
MAX_ADDRESSES: Final = 3
MAX_PROBES: Final = 32
RESERVED_PROBES: Final = 16
"""Of these, for an org without another key test under way."""
MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024
_TOO_MANY: Final = "Too many tests are running here; try again in a minute."


class TypedKeyTester:
    """Makes key tests, a few at a time. With an egress `proxy` every connection goes through the proxy."""

    def __init__(
        self,
        resolver: Resolver,
        addresses: AddressPolicy,
        tls: ssl.SSLContext,
        *,
        proxy: httpx.Proxy | None = None,
        read_seconds: float = READ_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._resolver = resolver
        self._addresses = addresses
        self._tls = tls
        self._proxy = proxy
        self._timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, read=read_seconds)
        self._total_seconds = total_seconds
        self._turns = FairSlots(
            MAX_PROBES, each=MAX_PROBES, reserved=RESERVED_PROBES, wait_seconds=total_seconds
        )

    async def probe(
        self, requester: Requester, provider: ProviderName, endpoint: Endpoint, key: Secret
    ) -> tuple[KeyTestStep, ...]:
        """Try `key` at `endpoint`. Takes at most about `total_seconds`, waiting included.

        Raises:
            TooManyLookUps: the requester has too many names looked up at this moment.
        """
        notes = KeyTestReport(provider, asyncio.get_running_loop().time)
        begun = False
        try:
            async with asyncio.timeout(self._total_seconds), self._turn(requester.org):
                begun = True
                hosts = await self._checked_hosts(notes, requester, endpoint)
                await self._run(notes, provider, endpoint, hosts, key)
        except (TimeoutError, SlotRefused):
            if begun:
                notes.too_late()
            else:
                notes.note("dns", "unknown", _TOO_MANY)
        return notes.steps()

    @asynccontextmanager
    async def _turn(self, org: str) -> AsyncIterator[None]:
        turn = await self._turns.take(org)
        try:
            yield
        finally:
            self._turns.end(turn)

    async def _run(
        self,
        notes: KeyTestReport,
        provider: ProviderName,
        endpoint: Endpoint,
        hosts: Sequence[str],
        key: Secret,
    ) -> None:
        for last, host in _with_last(hosts[:MAX_ADDRESSES]):
            connection = _Connection(notes, endpoint, by_proxy=self._proxy is not None)
            try:
                await self._ask(connection, provider, host, key)
            except httpx.HTTPError as error:
                if connection.tcp or last:
                    connection.note_failure(error)
                    return
            else:
                return

    async def _checked_hosts(
        self, notes: KeyTestReport, requester: Requester, endpoint: Endpoint
    ) -> Sequence[str]:
        """Give the allowed hosts for a connection: none when any address is not allowed."""
        if _is_address(endpoint.host):
            addresses: Sequence[str] = [endpoint.host]
        elif self._proxy is not None:
            notes.looked_up_by_proxy()
            return [endpoint.host]
        else:
            try:
                addresses = await self._resolver.resolve(requester, endpoint.host, endpoint.port)
            except ResolveError as error:
                notes.note("dns", "failed", str(error))
                return []
        if not all(map(self._addresses.allows, addresses)):
            notes.note("dns", "failed", NOT_PUBLIC)
            return []
        notes.addresses(len(addresses))
        return addresses

    async def _ask(self, connection: _Connection, provider: ProviderName, host: str, key: Secret) -> None:
        endpoint, notes = connection.endpoint, connection.notes
        headers = {"host": endpoint.authority, "accept": "application/json", "accept-encoding": "identity"}
        headers |= credential_headers(provider, key)
        # The server's name goes into the handshake and is what the certificate is verified for.
        extensions = {
            "sni_hostname": endpoint.host,
            "timeout": self._timeout.as_dict(),
            "trace": connection.trace,
        }
        request = httpx.Request(
            "GET", _models_url(provider, endpoint, host), headers=headers, extensions=extensions
        )
        # The bare transport: no redirects, cookies or environment's proxies, and no log line, in which a
        # client would repeat the provider's reason phrase.
        async with httpx.AsyncHTTPTransport(
            verify=self._tls, trust_env=False, proxy=self._proxy
        ) as transport:
            answer = await transport.handle_async_request(request)
            statuses = PROVIDERS[provider].refusal_statuses  # their bodies tell what was refused
            try:
                refusal = await _read(answer) if answer.status_code in statuses else None
                if notes.status(answer.status_code, refusal or b""):
                    notes.models(await _read(answer))
            finally:
                await answer.aclose()


@dataclass(slots=True)
class _Connection:
    """A connection and its progress, told by httpcore's trace events."""

    notes: KeyTestReport
    endpoint: Endpoint
    by_proxy: bool
    tcp: bool = False
    made: bool = False
    tls_failed: bool = False

    async def trace(self, event: str, _info: dict[str, Any]) -> None:
        match event:
            case "connection.connect_tcp.complete":
                self.tcp = True
                self.made = not self.endpoint.tls
            case "connection.start_tls.complete" | "proxy.start_tls.complete":
                self.made = True
            case "connection.start_tls.failed" | "proxy.start_tls.failed":
                self.tls_failed = True
            case _:
                return
        if self.made:
            self.notes.connected(tls=self.endpoint.tls)

    def note_failure(self, error: httpx.HTTPError) -> None:
        """Explain the failure of the connection or of the exchange, without a word of the error's own."""
        if self.made:
            late = isinstance(error, httpx.TimeoutException)
            detail = "The answer came too late." if late else "The connection broke off."
            self.notes.note_next("unknown", detail)
        elif self.tls_failed:
            self.notes.note("tls", "failed", _tls_failure(error))
        elif self.by_proxy:
            answers = "did not connect to it" if self.tcp else "does not answer"
            self.notes.note("tls", "failed", f"The operator's egress proxy {answers}.")
        else:
            detail = "No connection could be made: nothing answers at that address and port."
            self.notes.note("tls", "failed", detail)


def _with_last(addresses: Sequence[str]) -> list[tuple[bool, str]]:
    return [(number == len(addresses), address) for number, address in enumerate(addresses, 1)]


def _models_url(provider: ProviderName, endpoint: Endpoint, host: str) -> httpx.URL:
    row = PROVIDERS[provider]
    segment = row.version_segment
    base = endpoint.base_path.removesuffix(segment) if segment else endpoint.base_path
    authority = f"[{host}]" if ":" in host else host
    return httpx.URL(f"{endpoint.scheme}://{authority}:{endpoint.port}{base}{segment}{row.key_test.path}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _tls_failure(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The certificate was refused: {cause.verify_message}."
        cause = cause.__cause__ or cause.__context__
    return "The endpoint does not speak TLS on that port, or broke the handshake off."


async def _read(answer: httpx.Response) -> bytes | None:
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            return None
    return bytes(body)
