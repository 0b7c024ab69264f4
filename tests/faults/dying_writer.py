"""A control plane's writer, dying by SIGKILL at a point of a change, in a process of its own.

    echo '{"org": …, "key": …}' | python -m tests.faults.dying_writer POINT

The adapters are the real ones, built from the environment of a control plane; a wrapper pulls the plug.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Collection, Mapping
from typing import Final, NoReturn

from aigw.embedded.banner import OWNER
from services.control_plane import bootstrap
from services.control_plane.api.integration_writes import IntegrationEdit, IntegrationWrites, Target
from services.control_plane.bus.port import Bus
from services.control_plane.kept_snapshot import KeptSnapshot
from services.control_plane.outbox import OutboxRelay
from services.control_plane.rules.endpoint import EndpointPolicy
from services.control_plane.rules.integration import KEEP
from services.control_plane.secrets.port import SecretWriter
from services.control_plane.settings import ControlPlaneSettings
from services.control_plane.store.database import Database
from services.control_plane.worker_threads import WorkerThreads
from shared.clock import unix_now
from shared.providers import ProviderName
from shared.secret import Secret
from shared.secret_document import SecretDocument

POINTS: Final = ("before the secret", "after the secret", "after the commit", "after the publication")


def die() -> NoReturn:
    """End this process as a power cut would: nothing is flushed, closed or rolled back by the process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")


class DyingSecretWriter:
    """A `SecretWriter`, dying before or after the write."""

    def __init__(self, real: SecretWriter, point: str) -> None:
        self._real = real
        self._point = point

    def write(self, document: SecretDocument, version: int) -> None:
        """See `SecretWriter`."""
        if self._point == "before the secret":
            die()
        self._real.write(document, version)
        if self._point == "after the secret":
            die()

    def keeps(self, org: str, provider: ProviderName, *, pinned: int, version: int) -> bool:
        """See `SecretWriter`."""
        return self._real.keeps(org, provider, pinned=pinned, version=version)

    def destroy(self, org: str, provider: ProviderName, through: int) -> None:
        """See `SecretWriter`."""
        self._real.destroy(org, provider, through)

    def stored(self, org: str, provider: ProviderName) -> Mapping[int, float]:
        """See `SecretWriter`."""
        return self._real.stored(org, provider)

    def destroy_versions(self, org: str, provider: ProviderName, versions: Collection[int]) -> None:
        """See `SecretWriter`."""
        self._real.destroy_versions(org, provider, versions)

    def close(self) -> None:
        """See `SecretWriter`."""
        self._real.close()


class DyingBus:
    """A `Bus`, dying once an event has arrived, so that the event is never marked."""

    def __init__(self, real: Bus) -> None:
        self._real = real

    async def require_usable(self) -> None:
        """Call the bus usable."""

    async def publish(self, revision: int, event: bytes) -> None:
        """See `Bus`."""
        await self._real.publish(revision, event)
        die()

    async def heartbeat(self, epoch: str, revision: int) -> None:
        """See `Bus`."""
        await self._real.heartbeat(epoch, revision)

    async def confirm_snapshot(self, epoch: str, revision: int) -> bool:
        """See `Bus`."""
        return await self._real.confirm_snapshot(epoch, revision)

    async def keep_snapshot(self, epoch: str, revision: int, body: bytes) -> None:
        """See `Bus`."""
        await self._real.keep_snapshot(epoch, revision, body)

    async def aclose(self) -> None:
        """See `Bus`."""
        await self._real.aclose()


def write(settings: ControlPlaneSettings, database: Database, point: str, org: str, key: Secret) -> None:
    """Give the org another key."""
    real, pepper = bootstrap._secret_store(settings)
    policy = EndpointPolicy(settings.allow_plain_http_endpoints, settings.address_exceptions)
    writer = DyingSecretWriter(real, point)
    writes = IntegrationWrites(database, writer, pepper, policy, unix_now)
    writes.patch(Target(org, "openai", OWNER, "*"), IntegrationEdit(key, KEEP, KEEP), {})


async def relay(settings: ControlPlaneSettings, database: Database) -> None:
    """Publish the committed events, and die in doing so."""
    bus = DyingBus(bootstrap._bus(settings, None))
    snapshots = KeptSnapshot(database, WorkerThreads("fleet", 1))
    signal_ = bootstrap._signal_of(database)
    await OutboxRelay(database, bus, signal_, unix_now, snapshots).relay_batch()


def main() -> None:
    """Make the change of stdin, as far as the point in the arguments."""
    point = sys.argv[1]
    assert point in POINTS, f"the point is one of {POINTS}"
    asked = json.load(sys.stdin)
    settings = ControlPlaneSettings()
    database = bootstrap._open_database(settings)
    write(settings, database, point, asked["org"], Secret(asked["key"]))
    if point == "after the commit":
        die()
    asyncio.run(relay(settings, database))


if __name__ == "__main__":
    main()
