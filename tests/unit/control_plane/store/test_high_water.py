"""A process remembers the committed positions seen so far."""

from __future__ import annotations

from services.control_plane.store.high_water import MAX_ENDED_EPOCHS, HighWater


def test_a_position_below_the_highest_of_its_epoch_has_lost_commits() -> None:
    seen = HighWater()
    assert not seen.is_above("a", 1)
    seen.note("a", 5)
    seen.note("a", 3)
    assert seen.is_above("a", 4)
    assert not seen.is_above("a", 5)
    assert not seen.is_above("b", 1)


def test_an_epoch_that_has_ended_never_comes_back() -> None:
    seen = HighWater()
    seen.note("a", 5)
    seen.note("b", 2)
    assert seen.is_above("a", 9)
    seen.note("a", 9)
    assert seen.is_above("b", 1)


def test_only_the_latest_ended_epochs_are_remembered() -> None:
    seen = HighWater()
    for number in range(MAX_ENDED_EPOCHS + 2):
        seen.note(f"epoch-{number}", 1)
    assert not seen.is_above("epoch-0", 1)
    assert seen.is_above("epoch-1", 1)
