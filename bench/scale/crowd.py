"""A made-up configuration of many orgs, and a secret store in memory with all their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.config_feed import Event, IntegrationRow, NodeRow, OrgRow, Snapshot
from shared.providers import DEFAULT_OFFER, PROVIDERS
from shared.secret import Secret
from shared.secret_document import SecretDocument

if TYPE_CHECKING:
    from shared.providers import ProviderName

EPOCH: Final = "f" * 32
NODES: Final = 100
_KEY_CHARS: Final = 120


def crowd(orgs: int) -> Snapshot:
    """Make a snapshot: each org has both providers, a name and two owners."""
    names = [f"org-{number:08x}" for number in range(orgs)]
    return Snapshot(
        EPOCH,
        orgs * 5,
        tuple(
            IntegrationRow(org, provider, enabled=True, secret_version=3)
            for org in names
            for provider in DEFAULT_OFFER
        ),
        tuple(OrgRow(org, f"The {org} Company", (f"a@{org}.example", f"b@{org}.example")) for org in names),
        tuple(NodeRow(f"node-{number}", f"kid-{number}", "A" * 43) for number in range(NODES)),
    )


def toggles(snapshot: Snapshot, number: int) -> list[Event]:
    """Make the next `number` events: each event switches off an integration of the next org."""
    rows = snapshot.integrations
    return [
        Event(
            snapshot.epoch,
            snapshot.revision + 1 + index,
            "put_integration",
            IntegrationRow(row.org, row.provider, enabled=False, secret_version=3),
        )
        for index, row in enumerate(rows[:number])
    ]


class EveryKey:
    """A `SecretReader` with a key of its own for everybody."""

    async def read(self, org: str, provider: ProviderName, version: int) -> SecretDocument:
        """See `SecretReader.read`."""
        key = f"sk-{org}-{provider}-{version}".ljust(_KEY_CHARS, "x")
        return SecretDocument(org, provider, PROVIDERS[provider].default_endpoint, Secret(key))

    async def aclose(self) -> None:
        """Nothing is held."""
