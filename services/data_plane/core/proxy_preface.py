"""Reads the preface of a box connection: a PROXY protocol v2 header whose TLV 0xE7 holds the box's token.

Strict on purpose, because a preface decides whose key is used: a single version, known families, exactly one
TLV, exact lengths, a bounded size. A listener expects a preface or does not; nothing is ever detected.
Source: the PROXY protocol specification of haproxy, section 2.2; constants and the encoder are
`shared/proxy_preface.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.box_token import MAX_TOKEN_BYTES
from shared.proxy_preface import (
    ADDRESS_BYTES,
    COMMAND_LOCAL,
    COMMAND_PROXY,
    FIXED_HEADER_BYTES,
    MAX_PREFACE_BYTES,
    SIGNATURE,
    TLV_BOX_TOKEN,
    TLV_HEAD_BYTES,
    VERSION,
)

_VERSION_MASK: Final = 0xF0
_COMMAND_MASK: Final = 0x0F


@dataclass(frozen=True, slots=True)
class Preface:
    """A whole preface.

    Attributes:
        token: the TLV's value, not verified; None for the command LOCAL, a sender's own connection, which
            never carries a box's requests.
        size: its bytes; the bytes behind are the box's.
    """

    token: bytes | None
    size: int


class NoPreface(ValueError):  # noqa: N818  # a finding about the sender
    """The bytes are not the beginning of a preface: perhaps a request of a sender without prefaces."""


class BadPreface(ValueError):  # noqa: N818  # same
    """The bytes begin like a preface and are none. The rest has no known beginning."""


def read_preface(data: bytes) -> Preface | None:
    """Give the preface at the beginning of `data`; None while more bytes are needed.

    Judges as early as possible, so never more than `MAX_PREFACE_BYTES` have to be kept.

    Raises:
        NoPreface, BadPreface: no further bytes can complete a preface.
    """
    if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
        raise NoPreface("no PROXY protocol v2 header came first")
    if len(data) < FIXED_HEADER_BYTES:
        _check_begun(data)
        return None
    command, address_bytes = _check_begun(data), ADDRESS_BYTES[data[13]]
    length = int.from_bytes(data[14:16], "big")
    size = FIXED_HEADER_BYTES + length
    if size > MAX_PREFACE_BYTES:
        raise BadPreface("the preface is too long")
    if length < address_bytes:
        raise BadPreface("the preface is shorter than its addresses")
    if len(data) < size:
        return None
    if command == COMMAND_LOCAL:
        return Preface(None, size)
    return Preface(_only_token(data[FIXED_HEADER_BYTES + address_bytes : size]), size)


def _check_begun(data: bytes) -> int:
    """Judge version, command and family as far as received; gives the command, or -1."""
    after = data[len(SIGNATURE) : len(SIGNATURE) + 2]
    command = -1
    if after:
        command = after[0] & _COMMAND_MASK
        if after[0] & _VERSION_MASK != VERSION:
            raise BadPreface("the preface is of another version than 2")
        if command not in {COMMAND_LOCAL, COMMAND_PROXY}:
            raise BadPreface("the preface has an unknown command")
    if len(after) > 1 and after[1] not in ADDRESS_BYTES:
        raise BadPreface("the preface has an unknown family")
    return command


def _only_token(tlvs: bytes) -> bytes:
    """Give the value of the only TLV, a token filling the preface exactly."""
    if len(tlvs) <= TLV_HEAD_BYTES:
        raise BadPreface("the preface holds no token")
    if tlvs[0] != TLV_BOX_TOKEN:
        raise BadPreface("the preface holds something else than a token")
    token = tlvs[TLV_HEAD_BYTES:]
    if int.from_bytes(tlvs[1:TLV_HEAD_BYTES], "big") != len(token):
        raise BadPreface("the preface holds more or less than one token")
    if len(token) > MAX_TOKEN_BYTES:
        raise BadPreface("the preface's token is too long")
    return token
