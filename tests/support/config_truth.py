"""Parts for tests of the data plane's configuration: a model of the control plane, and read-only stores.

`Truth` is the model: a table at a revision must hold the content of the truth at the same revision.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from services.data_plane.table.feed import SnapshotUnavailable
from services.data_plane.table.position import Position
from services.data_plane.table.secrets import SecretUnavailable
from shared.config_feed import Event, IntegrationRow, NodeRow, OrgRow, Snapshot
from shared.providers import PROVIDERS, ProviderName
from shared.secret import Secret
from shared.secret_document import SecretDocument

EPOCH = "epoch-1"


def row(
    org: str = "acme", provider: ProviderName = "openai", *, enabled: bool = True, version: int = 1
) -> IntegrationRow:
    return IntegrationRow(org, provider, enabled, version)


def document(
    org: str = "acme",
    provider: ProviderName = "openai",
    *,
    endpoint: str | None = None,
    key: str = "sk-test-key",
) -> SecretDocument:
    return SecretDocument(org, provider, endpoint or PROVIDERS[provider].default_endpoint, Secret(key))


@dataclass
class Truth:
    """Takes changes, counts revisions, and remembers the snapshot and the event of each."""

    epoch: str = EPOCH
    snapshots: list[Snapshot] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.snapshots.append(Snapshot(self.epoch, 0, (), (), ()))

    @property
    def now(self) -> Snapshot:
        return self.snapshots[-1]

    def put(self, new: IntegrationRow) -> Event:
        kept = self._without(new)
        return self._change("put_integration", new, integrations=(*kept, new))

    def clear(self, org: str, provider: ProviderName) -> Event:
        gone = row(org, provider, enabled=False)
        return self._change("clear_integration", gone, integrations=self._without(gone))

    def put_org(self, new: OrgRow) -> Event:
        kept = tuple(old for old in self.now.orgs if old.org != new.org)
        return self._change("put_org", new, orgs=(*kept, new))

    def remove_org(self, gone: OrgRow) -> Event:
        return self._change(
            "remove_org",
            gone,
            orgs=tuple(old for old in self.now.orgs if old.org != gone.org),
            integrations=tuple(old for old in self.now.integrations if old.org != gone.org),
        )

    def put_node(self, new: NodeRow) -> Event:
        kept = tuple(old for old in self.now.nodes if old.node != new.node)
        return self._change("put_node", new, nodes=(*kept, new))

    def remove_node(self, gone: NodeRow) -> Event:
        return self._change(
            "remove_node", gone, nodes=tuple(old for old in self.now.nodes if old.node != gone.node)
        )

    def _without(self, gone: IntegrationRow) -> tuple[IntegrationRow, ...]:
        key = (gone.org, gone.provider)
        return tuple(old for old in self.now.integrations if (old.org, old.provider) != key)

    def _change(self, op: str, what: object, **parts: object) -> Event:
        revision = self.now.revision + 1
        self.snapshots.append(replace(self.now, revision=revision, **parts))  # type: ignore[arg-type]  # by name
        event = Event(self.epoch, revision, op, **{op.partition("_")[2]: what})  # type: ignore[arg-type]  # same
        self.events.append(event)
        return event


class FakeSecretReader:
    """Gives the stored secrets, like any secret store; can be held up, and can break."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str, int], SecretDocument] = {}
        self.reads: list[tuple[str, str, int]] = []
        self.gate: asyncio.Event | None = None
        self.broken: Exception | None = None
        self.at_once = 0
        self.most_at_once = 0

    def put(self, version: int, stored: SecretDocument) -> None:
        self.documents[stored.org, stored.provider, version] = stored

    async def read(self, org: str, provider: ProviderName, version: int) -> SecretDocument:
        self.reads.append((org, provider, version))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.broken is not None:
                raise self.broken
            found = self.documents.get((org, provider, version))
            if found is None:
                raise SecretUnavailable("there is no such version")
            return found
        finally:
            self.at_once -= 1

    async def aclose(self) -> None:
        """Nothing is held."""


class FakeSnapshotSource:
    """Gives the present truth, or reports the truth as unavailable."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.down = False
        self.asked: list[Position | None] = []

    async def fetch(self, known: Position | None) -> Snapshot | None:
        self.asked.append(known)
        await asyncio.sleep(0)
        if self.down:
            raise SnapshotUnavailable("the test said so")
        now = self.truth.now
        return None if known == Position(now.epoch, now.revision) else now

    async def aclose(self) -> None:
        """Nothing is held."""
