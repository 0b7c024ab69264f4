"""An integration in the table: its row, its compiled form, and the answer to a look-up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.core.integration import CompiledIntegration, NotReady
from shared.providers import ProviderName

if TYPE_CHECKING:
    from shared.config_feed import IntegrationRow

Key = tuple[str, ProviderName]
"""(org, provider)."""


class Slot:
    """Another row makes another slot, so the builder of a new table may keep the slots of this table."""

    __slots__ = ("answer", "compiled", "row")

    def __init__(self, row: IntegrationRow, compiled: CompiledIntegration | None = None) -> None:
        self.row = row
        self.compiled = compiled
        self.answer: CompiledIntegration | NotReady = NotReady.LOADING
        self.settle()

    def settle(self) -> None:
        """Work out the answer after the compiled integration has changed."""
        if not self.row.enabled:
            self.answer = NotReady.DISABLED
        else:
            self.answer = self.compiled or NotReady.LOADING

    def succeeded_by(self, row: IntegrationRow) -> Slot:
        """Give the slot of the same integration's next row."""
        following = Slot(row, self.compiled)
        if not (self.row.enabled and row.enabled) and following.wants_another_than_it_has:
            # The last good version serves on across a change of what is running. What was switched off in
            # between was switched off to be replaced: it must not come back.
            following.compiled = None
            following.settle()
        return following

    def matches(self, row: IntegrationRow) -> bool:
        """Compare with a row of the same integration; a fifth of the price of comparing dataclasses."""
        return self.row.enabled is row.enabled and self.row.secret_version == row.secret_version

    @property
    def key(self) -> Key:
        """(org, provider)."""
        return self.row.org, self.row.provider

    @property
    def wants_secret(self) -> bool:
        """Whether the pinned version still has to be read."""
        return self.row.enabled and (self.compiled is None or self.wants_another_than_it_has)

    @property
    def wants_another_than_it_has(self) -> bool:
        """Whether the compiled version differs from the pinned version."""
        return self.compiled is not None and self.compiled.secret_version != self.row.secret_version
