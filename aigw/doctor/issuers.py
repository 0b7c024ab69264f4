"""Checks the issuers for signing people in: each is asked for its keys, as the control plane would ask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aigw.doctor.certificates import unreadable
from aigw.doctor.finding import Finding
from services.control_plane.bootstrap import issuer_keys, issuer_route, oidc_sign_in
from services.control_plane.sign_in.keys import KeysUnavailable
from services.control_plane.sign_in.oidc import IssuerUnavailable

if TYPE_CHECKING:
    from services.control_plane.settings import ControlPlaneSettings, Issuer
    from services.control_plane.sign_in.issuer_route import IssuerRoute
    from services.control_plane.sign_in.oidc import OidcSignIn

_NAME: Final = "control plane: sign-in"
_NO_KEY: Final = "aigw-doctor"
"""A key id unknown to every issuer: the answer says whether there are keys at all."""
_BAD_CERTIFICATE: Final = "CERTIFICATE_VERIFY_FAILED"
_WAY: Final = "the way there (AIGW_ISSUER_PROXY, or HTTPS_PROXY and NO_PROXY)"


async def examine_issuers(settings: ControlPlaneSettings) -> list[Finding]:
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
    if _BAD_CERTIFICATE in text:
        remedy = f"put the authority of {setting} into AIGW_ISSUER_CA_FILE"
        return Finding("FAIL", _NAME, text, remedy)
    return Finding("FAIL", _NAME, text, f"check {setting}, and {_WAY}")
