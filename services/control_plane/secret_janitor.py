"""Destroys versions of secrets pinned by no row: left by writes without a commit, or replaced long ago.

Slow on purpose: every integration costs a call of the store, and nothing waits for the result. The remains of
a cleared integration belong to `secret_sweep`: the sweep destroys them at once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from services.control_plane.recurring import repeat
from services.control_plane.rules.secret_versions import superfluous
from services.control_plane.secrets.port import SecretStoreError, SecretWriter
from services.control_plane.store import janitor_round, secret_pins
from services.control_plane.store.database import Database
from shared.clock import Clock

BATCH_ORGS: Final = 20
PAUSE_SECONDS: Final = 10.0
"""Between two batches: with two providers an org, four questions a second from each replica."""
ROUND_SECONDS: Final = 6 * 3_600.0

_log = logging.getLogger(__name__)


class SecretJanitor:
    """Goes round all orgs, in turns with the other processes."""

    def __init__(self, database: Database, writer: SecretWriter, clock: Clock) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    async def run(self) -> None:
        """Go round until cancelled; failures do not end the loop."""
        await repeat(
            self.tidy_batch, lambda: asyncio.sleep(PAUSE_SECONDS), "stored secrets cannot be tidied now", _log
        )

    def tidy_batch(self) -> int:
        """Tidy the next orgs; give how many versions were destroyed.

        Raises:
            SecretStoreError: the store failed; these orgs come again in the next round.
        """
        now = self._clock()
        with self._database.quiet_write() as session:
            orgs = janitor_round.claim(session, limit=BATCH_ORGS, now=now, round_seconds=ROUND_SECONDS)
        if not orgs:
            return 0
        with self._database.read() as session:
            pins = secret_pins.of(session, orgs)
        gone = 0
        for (org, provider), pin in pins.items():
            try:
                # The rows were read first: a version that was pinned since is younger than any grace.
                versions = superfluous(pin, self._writer.stored(org, provider), now)
                self._writer.destroy_versions(org, provider, versions)
            except SecretStoreError as error:
                _log.warning("the %s secrets of %s were not tidied: %s", provider, org, error)
                continue
            if versions:
                _log.info("destroyed %d unused %s secrets of %s", len(versions), provider, org)
            gone += len(versions)
        return gone
