"""Checks a data plane's backends: the control plane's snapshot, secrets, event bus, certificates, ports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aigw.doctor.certificates import examine_certificates
from aigw.doctor.finding import Finding
from aigw.doctor.ports import Port, examine_ports
from aigw.doctor.redis import examine_reader
from aigw.doctor.vault import examine_vault
from services.data_plane.table.feed import HttpSnapshotSource, SnapshotUnavailable
from services.data_plane.table.secrets import SecretUnavailable
from services.data_plane.table.vault_reader import VaultSecretReader
from shared.redis_link import is_redis_url
from shared.sealed_file import SealError, read_key
from shared.vault_target import is_vault_url

if TYPE_CHECKING:
    from pathlib import Path

    from services.data_plane.settings import DataPlaneSettings

_SNAPSHOT: Final = "data plane: snapshot"
_SECRETS: Final = "data plane: secrets"
_BUS: Final = "data plane: event bus"


async def examine_data_plane(settings: DataPlaneSettings) -> list[Finding]:
    """Check everything named by the settings."""
    boxes = [
        Port(listener.host, listener.port, settings.box_option)
        for listener in settings.listeners()
        if listener.transport != "unix"
    ]
    admin = Port(settings.admin_host, settings.admin_port, "AIGW_ADMIN_PORT")
    return [
        await _examine_snapshot(settings),
        *await _examine_secrets(settings),
        *await _examine_bus(settings),
        examine_certificates("data plane: certificates", settings.upstream_ca_file),
        *await examine_ports("data plane: ports", [*boxes, admin], admin),
    ]


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


async def _examine_secrets(settings: DataPlaneSettings) -> list[Finding]:
    if not is_vault_url(settings.secret_store_url):
        return [_examine_folder(settings.secret_folder)]
    return await asyncio.to_thread(
        examine_vault, _SECRETS, settings, settings.secret_store_url, VaultSecretReader, SecretUnavailable
    )


def _examine_folder(folder: Path) -> Finding:
    try:
        read_key(folder)
    except SealError as error:
        remedy = "start the control plane first, on the same folder and as the same user"
        return Finding("FAIL", _SECRETS, str(error), remedy)
    return Finding("ok", _SECRETS, f"{folder} opens")


async def _examine_bus(settings: DataPlaneSettings) -> list[Finding]:
    if is_redis_url(settings.event_bus_url):
        return await examine_reader(_BUS, settings, settings.event_bus_url)
    found = "none that another process writes; changes are polled, and live in up to 12 s"
    return [Finding("warn", _BUS, found, "set AIGW_EVENT_BUS_URL=redis://…")]
