"""Checks the authorities by which a plane verifies servers: a file named by a setting, or the system's."""

from __future__ import annotations

import ssl
from pathlib import Path

from aigw.doctor.finding import Finding
from shared.clock import unix_now, utc


def unreadable(ca_file: Path | None) -> str:
    """Say why certificates cannot be read from a file; empty when the file can be read, or without a file."""
    if ca_file is None:
        return ""
    try:
        known = ssl.create_default_context(cafile=ca_file).get_ca_certs()
    except ssl.SSLError:
        return f"{ca_file} holds no certificates in PEM"
    except (OSError, ValueError) as error:
        return f"{ca_file} cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
    if not known:
        return f"{ca_file} holds no certificate of an authority"
    ends = [ssl.cert_time_to_seconds(str(one["notAfter"])) for one in known]
    if max(ends) < unix_now():
        return f"the authorities in {ca_file} have run out on {utc(max(ends)):%Y-%m-%d}"
    return ""


def examine_certificates(name: str, ca_file: Path | None) -> Finding:
    """Check the authorities for providers. `ca_file` is AIGW_UPSTREAM_CA_FILE; None: the system's."""
    if reason := unreadable(ca_file):
        return Finding("FAIL", name, reason, "check AIGW_UPSTREAM_CA_FILE, and its mount")
    known = len(ssl.create_default_context(cafile=ca_file).get_ca_certs())
    hashed = ssl.get_default_verify_paths().capath
    if not known and not (ca_file is None and hashed and any(Path(hashed).iterdir())):
        remedy = "install ca-certificates, or set AIGW_UPSTREAM_CA_FILE"
        return Finding("FAIL", name, "no authority is trusted, so no provider can be reached", remedy)
    return Finding("ok", name, f"{known} authorities" if known else f"the authorities in {hashed}")
