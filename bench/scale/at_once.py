"""Measures the fleet's listener of a real control plane: how long many data planes wait after asking at once.

The control plane is a process as an operator starts it, on a database with a crowd of orgs.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert
from sqlmodel import SQLModel

from bench.scale.crowd import crowd
from services.control_plane.store import migrate
from services.control_plane.store.database import Database
from services.control_plane.store.snapshot import snapshot
from services.control_plane.store.tables import IntegrationTable, MemberTable, OrgTable
from shared.config_feed import Snapshot, decode_snapshot
from shared.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKERS: Final = 24
ROWS_AT_ONCE: Final = 10_000
START_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 300.0
PIECE_BYTES: Final = 256 * 1024
_FLEET_PORT: Final = re.compile(r"fleet on (\d+)")
_SETTLE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class AtOnce:
    """The result. Times in seconds, sizes in bytes.

    Attributes:
        dialect: of the database.
        read_seconds: for all rows of the snapshot, in one transaction.
        first_seconds, all_seconds: until the first, and until every asker had the whole snapshot.
        sent_bytes: to each asker, compressed.
        grown_bytes: the control plane's peak of resident memory, above the memory before the first request.
    """

    askers: int
    dialect: str
    read_seconds: float
    first_seconds: float
    all_seconds: float
    sent_bytes: int
    grown_bytes: int


def measure_at_once(orgs: int, askers: int = ASKERS, database_url: str = "") -> AtOnce:
    """Fill a database, at `database_url` (empty) or of SQLite's; start a control plane; ask."""
    with TemporaryDirectory(prefix="aigw-scale-") as folder:
        url = database_url or f"sqlite:///{folder}/control-plane.db"
        database = Database(url)
        migrate.upgrade(database)
        fill(database, crowd(orgs))
        began = time.perf_counter()
        with database.read() as session:
            integrations = len(snapshot(session).integrations)
        read_seconds = time.perf_counter() - began
        dialect = database.engine.dialect.name
        database.close()
        with _control_plane(Path(folder), url) as (pid, port, token):
            before = _memory(pid, "VmRSS")
            seconds, bodies = asyncio.run(_ask_all(port, token, askers))
            grown = _memory(pid, "VmHWM") - before
    for body in set(bodies):
        if len(decode_snapshot(gzip.decompress(body)).integrations) != integrations:
            raise AssertionError("an asker got another snapshot than the database has")
    return AtOnce(askers, dialect, read_seconds, min(seconds), max(seconds), len(bodies[0]), grown)


def fill(database: Database, made: Snapshot) -> None:
    """Insert the orgs, owners and integrations of a snapshot into an empty database."""
    at: dict[str, Any] = {"revision": 1, "updated_at": 1.0}
    key = {"key_last4": "wxyz", "key_fingerprint": "f" * 16, "updated_by": "x"}
    endpoints = {name: row.default_endpoint for name, row in PROVIDERS.items()}
    _insert(
        database, OrgTable, [{"org": org.org, "name": org.name, "removed": False, **at} for org in made.orgs]
    )
    people = [(org.org, email) for org in made.orgs for email in org.owners]
    _insert(
        database,
        MemberTable,
        [{"org": org, "email": email, "role": "owner", "updated_at": 1.0} for org, email in people],
    )
    _insert(
        database,
        IntegrationTable,
        [
            {
                "org": row.org,
                "provider": row.provider,
                "state": "enabled",
                "endpoint": endpoints[row.provider],
                "secret_version": row.secret_version,
                **key,
                **at,
            }
            for row in made.integrations
        ],
    )


def _insert(database: Database, table: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    with database.connection() as connection:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            connection.execute(insert(table), rows[start : start + ROWS_AT_ONCE])


@contextmanager
def _control_plane(folder: Path, database_url: str) -> Iterator[tuple[int, int, str]]:
    """Run a control plane inside; give its process id, the port of the fleet's listener, and the token."""
    token, log = secrets.token_urlsafe(24), folder / "log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIGW_")},  # noqa: TID251  # of a child
        "AIGW_ENVIRONMENT": "development",
        "AIGW_DATABASE_URL": database_url,
        "AIGW_SECRET_STORE_URL": f"local://{folder}/secrets",
        "AIGW_INTERNAL_TOKEN": token,
        "AIGW_CONTROL_PLANE_PORT": "0",
        "AIGW_INTERNAL_PORT": "0",
    }
    command = [sys.executable, "-P", "-m", "aigw", "control-plane"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (found := _FLEET_PORT.search(log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the control plane did not start:\n{log.read_text()}")
            time.sleep(0.05)
        time.sleep(_SETTLE_SECONDS)
        yield process.pid, int(found[1]), token
    finally:
        process.terminate()
        process.wait()


async def _ask_all(port: int, token: str, askers: int) -> tuple[list[float], list[bytes]]:
    """Ask by so many connections at once; give the waiting seconds of each, and the compressed bodies."""
    async with asyncio.timeout(ANSWER_SECONDS):
        began = time.perf_counter()
        found = await asyncio.gather(*(_ask(port, token, began) for _ in range(askers)))
    return [seconds for seconds, _ in found], [body for _, body in found]


async def _ask(port: int, token: str, began: float) -> tuple[float, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /internal/v1/snapshot HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
        "accept-encoding: gzip\r\nconnection: close\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise AssertionError(head.decode(errors="replace"))
    pieces = []
    while piece := await reader.read(PIECE_BYTES):
        pieces.append(piece)
    writer.close()
    return time.perf_counter() - began, b"".join(pieces)


def _memory(pid: int, name: str) -> int:
    """Give a line of /proc/PID/status in bytes: VmRSS now, VmHWM at its highest (proc(5))."""
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{name}:")
    )
    return int(line.split()[1]) * 1024
