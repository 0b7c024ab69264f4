"""A config table following a truth, for the tests of the table's content."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.position import Decision
from services.data_plane.table.prefetch import PREFETCH_MAX_ORGS
from services.data_plane.table.secrets import SecretLoader
from shared.providers import ProviderName
from tests.support.config_truth import FakeSecretReader, Truth, document, row

MAX_AGE_SECONDS = 100.0


@dataclass
class TableBench:
    """A table with the truth to follow, a store, and a clock."""

    prefetch: bool = True
    truth: Truth = field(default_factory=Truth)
    reader: FakeSecretReader = field(default_factory=FakeSecretReader)
    now: float = 1_000.0
    cuts: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = ConfigTable(
            SecretLoader(self.reader, monotonic=lambda: self.now),
            clock=lambda: self.now,
            max_age_seconds=MAX_AGE_SECONDS,
            allow_plain_http=False,
            prefetch_max_orgs=PREFETCH_MAX_ORGS if self.prefetch else 0,
        )
        self.table.subscribe(lambda org, provider: self.cuts.append((org, provider)))

    def snapshot(self) -> Decision:
        return self.table.apply_snapshot(self.truth.now)

    def follow(self) -> None:
        """Apply every event not yet seen by the table."""
        assert self.table.position is not None
        for event in self.truth.events[self.table.position.revision :]:
            assert self.table.apply_event(event) is Decision.ACCEPT

    def found(self, org: str = "acme", provider: ProviderName = "openai") -> CompiledIntegration | NotReady:
        return self.table.look_up(org, provider)

    async def loaded(self, version: int = 1, **secret: str) -> CompiledIntegration:
        """Set up acme's OpenAI with this version, and load the key."""
        self.reader.put(version, document(**secret))  # type: ignore[arg-type]  # texts by name
        self.truth.put(row(version=version))
        if self.table.position is None:
            self.snapshot()
        self.follow()
        await self.table.load("acme", "openai")
        found = self.found()
        assert isinstance(found, CompiledIntegration)
        return found
