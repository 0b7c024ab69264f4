"""Checks the issuers for signing people in: each is asked for its keys, as the control plane would ask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httpx

from aigw.doctor.certificates import unreadable
from aigw.doctor.clocks import ClockReading, examine_clock, http_time
from aigw.doctor.finding import Finding, with_faults
from aigw.doctor.served_certificates import by_dates, certificate_of
from services.control_plane.bootstrap import issuer_keys, issuer_route, oidc_sign_in
from services.control_plane.sign_in.keys import KeysUnavailable
from services.control_plane.sign_in.oidc import IssuerUnavailable
from shared.clock import unix_now

if TYPE_CHECKING:
    from services.control_plane.settings import ControlPlaneSettings, Issuer
    from services.control_plane.sign_in.issuer_route import IssuerRoute
    from services.control_plane.sign_in.oidc import OidcSignIn
    from shared.clock import Clock

_NAME: Final = "control plane: sign-in"
_NO_KEY: Final = "aigw-doctor"
"""A key id unknown to every issuer: the answer says whether there are keys at all."""
_BAD_CERTIFICATE: Final = "CERTIFICATE_VERIFY_FAILED"
_EXPIRED: Final = "certificate has expired"
CLOCK_SECONDS: Final = 5.0
_WAY: Final = "the way there (AIGW_ISSUER_PROXY, or HTTPS_PROXY and NO_PROXY)"


async def examine_issuers(settings: ControlPlaneSettings, *, clock: Clock = unix_now) -> list[Finding]:
    """Check every issuer of the settings, each as the control plane reaches it."""
    if reason := unreadable(settings.issuer_ca_file):
        return [Finding("FAIL", _NAME, reason, "check AIGW_ISSUER_CA_FILE, and its mount")]
    route = issuer_route(settings)
    oidc = oidc_sign_in(settings, route)
    if not settings.issuers and oidc is None:
        return [Finding("warn", _NAME, "nobody can sign in", "set AIGW_ISSUERS or AIGW_OIDC_ISSUER")]
    findings = [await asyncio.to_thread(_examine_issuer, issuer, route) for issuer in settings.issuers]
    if oidc is not None:
        findings.append(await _examine_oidc(settings.oidc_issuer, oidc))
    for setting, url in _addresses(settings):
        faults = await asyncio.to_thread(_examine_server, setting, url, route, clock)
        findings = with_faults(findings, faults)
    return findings


def _addresses(settings: ControlPlaneSettings) -> list[tuple[str, str]]:
    """Name the documents of every issuer, each with its setting."""
    urls = [("jwks_url in AIGW_ISSUERS", issuer.jwks_url) for issuer in settings.issuers if issuer.jwks_url]
    if settings.oidc_issuer:
        document = f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration"
        urls.append(("AIGW_OIDC_ISSUER", document))
    return urls


def _examine_server(setting: str, url: str, route: IssuerRoute, clock: Clock) -> list[Finding]:
    """Check the clock of an issuer's server and the dates of its certificate, on the control plane's way."""
    asked = clock()
    try:
        with route.client(url, CLOCK_SECONDS) as client, client.stream("GET", url) as answer:
            told = http_time(answer.headers.get("date"))
            certificate = certificate_of(answer)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return []  # the check of the issuer itself tells why
    reading = None if told is None else ClockReading(told, asked, clock())
    findings = examine_clock(_NAME, f"the server of {setting}", reading)
    if certificate is not None:
        shown = f"the certificate of the server of {setting}"
        findings += by_dates(_NAME, shown, f"renew {shown}", certificate, clock())
    return findings


def _examine_issuer(issuer: Issuer, route: IssuerRoute) -> Finding:
    try:
        issuer_keys(issuer, route).key(_NO_KEY)
    except KeysUnavailable as error:
        setting = "jwks_url" if issuer.jwks_file is None else "jwks_file"
        return _finding(str(error), setting=f"{setting} in AIGW_ISSUERS", is_file=setting == "jwks_file")
    return Finding("ok", _NAME, f"{issuer.issuer} gives its keys")


async def _examine_oidc(issuer: str, oidc: OidcSignIn) -> Finding:
    try:
        await oidc.examine()
    except (IssuerUnavailable, KeysUnavailable) as error:
        return _finding(f"{issuer}: {error}", setting="AIGW_OIDC_ISSUER")
    return Finding("ok", _NAME, f"{issuer} publishes its configuration and its keys")


def _finding(text: str, *, setting: str, is_file: bool = False) -> Finding:
    """Give the remedy of the cause that the text names: the file, the authority, or the way."""
    if is_file:
        return Finding("FAIL", _NAME, text, f"check {setting}, and its mount")
    if _EXPIRED in text:
        return Finding("FAIL", _NAME, text, f"renew the certificate of the server of {setting}")
    if _BAD_CERTIFICATE in text:
        remedy = f"put the authority of {setting} into AIGW_ISSUER_CA_FILE"
        return Finding("FAIL", _NAME, text, remedy)
    return Finding("FAIL", _NAME, text, f"check {setting}, and {_WAY}")
