"""Destroys the secrets of cleared integrations, again and again until the store confirms their end.

Clearing takes effect at the commit; this only makes the key itself disappear soon after.
"""

from __future__ import annotations

import logging
from typing import Final

from services.control_plane.recurring import repeat
from services.control_plane.secrets.port import SecretStoreError, SecretWriter
from services.control_plane.store import integrations
from services.control_plane.store.commit_signal import CommitSignal
from services.control_plane.store.database import Database

BATCH_SECRETS: Final = 100
POLL_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


class SecretSweep:
    """Works off the destructions demanded by the integration rows."""

    def __init__(self, database: Database, writer: SecretWriter, signal: CommitSignal) -> None:
        self._database = database
        self._writer = writer
        self._signal = signal

    async def run(self) -> None:
        """Sweep until cancelled; failures do not end the loop."""
        await repeat(
            self.sweep,
            lambda: self._signal.wait(POLL_SECONDS),
            "cleared secrets cannot be destroyed now",
            _log,
        )

    def sweep(self) -> int:
        """Destroy the pending versions; give how many are left.

        A failure does not hold up the other versions.
        """
        with self._database.read() as session:
            pending = integrations.pending_destructions(session, BATCH_SECRETS)
        left = 0
        for secret in pending:
            try:
                self._writer.destroy(secret.org, secret.provider, secret.through)
            except SecretStoreError as error:
                left += 1
                _log.warning(
                    "the cleared %s secret of %s is still there: %s", secret.provider, secret.org, error
                )
                continue
            with self._database.quiet_write() as session:
                integrations.destroyed(session, secret)
        return left
