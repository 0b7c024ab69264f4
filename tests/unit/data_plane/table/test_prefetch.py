"""Which secrets are read before anybody asks, where there are more orgs than places."""

from __future__ import annotations

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.secrets import SecretLoader
from shared.config_feed import OrgRow
from tests.support.config_truth import FakeSecretReader, Truth, document, row


class Place:
    """A table with places for two orgs."""

    def __init__(self) -> None:
        self.truth, self.reader = Truth(), FakeSecretReader()
        loader = SecretLoader(self.reader, monotonic=lambda: 1.0)
        self.table = ConfigTable(
            loader, clock=lambda: 1.0, max_age_seconds=1, allow_plain_http=False, prefetch_max_orgs=2
        )
        self.table.apply_snapshot(self.truth.now)

    def put(self, org: str, *, version: int = 1, enabled: bool = True) -> None:
        self.table.apply_event(self.truth.put(row(org, version=version, enabled=enabled)))


def test_only_the_first_orgs_are_read_in_advance_however_they_come() -> None:
    by_event, by_snapshot = Place(), Place()
    for org in ("a", "b", "c"):
        by_event.put(org)
        by_snapshot.truth.put(row(org))
    by_event.table.apply_event(by_event.truth.put(row("a", "anthropic")))
    by_snapshot.truth.put(row("a", "anthropic"))
    by_snapshot.table.apply_snapshot(by_snapshot.truth.now)
    expected = {("a", "openai"), ("b", "openai"), ("a", "anthropic")}
    assert set(by_event.table.wanted()) == set(by_snapshot.table.wanted()) == expected


def test_what_is_off_takes_no_place_and_what_is_gone_leaves_it() -> None:
    place = Place()
    place.put("off", enabled=False)
    for org in ("a", "b"):
        place.put(org)
    place.table.apply_event(place.truth.remove_org(OrgRow("a", "", ())))
    for org in ("c", "d"):
        place.put(org)
    assert place.table.wanted() == [("b", "openai"), ("c", "openai")]


async def test_whoever_has_no_place_is_served_at_first_use_and_kept_up_to_date() -> None:
    place = Place()
    for org in ("a", "b", "c"):
        place.put(org)
    assert place.table.look_up("c", "openai") is NotReady.LOADING
    place.reader.put(1, document("c"))
    await place.table.load("c", "openai")
    assert isinstance(place.table.look_up("c", "openai"), CompiledIntegration)
    place.put("c", version=2)
    assert ("c", "openai") in place.table.wanted(), "a key that is in use is read when it changes"


def test_a_snapshot_gives_the_places_of_those_who_are_gone_to_others() -> None:
    place = Place()
    for org in ("a", "b", "c"):
        place.put(org)
    place.truth.remove_org(OrgRow("a", "", ()))
    place.table.apply_snapshot(place.truth.now)
    place.put("d")
    place.put("e")
    assert len(place.table._prefetch._orgs) == 2
