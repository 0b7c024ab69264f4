"""Prefaces hold a valid token, minted ahead and shown nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.node_agent.rules.attachment import Address, AddressListen, Attachment
from services.node_agent.tokens import LIFE_SECONDS, RENEW_SECONDS, Minter
from shared.box_token import Box, verify

KEY = Ed25519PrivateKey.generate()
ATTACHMENT = Attachment("box-1", "acme", "life-1", AddressListen(Address("127.0.0.1", 1000)))
_BEFORE_TOKEN = 19


@dataclass
class _Time:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def _proved(preface: bytes, now: float) -> Box:
    return verify(preface[_BEFORE_TOKEN:], {"kid-1": KEY.public_key()}, now)


def test_a_preface_proves_the_box_its_org_and_its_life() -> None:
    time = _Time()
    preface = Minter(KEY, "kid-1", time).preface_of(ATTACHMENT)
    assert _proved(preface.current(), time.now) == Box(
        "acme", "box-1", "life-1", time.now + LIFE_SECONDS, "kid-1"
    )


def test_a_new_connection_signs_nothing_while_the_token_has_life() -> None:
    time = _Time()
    minter = Minter(KEY, "kid-1", time)
    preface = minter.preface_of(ATTACHMENT)
    for _ in range(1_000):
        preface.current()
    assert minter.minted == 1


def test_a_token_is_renewed_ahead_and_only_then() -> None:
    time = _Time()
    preface = Minter(KEY, "kid-1", time).preface_of(ATTACHMENT)
    time.now += RENEW_SECONDS - 1
    assert not preface.renew()
    time.now += 1
    assert preface.renew()
    assert _proved(preface.current(), time.now).expires_at == time.now + LIFE_SECONDS


def test_a_preface_is_valid_even_when_no_renewal_came_or_the_clock_was_set_back() -> None:
    time = _Time()
    preface = Minter(KEY, "kid-1", time).preface_of(ATTACHMENT)
    for step in (10_000, -50_000, 280):
        time.now += step
        assert _proved(preface.current(), time.now).box == "box-1"


def test_no_token_is_in_what_a_preface_shows_of_itself() -> None:
    preface = Minter(KEY, "kid-1", _Time()).preface_of(ATTACHMENT)
    assert repr(preface) == "Preface(box='box-1')"
