"""Checks a data plane's backends: the control plane's snapshot, secrets, event bus, certificates, ports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httpx

from aigw.doctor.backend_servers import backend_servers
from aigw.doctor.certificates import examine_certificates, unreadable
from aigw.doctor.clocks import ClockReading, examine_clock, http_time
from aigw.doctor.finding import Finding, with_faults
from aigw.doctor.ports import Port, examine_ports
from aigw.doctor.redis import examine_reader
from aigw.doctor.served_certificates import TlsServer, examine_own, examine_served
from aigw.doctor.vault import examine_vault
from services.data_plane.table.feed import HttpSnapshotSource, SnapshotUnavailable
from services.data_plane.table.secrets import SecretUnavailable
from services.data_plane.table.vault_reader import VaultSecretReader
from shared.clock import unix_now
from shared.redis_link import is_redis_url
from shared.sealed_file import SealError, read_key
from shared.vault_target import is_vault_url

if TYPE_CHECKING:
    from pathlib import Path

    from services.data_plane.settings import DataPlaneSettings
    from shared.clock import Clock

_SNAPSHOT: Final = "data plane: snapshot"
_SECRETS: Final = "data plane: secrets"
_BUS: Final = "data plane: event bus"
_CERTIFICATES: Final = "data plane: certificates"
_ALIVE: Final = b"ok\n"
CLOCK_SECONDS: Final = 3.0


async def examine_data_plane(settings: DataPlaneSettings, *, clock: Clock = unix_now) -> list[Finding]:
    """Check everything named by the settings. `clock` is this machine's."""
    boxes = [
        Port(listener.host, listener.port, settings.box_option)
        for listener in settings.listeners()
        if listener.transport != "unix"
    ]
    admin = Port(settings.admin_host, settings.admin_port, "AIGW_ADMIN_PORT")
    return [
        *with_faults([await _examine_snapshot(settings)], await _examine_clock(settings, clock)),
        *await _examine_secrets(settings, clock),
        *await _examine_bus(settings, clock),
        *with_faults(
            [examine_certificates(_CERTIFICATES, settings.upstream_ca_file)],
            [
                *_examine_listeners(settings, clock),
                *await asyncio.to_thread(examine_served, _CERTIFICATES, _tls_servers(settings), clock),
            ],
        ),
        *await examine_ports("data plane: ports", [*boxes, admin], admin, _ALIVE),
    ]


def _tls_servers(settings: DataPlaneSettings) -> list[TlsServer]:
    return [
        *TlsServer.of_url("AIGW_CONTROL_PLANE_INTERNAL_URL", settings.control_plane_internal_url),
        *backend_servers(settings.secret_store_url, settings.event_bus_url),
    ]


def _examine_listeners(settings: DataPlaneSettings, clock: Clock) -> list[Finding]:
    """Check the certificate of box listeners, and the authorities of its clients."""
    certificate, key = settings.box_tls_certificate_file, settings.box_tls_key_file
    findings = examine_own(_CERTIFICATES, certificate, key, clock)
    if reason := unreadable(settings.box_tls_client_ca_file):
        remedy = "check AIGW_BOX_TLS_CLIENT_CA_FILE, and its mount"
        findings.append(Finding("FAIL", _CERTIFICATES, reason, remedy))
    return findings


async def _examine_clock(settings: DataPlaneSettings, clock: Clock) -> list[Finding]:
    """Compare the clock with the control plane's, as its answers tell."""
    url = f"{settings.control_plane_internal_url.rstrip('/')}/livez"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=CLOCK_SECONDS) as client:
            asked = clock()
            told = http_time((await client.get(url)).headers.get("date"))
    except (httpx.HTTPError, httpx.InvalidURL):
        return []  # the check of the snapshot tells why
    reading = None if told is None else ClockReading(told, asked, clock())
    server = "the control plane (AIGW_CONTROL_PLANE_INTERNAL_URL)"
    return examine_clock(_SNAPSHOT, server, reading)


async def _examine_snapshot(settings: DataPlaneSettings) -> Finding:
    source = HttpSnapshotSource(settings.control_plane_internal_url, settings.internal_token)
    try:
        snapshot = await source.fetch(None)
    except SnapshotUnavailable as error:
        remedy = "check AIGW_CONTROL_PLANE_INTERNAL_URL"
        if "401" in str(error):
            remedy = "give both planes the same AIGW_INTERNAL_TOKEN"
        return Finding("FAIL", _SNAPSHOT, str(error), remedy)
    finally:
        await source.aclose()
    assert snapshot is not None, "without a known position there is always one"
    found = f"revision {snapshot.revision}, {len(snapshot.integrations)} integrations"
    return Finding("ok", _SNAPSHOT, found)


async def _examine_secrets(settings: DataPlaneSettings, clock: Clock) -> list[Finding]:
    if not is_vault_url(settings.secret_store_url):
        return [_examine_folder(settings.secret_folder)]
    return await asyncio.to_thread(
        examine_vault,
        _SECRETS,
        settings,
        settings.secret_store_url,
        VaultSecretReader,
        SecretUnavailable,
        clock=clock,
    )


def _examine_folder(folder: Path) -> Finding:
    try:
        read_key(folder)
    except SealError as error:
        remedy = "start the control plane first, on the same folder and as the same user"
        return Finding("FAIL", _SECRETS, str(error), remedy)
    return Finding("ok", _SECRETS, f"{folder} opens")


async def _examine_bus(settings: DataPlaneSettings, clock: Clock) -> list[Finding]:
    if is_redis_url(settings.event_bus_url):
        return await examine_reader(_BUS, settings, settings.event_bus_url, clock=clock)
    found = "none that another process writes; changes are polled, and live in up to 12 s"
    return [Finding("warn", _BUS, found, "set AIGW_EVENT_BUS_URL=redis://…")]
