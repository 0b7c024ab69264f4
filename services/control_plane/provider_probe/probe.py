"""Tries a key at its provider: DNS, TLS, authentication, model list. Stores nothing, repeats no byte it got.

The connection is made to an address that was checked, with the certificate verified for the name, so that a
name which changes its mind between check and connect gains nothing (threat row 7). Only the provider's own
401 or 403 makes a key "invalid"; whatever else goes wrong says nothing about the key.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Literal

import httpx

from services.control_plane.provider_probe.credential import credential_headers
from services.control_plane.provider_probe.resolve import ResolveError, Resolver
from shared.addresses import AddressPolicy
from shared.endpoint import Endpoint
from shared.providers import PROVIDERS, ProviderName
from shared.secret import Secret

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
TOTAL_SECONDS: Final = 20.0
MAX_ADDRESSES: Final = 3
MAX_PROBES: Final = 8
MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024

Status = Literal["ok", "failed", "skipped", "unknown"]
StepName = Literal["dns", "tls", "authentication", "model_list"]
STEPS: Final[tuple[StepName, ...]] = ("dns", "tls", "authentication", "model_list")
Verdict = Literal["valid", "invalid", "unknown"]


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step: its outcome and a sentence about it."""

    step: StepName
    status: Status
    detail: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Every step, in order."""

    steps: tuple[ProbeStep, ...]

    @property
    def verdict(self) -> Verdict:
        """What this says about the key."""
        (status,) = (step.status for step in self.steps if step.step == "authentication")
        match status:
            case "ok":
                return "valid"
            case "failed":
                return "invalid"
            case _:
                return "unknown"


class ProviderProbe:
    """Makes trials, a few at a time."""

    def __init__(
        self,
        resolver: Resolver,
        addresses: AddressPolicy,
        tls: ssl.SSLContext,
        *,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._resolver = resolver
        self._addresses = addresses
        self._tls = tls
        self._timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, read=read_seconds)
        self._slots = asyncio.Semaphore(MAX_PROBES)

    async def probe(self, provider: ProviderName, endpoint: Endpoint, key: Secret) -> ProbeResult:
        """Try `key` at `endpoint`. Takes at most about `TOTAL_SECONDS`; raises nothing."""
        trial = _Trial()
        async with self._slots:
            try:
                async with asyncio.timeout(TOTAL_SECONDS):
                    await self._run(trial, provider, endpoint, key)
            except TimeoutError:
                trial.note_next("unknown", "The endpoint took too long to answer.")
        return trial.result()

    async def _run(self, trial: _Trial, provider: ProviderName, endpoint: Endpoint, key: Secret) -> None:
        addresses = await self._checked_addresses(trial, endpoint)
        for last, address in _with_last(addresses[:MAX_ADDRESSES]):
            connection = _Connection()
            try:
                await self._ask(trial, connection, provider, endpoint, address, key)
            except httpx.HTTPError as error:
                if connection.tcp or last:
                    trial.note_failure(connection, error)
                    return
            else:
                return

    async def _checked_addresses(self, trial: _Trial, endpoint: Endpoint) -> Sequence[str]:
        """Give addresses that a connection may be made to: none when any answer is not allowed."""
        if _is_address(endpoint.host):
            addresses: Sequence[str] = [endpoint.host]
        else:
            try:
                addresses = await asyncio.to_thread(self._resolver.resolve, endpoint.host, endpoint.port)
            except ResolveError as error:
                trial.note("dns", "failed", str(error))
                return []
        if not all(map(self._addresses.allows, addresses)):
            trial.note("dns", "failed", "The host has an address that is not on the public internet.")
            return []
        trial.note("dns", "ok", f"The host has {len(addresses)} address{'es' * (len(addresses) > 1)}.")
        return addresses

    async def _ask(
        self,
        trial: _Trial,
        connection: _Connection,
        provider: ProviderName,
        endpoint: Endpoint,
        address: str,
        key: Secret,
    ) -> None:
        headers = {"host": endpoint.authority, "accept": "application/json", "accept-encoding": "identity"}
        headers |= credential_headers(provider, key)
        # The server's name goes into the handshake and is what the certificate is verified for.
        extensions = {
            "sni_hostname": endpoint.host,
            "timeout": self._timeout.as_dict(),
            "trace": connection.trace,
        }
        request = httpx.Request(
            "GET", _models_url(provider, endpoint, address), headers=headers, extensions=extensions
        )
        # The bare transport: no redirects, cookies or proxies, and no log line, in which a client would
        # repeat the provider's reason phrase.
        async with httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
            answer = await transport.handle_async_request(request)
            try:
                trial.note_connected(endpoint)
                trial.note_status(provider, answer.status_code)
                if answer.is_success:
                    trial.note_models(await _read(answer))
            finally:
                await answer.aclose()


@dataclass(slots=True)
class _Connection:
    """How far one connection got, told by httpcore's trace events."""

    tcp: bool = False
    tls_failed: bool = False

    async def trace(self, event: str, _info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self.tcp = True
        elif event == "connection.start_tls.failed":
            self.tls_failed = True


@dataclass(slots=True)
class _Trial:
    """The steps so far."""

    steps: dict[StepName, ProbeStep] = field(default_factory=dict)

    def note(self, step: StepName, status: Status, detail: str) -> None:
        self.steps[step] = ProbeStep(step, status, detail)

    def note_next(self, status: Status, detail: str) -> None:
        """Note what became of the first step that has no outcome yet."""
        for step in STEPS:
            if step not in self.steps:
                self.note(step, status, detail)
                return

    def note_failure(self, connection: _Connection, error: httpx.HTTPError) -> None:
        """Say why the connection or the exchange on it failed, without a word of the error's own."""
        if not connection.tcp:
            self.note(
                "tls", "failed", "No connection could be made: nothing answers at that address and port."
            )
        elif connection.tls_failed:
            self.note("tls", "failed", _tls_failure(error))
        else:
            self.note("tls", "ok", "A connection was made.")
            late = isinstance(error, httpx.TimeoutException)
            self.note_next("unknown", "The answer came too late." if late else "The connection broke off.")

    def note_connected(self, endpoint: Endpoint) -> None:
        if endpoint.tls:
            self.note("tls", "ok", "The certificate is valid for the host.")
        else:
            self.note("tls", "skipped", "The endpoint uses plain http.")

    def note_status(self, provider: ProviderName, status: int) -> None:
        """Read the provider's answer: 401 and 403 alone speak about the key."""
        title = PROVIDERS[provider].title
        if httpx.codes.is_success(status):
            self.note("authentication", "ok", f"{title} accepted the key.")
        elif status in {401, 403}:
            self.note("authentication", "failed", f"The endpoint refused the key (status {status}).")
        elif httpx.codes.is_redirect(status):
            self.note(
                "authentication", "unknown", "The endpoint redirects elsewhere; that is never followed."
            )
        elif status == httpx.codes.NOT_FOUND:
            self.note("authentication", "unknown", "The endpoint has no model list; check its path.")
        else:
            self.note("authentication", "unknown", f"The endpoint answered with status {status}; try later.")

    def note_models(self, body: bytes | None) -> None:
        count = _count_models(body)
        if count is None:
            self.note("model_list", "unknown", "The answer is not a list of models.")
        else:
            self.note("model_list", "ok", f"The first page lists {count} model{'s' * (count != 1)}.")

    def result(self) -> ProbeResult:
        skipped = "Not tried, because of the step before."
        return ProbeResult(
            tuple(self.steps.get(step) or ProbeStep(step, "skipped", skipped) for step in STEPS)
        )


def _with_last(addresses: Sequence[str]) -> list[tuple[bool, str]]:
    return [(number == len(addresses), address) for number, address in enumerate(addresses, 1)]


def _models_url(provider: ProviderName, endpoint: Endpoint, address: str) -> httpx.URL:
    segment = PROVIDERS[provider].version_segment
    base = endpoint.base_path.removesuffix(segment) if segment else endpoint.base_path
    host = f"[{address}]" if ":" in address else address
    return httpx.URL(f"{endpoint.scheme}://{host}:{endpoint.port}{base}{segment}/models")


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


def _count_models(body: bytes | None) -> int | None:
    try:
        answer = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    models = answer.get("data") if isinstance(answer, dict) else None
    return len(models) if isinstance(models, list) else None
