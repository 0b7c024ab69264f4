"""Checks the dates of certificates: those that servers show, and those of the plane's own listeners.

A connection here verifies nothing and sends nothing but a handshake: the check of the server itself finds
whether its certificate is trusted.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography import x509

from aigw.doctor.finding import Finding
from shared.clock import utc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import httpx

    from shared.clock import Clock

CONNECT_SECONDS: Final = 3.0
SOON_SECONDS: Final = 14 * 86_400
_POSTGRES_TLS_REQUEST: Final = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""SSLRequest of PostgreSQL's protocol; the server agrees with `S` before the handshake."""


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A server with a certificate; `setting` names the server for the operator."""

    setting: str
    host: str
    port: int
    is_postgres: bool = False

    @classmethod
    def of_url(cls, setting: str, url: str) -> list[TlsServer]:
        """Give the server of an https URL; none for another URL."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            return []
        return [cls(setting, parts.hostname, parts.port or 443)]


def examine_served(name: str, servers: Sequence[TlsServer], clock: Clock) -> list[Finding]:
    """Give a finding for each certificate that has run out or soon will. Blocks."""
    findings = []
    for server in servers:
        with contextlib.suppress(OSError, ValueError):  # the check of the server itself tells of no answer
            shown = f"the certificate of {server.host}:{server.port} in {server.setting}"
            findings += by_dates(name, shown, f"renew {shown}", _shown_by(server), clock())
    return findings


def examine_own(name: str, certificate: Path | None, key: Path | None, clock: Clock) -> list[Finding]:
    """Check the certificate of the plane's own listeners, and its key."""
    if certificate is None or key is None:
        return []
    settings = "AIGW_BOX_TLS_CERTIFICATE_FILE and AIGW_BOX_TLS_KEY_FILE"
    for path, setting in ((certificate, "AIGW_BOX_TLS_CERTIFICATE_FILE"), (key, "AIGW_BOX_TLS_KEY_FILE")):
        try:
            path.read_bytes()
        except OSError as error:
            found = f"{path} cannot be read ({error.strerror})"
            return [Finding("FAIL", name, found, f"check {setting}, its mount and its owner")]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (ssl.SSLError, ValueError):
        return [Finding("FAIL", name, f"{certificate} and {key} are no pair in PEM", f"check {settings}")]
    shown = f"the certificate in {certificate}"
    return by_dates(name, shown, "renew AIGW_BOX_TLS_CERTIFICATE_FILE", first, clock())


def certificate_of(answer: httpx.Response) -> x509.Certificate | None:
    """Give the certificate of a response's server; None without TLS. The response is still open."""
    tls = answer.extensions["network_stream"].get_extra_info("ssl_object")
    der = None if tls is None else tls.getpeercert(True)  # the object below httpx takes no name
    return None if der is None else x509.load_der_x509_certificate(der)


def by_dates(name: str, shown: str, remedy: str, certificate: x509.Certificate, now: float) -> list[Finding]:
    """Give a finding for a certificate that is not valid now, or not for long."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > end.timestamp():
        return [Finding("FAIL", name, f"{shown} ran out on {end:%Y-%m-%d}", remedy)]
    if now < begin.timestamp():
        here = f"{utc(now):%Y-%m-%d %H:%M}"
        found = f"{shown} is valid from {begin:%Y-%m-%d %H:%M} UTC on, and it is {here} here"
        return [Finding("FAIL", name, found, "set both clocks by a time service (NTP)")]
    if now > end.timestamp() - SOON_SECONDS:
        return [Finding("warn", name, f"{shown} runs out on {end:%Y-%m-%d}", remedy)]
    return []


def _shown_by(server: TlsServer) -> x509.Certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # an expired certificate must be seen, and nothing is sent
    with socket.create_connection((server.host, server.port), CONNECT_SECONDS) as plain:
        if server.is_postgres:
            plain.sendall(_POSTGRES_TLS_REQUEST)
            if plain.recv(1) != b"S":
                raise ValueError("no TLS")
        with context.wrap_socket(plain, server_hostname=server.host) as tls:
            der = tls.getpeercert(binary_form=True)
    assert der is not None, "a server of a finished handshake has shown a certificate"
    return x509.load_der_x509_certificate(der)
