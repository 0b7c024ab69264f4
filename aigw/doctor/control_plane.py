"""Checks a control plane's backends: database, secret store, event bus, issuers' keys, data plane, ports."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aigw.doctor.finding import Finding
from aigw.doctor.ports import Port, examine_ports
from aigw.doctor.redis import examine_writer
from aigw.doctor.vault import examine_vault
from services.control_plane.provider_probe.stored_key import NotTried, StoredKeyProbe
from services.control_plane.secrets.port import SecretStoreError
from services.control_plane.secrets.vault import VaultSecretWriter
from services.control_plane.store import migrate
from services.control_plane.store.database import Database
from shared.key_trial import TrialRequest
from shared.redis_link import is_redis_url
from shared.sealed_file import KEY_FILE, SealError, read_key
from shared.vault_target import is_vault_url

if TYPE_CHECKING:
    from pathlib import Path

    from services.control_plane.settings import ControlPlaneSettings

_DATABASE: Final = "control plane: database"
_SECRETS: Final = "control plane: secrets"
_BUS: Final = "control plane: event bus"


async def examine_control_plane(settings: ControlPlaneSettings) -> list[Finding]:
    """Check everything that the settings name."""
    rest = Port(settings.control_plane_host, settings.control_plane_port, "AIGW_CONTROL_PLANE_PORT")
    fleet = Port(settings.internal_host, settings.internal_port, "AIGW_INTERNAL_PORT")
    return [
        await asyncio.to_thread(_examine_database, settings.database_url),
        *await asyncio.to_thread(_examine_secrets, settings),
        *await _examine_bus(settings),
        *_examine_issuers(settings),
        await _examine_key_tests(settings),
        *await examine_ports("control plane: ports", [rest, fleet], fleet),
    ]


def _examine_database(url: str) -> Finding:
    if url.startswith("sqlite:") and not os.path.exists(url.removeprefix("sqlite:///")):  # noqa: PTH110  # a text
        return Finding("ok", _DATABASE, "a new file will be made at the first start")
    try:
        database = Database(url)
        try:
            with database.connection() as connection:
                read_only = connection.dialect.name == "postgresql" and (
                    connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on"
                )
            there, newest = migrate.current(database), migrate.newest()
        finally:
            database.close()
    except (DBAPIError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        return Finding("FAIL", _DATABASE, f"it cannot be used ({reason})", "check AIGW_DATABASE_URL")
    if read_only:
        remedy = "point AIGW_DATABASE_URL at the primary"
        return Finding("FAIL", _DATABASE, "it only takes reads; is it a standby?", remedy)
    if there != newest and not url.startswith("sqlite:"):
        found = f"its schema is {there or 'empty'}, this program's is {newest}"
        return Finding("FAIL", _DATABASE, found, "run: aigw db upgrade")
    return Finding("ok", _DATABASE, f"reachable and writable, schema {there}")


def _examine_secrets(settings: ControlPlaneSettings) -> list[Finding]:
    if not is_vault_url(settings.secret_store_url):
        return [_examine_folder(settings.secret_folder)]
    return examine_vault(_SECRETS, settings, settings.secret_store_url, VaultSecretWriter, SecretStoreError)


def _examine_folder(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return Finding("FAIL", _SECRETS, f"{there} is not a folder that this user may write", "give it to it")
    if not (folder / KEY_FILE).exists():
        return Finding("ok", _SECRETS, f"{folder} will get its key at the first start")
    try:
        read_key(folder)
    except SealError as error:
        return Finding("FAIL", _SECRETS, str(error), f"restore {folder / KEY_FILE}, mode 600")
    return Finding("ok", _SECRETS, f"{folder} is private and writable")


async def _examine_bus(settings: ControlPlaneSettings) -> list[Finding]:
    if is_redis_url(settings.event_bus_url):
        return await examine_writer(_BUS, settings, settings.event_bus_url)
    remedy = "set AIGW_EVENT_BUS_URL=redis://…"
    found = "in-process; data planes of their own poll, and learn of changes in up to 12 s"
    return [Finding("warn", _BUS, found, remedy)]


def _examine_issuers(settings: ControlPlaneSettings) -> list[Finding]:
    name = "control plane: sign-in"
    if not settings.issuers and not settings.oidc_issuer:
        return [Finding("warn", name, "nobody can sign in", "set AIGW_ISSUERS or AIGW_OIDC_ISSUER")]
    files = [issuer.jwks_file for issuer in settings.issuers if issuer.jwks_file is not None]
    unreadable = [path for path in files if not os.access(path, os.R_OK)]
    if unreadable:
        return [Finding("FAIL", name, f"{path} cannot be read", "see AIGW_ISSUERS") for path in unreadable]
    return [Finding("ok", name, f"{len(settings.issuers) + bool(settings.oidc_issuer)} issuers")]


async def _examine_key_tests(settings: ControlPlaneSettings) -> Finding:
    """Ask for the test of a key that nobody has: whoever says so would test one that somebody has."""
    name, setting = "control plane: key tests", "AIGW_DATA_PLANE_ADMIN_URL"
    if not settings.data_plane_admin_url:
        return Finding("ok", name, f"typed keys only: {setting} names no data plane that tests saved ones")
    probe = StoredKeyProbe(settings.data_plane_admin_url, settings.internal_token, not_yet_seconds=0)
    try:
        await probe.probe(TrialRequest("aigw-doctor", "openai", "aigw-doctor", 0))
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
