"""Checks the issuers for signing people in: each is asked for its keys, as the control plane would ask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aigw.doctor.finding import Finding
from services.control_plane.sign_in.keys import FileKeys, KeysUnavailable, UrlKeys
from services.control_plane.sign_in.oidc import IssuerUnavailable

if TYPE_CHECKING:
    from services.control_plane.settings import ControlPlaneSettings, Issuer
    from services.control_plane.sign_in.oidc import OidcSignIn

_NAME: Final = "control plane: sign-in"
_NO_KEY: Final = "aigw-doctor"
"""A key id unknown to every issuer: the answer says whether there are keys at all."""


async def examine_issuers(settings: ControlPlaneSettings, oidc: OidcSignIn | None) -> list[Finding]:
    """Check every issuer of the settings; `oidc` is the Portal's issuer, as built by the control plane."""
    if not settings.issuers and oidc is None:
        return [Finding("warn", _NAME, "nobody can sign in", "set AIGW_ISSUERS or AIGW_OIDC_ISSUER")]
    findings = [await asyncio.to_thread(_examine_issuer, issuer) for issuer in settings.issuers]
    if oidc is not None:
        findings.append(await _examine_oidc(settings.oidc_issuer, oidc))
    return findings


def _examine_issuer(issuer: Issuer) -> Finding:
    source: FileKeys | UrlKeys
    if issuer.jwks_file is not None:
        source, remedy = FileKeys(issuer.jwks_file), "check jwks_file in AIGW_ISSUERS, and its mount"
    else:
        assert issuer.jwks_url is not None, "settings check that there is one of the two"
        source, remedy = UrlKeys(issuer.jwks_url), "check jwks_url in AIGW_ISSUERS, the way there, and its CA"
    try:
        source.key(_NO_KEY)
    except KeysUnavailable as error:
        return Finding("FAIL", _NAME, str(error), remedy)
    return Finding("ok", _NAME, f"{issuer.issuer} gives its keys")


async def _examine_oidc(issuer: str, oidc: OidcSignIn) -> Finding:
    try:
        await oidc.examine()
    except (IssuerUnavailable, KeysUnavailable) as error:
        remedy = "check AIGW_OIDC_ISSUER, the way there, and its CA"
        return Finding("FAIL", _NAME, f"{issuer}: {error}", remedy)
    return Finding("ok", _NAME, f"{issuer} publishes its configuration and its keys")
