"""A message signed for the feed opens unchanged, by each accepted key, and as nothing else."""

from __future__ import annotations

import random
from typing import Final

import pytest

from shared.config_feed import Event, IntegrationRow, NodeRow, encode_event
from shared.feed_signature import MAX_KEYS, FeedKeys, ForgedError, Kind
from shared.secret import Secret

OLD: Final = "old-feed-key-0123456789abcdefghij"
NEW: Final = "new-feed-key-0123456789abcdefghij"
MUTATIONS: Final = 100_000
EVENTS: Final = (
    Event("e", 7, "put_integration", integration=IntegrationRow("acme", "openai", True, 3)),  # by place
    Event("e", 7, "put_node", node=NodeRow("node", "kid", "k" * 43)),
)


def keys(*texts: str) -> FeedKeys:
    return FeedKeys(Secret(",".join(texts)))


def test_what_was_signed_opens_as_it_was() -> None:
    for kind, place in (("event", 7), ("heartbeat", 0), ("snapshot", 0)):
        signed = keys(OLD).sign(kind, b"payload", place=place)  # type: ignore[arg-type]  # one of the kinds
        assert keys(OLD).open(kind, signed, place=place) == b"payload"  # type: ignore[arg-type]  # same


@pytest.mark.parametrize(("kind", "place"), [("heartbeat", 7), ("snapshot", 7), ("event", 8), ("event", 0)])
def test_it_opens_as_no_other_kind_and_at_no_other_place(kind: Kind, place: int) -> None:
    signed = keys(OLD).sign("event", b"payload", place=7)
    with pytest.raises(ForgedError):
        keys(OLD).open(kind, signed, place=place)


def test_keys_are_rotated_with_an_overlap() -> None:
    first, both, turned, last = keys(OLD), keys(OLD, NEW), keys(NEW, OLD), keys(NEW)
    for signer, readers in ((first, (both, turned)), (both, (first, turned)), (turned, (both, last))):
        for reader in readers:
            assert reader.open("event", signer.sign("event", b"x")) == b"x"
    with pytest.raises(ForgedError):
        last.open("event", first.sign("event", b"x"))


@pytest.mark.parametrize("text", ["", " ", "short", f"{OLD},short", ",".join([OLD] * (MAX_KEYS + 1))])
def test_keys_that_are_none_too_short_or_too_many_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(ValueError, match="feed key") as found:
        FeedKeys(Secret(text))
    assert "short" not in str(found.value)


def test_a_file_may_have_a_key_a_line() -> None:
    assert FeedKeys(Secret(f"{NEW}\n{OLD}\n")).open("event", keys(OLD).sign("event", b"x")) == b"x"


def test_of_a_hundred_thousand_mutations_none_opens() -> None:
    dice = random.Random(18)
    accepted = keys(NEW, OLD)
    originals = [accepted.sign("event", encode_event(event), place=7) for event in EVENTS]
    opened = 0
    for number in range(MUTATIONS):
        signed = originals[number % len(originals)]
        mutated = mutate(dice, signed)
        if mutated == signed:
            continue
        try:
            accepted.open("event", mutated, place=7)
        except ForgedError:
            continue
        opened += 1
    assert opened == 0


def mutate(dice: random.Random, signed: bytes) -> bytes:
    """Change a byte, cut, repeat, swap the payload, or take the signature away."""
    at = dice.randrange(len(signed))
    match dice.randrange(6):
        case 0:
            return signed[:at] + bytes([signed[at] ^ (1 << dice.randrange(8))]) + signed[at + 1 :]
        case 1:
            return signed[:at] + signed[at + 1 :]
        case 2:
            return signed[:at] + bytes([dice.randrange(256)]) + signed[at:]
        case 3:
            return signed[:at]
        case 4:
            return signed[: signed.index(b" ", 3) + 1] + encode_event(dice.choice(EVENTS))[: at + 1]
        case _:
            return signed[signed.index(b" ", 3) + 1 :]
