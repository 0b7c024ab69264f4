"""The table's next state: a snapshot is applied in slices beside the table while the table keeps serving.

A snapshot of 100,000 orgs takes half a second to take in. Nothing here is looked up by a request: once
everything is built, the table takes the replacement over in a single step.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from services.data_plane.table.node_keys import NodeKeys
from services.data_plane.table.slots import Key, Slot
from shared.providers import PROVIDERS, ProviderName

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from services.data_plane.table.prefetch import Prefetch
    from shared.config_feed import IntegrationRow, OrgRow, Snapshot

SLICE_ROWS: Final = 500
"""How many rows are taken in between two moments at which others may run: a millisecond or two."""

Slots = dict[ProviderName, dict[str, Slot]]
_Item = TypeVar("_Item")


class Replacement:
    """`slices` builds the replacement.

    Then `judge_changed_again` what has changed in the table meanwhile, and take it over.

    Attributes:
        slots, orgs, nodes, prefetch: the table's next contents.
        wanted: the secrets to be read, not yet wished for by the table.
        settled: the integrations whose old wish and unusable secret mean nothing any more.
        cuts: the integrations whose running streams must not go on.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        slots: Slots,
        orgs: Mapping[str, OrgRow],
        nodes: NodeKeys,
        prefetch: Prefetch,
        pending: Iterable[Container[Key]],
        forget_failure: Callable[[IntegrationRow], None],
    ) -> None:
        self._snapshot = snapshot
        self._old_slots = slots
        self._old_orgs = orgs
        self._old_nodes = nodes
        self._pending = tuple(pending)
        self._forget_failure = forget_failure
        self._changed: dict[Key, None] = {}
        self.slots: Slots = {name: {} for name in PROVIDERS}
        self.orgs: dict[str, OrgRow] = {}
        self.nodes = NodeKeys()
        self.prefetch = prefetch.emptied()
        self.wanted: dict[Key, None] = {}
        self.settled: set[Key] = set()
        self.cuts: dict[Key, None] = {}

    def mark_changed(self, key: Key) -> None:
        """Note a change of the table since the beginning of this replacement."""
        self._changed[key] = None

    def slices(self, rows_per_slice: int) -> Iterator[None]:
        """Build the replacement, with a pause after every so many rows."""
        for rows in sliced(self._snapshot.integrations, rows_per_slice):
            for row in rows:
                self._take((row.org, row.provider), row)
            yield
        for provider, by_org in self._old_slots.items():
            for names in sliced(tuple(by_org), rows_per_slice):
                for name in names:
                    if name not in self.slots[provider]:
                        self._take((name, provider), None)
                yield
        for orgs in sliced(self._snapshot.orgs, rows_per_slice):
            self.orgs |= {org.org: self._known_or(org) for org in orgs}
            yield
        for nodes in sliced(self._snapshot.nodes, rows_per_slice):
            for node in nodes:
                self.nodes.add(node, self._old_nodes)
            yield
        self.nodes.publish()

    def judge_changed_again(self) -> None:
        """Judge again the table's changes since: a few events, and received secrets."""
        for key in self._changed:
            org, provider = key
            for notes in (self.wanted, self.cuts):
                notes.pop(key, None)
            self.settled.discard(key)
            built = self.slots[provider].get(org)
            self._take(key, None if built is None else built.row)

    def _known_or(self, new: OrgRow) -> OrgRow:
        """Keep an unchanged known row, so that 100,000 objects are not freed at once."""
        known = self._old_orgs.get(new.org)
        return known if known is not None and known == new else new

    def _take(self, key: Key, row: IntegrationRow | None) -> None:
        """Decide about an integration; `row` is the snapshot's row."""
        org, provider = key
        old = self._old_slots[provider].get(org)
        if row is None:
            self._drop(key, old)
        elif old is not None and old.matches(row):
            self.slots[provider][org] = old
            self.prefetch.wants(old)  # it keeps its place; its wish stands in the table
        else:
            self._forget_failure(row)
            new = self.slots[provider][org] = Slot(row) if old is None else old.succeeded_by(row)
            if self.prefetch.wants(new):
                self.wanted[key] = None
            self._settle(key)
            if old is not None and old.row.enabled and not row.enabled:
                self.cuts[key] = None

    def _drop(self, key: Key, old: Slot | None) -> None:
        if old is not None:
            self._settle(key)
            self.cuts[key] = None

    def _settle(self, key: Key) -> None:
        if any(key in noted for noted in self._pending):
            self.settled.add(key)


def sliced(rows: tuple[_Item, ...], rows_per_slice: int) -> Iterator[tuple[_Item, ...]]:
    """Cut rows into slices."""
    left = iter(rows)
    while some := tuple(islice(left, rows_per_slice)):
        yield some
