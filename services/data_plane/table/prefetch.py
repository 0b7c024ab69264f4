"""Which secrets are read before anybody asks for them: those of a bounded number of orgs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.data_plane.table.slots import Slot

PREFETCH_MAX_ORGS: Final = 5_000


class Prefetch:
    """The first `max_orgs` orgs with an enabled integration have a place here."""

    def __init__(self, max_orgs: int) -> None:
        self._max_orgs = max_orgs
        self._orgs: set[str] = set()

    def emptied(self) -> Prefetch:
        """Give an empty instance with the same bound."""
        return Prefetch(self._max_orgs)

    def wants(self, slot: Slot) -> bool:
        """Whether the secret of `slot` should be read now, giving its org a free place if any.

        A replacement for a version in use is read whatever the places.
        """
        has_place = slot.row.enabled and self._has_place(slot.row.org)
        return slot.wants_secret and (has_place or slot.compiled is not None)

    def leave(self, org: str) -> None:
        """Free the place of a removed org."""
        self._orgs.discard(org)

    def _has_place(self, org: str) -> bool:
        if org in self._orgs:
            return True
        if len(self._orgs) >= self._max_orgs:
            return False
        self._orgs.add(org)
        return True
