"""Checks a control plane's backends: database, secret store, event bus, issuers' keys, data plane, ports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aigw.doctor.backend_servers import backend_servers, database_servers
from aigw.doctor.certificates import examine_certificates
from aigw.doctor.database import examine_database
from aigw.doctor.finding import Finding, with_faults
from aigw.doctor.folders import is_there, unwritable
from aigw.doctor.issuers import examine_issuers
from aigw.doctor.ports import Port, examine_ports
from aigw.doctor.redis import examine_writer
from aigw.doctor.served_certificates import TlsServer, examine_served
from aigw.doctor.vault import examine_vault
from services.control_plane.key_test.stored_key import NotTried, StoredKeyTester
from services.control_plane.secrets.port import SecretStoreError
from services.control_plane.secrets.vault import VaultSecretWriter
from shared.clock import unix_now
from shared.key_test import KeyTestRequest
from shared.redis_link import is_redis_url
from shared.sealed_file import KEY_FILE, SealError, read_key
from shared.vault_target import is_vault_url

if TYPE_CHECKING:
    from pathlib import Path

    from services.control_plane.settings import ControlPlaneSettings
    from shared.clock import Clock

_SECRETS: Final = "control plane: secrets"
_BUS: Final = "control plane: event bus"
_CERTIFICATES: Final = "control plane: certificates"
_ALIVE: Final = b'{"status":"alive"}'


async def examine_control_plane(settings: ControlPlaneSettings, *, clock: Clock = unix_now) -> list[Finding]:
    """Check everything named by the settings. `clock` is this machine's."""
    rest = Port(settings.control_plane_host, settings.control_plane_port, "AIGW_CONTROL_PLANE_PORT")
    fleet = Port(settings.internal_host, settings.internal_port, "AIGW_INTERNAL_PORT")
    return [
        *await asyncio.to_thread(examine_database, settings.database_url, clock=clock),
        *await asyncio.to_thread(_examine_secrets, settings, clock),
        *await _examine_bus(settings, clock),
        *await examine_issuers(settings, clock=clock),
        *with_faults(
            [examine_certificates(_CERTIFICATES, settings.upstream_ca_file)],
            await asyncio.to_thread(examine_served, _CERTIFICATES, _tls_servers(settings), clock),
        ),
        await _examine_key_tests(settings),
        *await examine_ports("control plane: ports", [rest, fleet], fleet, _ALIVE),
    ]


def _tls_servers(settings: ControlPlaneSettings) -> list[TlsServer]:
    return [
        *database_servers(settings.database_url),
        *backend_servers(settings.secret_store_url, settings.event_bus_url),
        *TlsServer.of_url("AIGW_PORTAL_ORIGIN", settings.portal_origin),
    ]


def _examine_secrets(settings: ControlPlaneSettings, clock: Clock) -> list[Finding]:
    if not is_vault_url(settings.secret_store_url):
        return [_examine_folder(settings.secret_folder)]
    url = settings.secret_store_url
    return examine_vault(_SECRETS, settings, url, VaultSecretWriter, SecretStoreError, clock=clock)


def _examine_folder(folder: Path) -> Finding:
    if reason := unwritable(folder):
        remedy = f"check AIGW_SECRET_STORE_URL, and {reason.remedy}"
        return Finding("FAIL", _SECRETS, reason.text, remedy)
    if not is_there(folder / KEY_FILE):
        return Finding("ok", _SECRETS, f"{folder} will get its key at the first start")
    try:
        read_key(folder)
    except SealError as error:
        return Finding("FAIL", _SECRETS, str(error), f"restore {folder / KEY_FILE}, mode 600")
    return Finding("ok", _SECRETS, f"{folder} is private and writable")


async def _examine_bus(settings: ControlPlaneSettings, clock: Clock) -> list[Finding]:
    if is_redis_url(settings.event_bus_url):
        return await examine_writer(_BUS, settings, settings.event_bus_url, clock=clock)
    remedy = "set AIGW_EVENT_BUS_URL=redis://…"
    found = "in-process; data planes of their own poll, and learn of changes in up to 12 s"
    return [Finding("warn", _BUS, found, remedy)]


async def _examine_key_tests(settings: ControlPlaneSettings) -> Finding:
    """Ask for the key test of an unknown integration, so that no stored key is used by the check."""
    name, setting = "control plane: key tests", "AIGW_DATA_PLANE_ADMIN_URL"
    if not settings.data_plane_admin_url:
        return Finding("ok", name, f"typed keys only: {setting} names no data plane that tests saved ones")
    probe = StoredKeyTester(settings.data_plane_admin_url, settings.internal_token, not_yet_seconds=0)
    try:
        provider = settings.offered_providers()[0].name
        await probe.probe(KeyTestRequest("aigw-doctor", provider, "aigw-doctor", 0))
    except NotTried as error:
        if error.reason == "token_refused":
            remedy = "give both planes the same AIGW_INTERNAL_TOKEN"
            return Finding("FAIL", name, "the data plane refuses this control plane", remedy)
        if error.reason == "no_answer":
            found = f"no data plane answers at {settings.data_plane_admin_url}"
            return Finding("warn", name, found, f"check {setting}, and that its admin port may be reached")
    finally:
        await probe.aclose()
    return Finding("ok", name, "a data plane tests saved keys")
