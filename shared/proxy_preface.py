"""The preface of a box connection: a PROXY protocol v2 header whose TLV 0xE7 holds the box's signed token.

Constants of the wire format and the encoder, which the node agent uses. The strict parser lies in the data
plane's core. Source: the PROXY protocol specification of haproxy, section 2.2.
"""

from __future__ import annotations

import struct
from typing import Final, Literal

from shared.box_token import MAX_TOKEN_BYTES

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
"""The first twelve bytes of every PROXY protocol v2 header."""

FIXED_HEADER_BYTES: Final = 16
"""Signature, version with command, family with transport, length of the rest (16 bits, big endian)."""

MAX_PREFACE_BYTES: Final = 2_560
"""The whole header at most: a token of 2,048 bytes, addresses and a few other TLVs fit."""

VERSION: Final = 0x20
COMMAND_LOCAL: Final = 0x00
COMMAND_PROXY: Final = 0x01
FAMILY_UNSPEC: Final = 0x00
FAMILY_TCP4: Final = 0x11
FAMILY_TCP6: Final = 0x21
FAMILY_UNIX_STREAM: Final = 0x31

ADDRESS_BYTES: Final = {FAMILY_UNSPEC: 0, FAMILY_TCP4: 12, FAMILY_TCP6: 36, FAMILY_UNIX_STREAM: 216}
"""How many bytes of addresses stand between the fixed header and the TLVs, by family and transport."""

TLV_BOX_TOKEN: Final = 0xE7
"""In the range left to applications by the specification (0xE0 to 0xEF)."""

TLV_HEAD_BYTES: Final = 3
"""The type (8 bits) and the length (16 bits, big endian) of a TLV."""

_FIXED: Final = struct.Struct("!12sBBH")
_TLV_HEAD: Final = struct.Struct("!BH")
_COMMANDS: Final = {"local": COMMAND_LOCAL, "proxy": COMMAND_PROXY}


def encode_preface(token: bytes, *, command: Literal["proxy", "local"] = "proxy") -> bytes:
    """Write the header proving a box by `token`.

    The family is UNSPEC: every box connects from a loopback address or from a unix socket, so an address
    would tell nothing. A receiver skips such a header's addresses, and reads its TLVs.

    Args:
        token: the signed token, at most 2,048 bytes; empty for a header without the TLV.
        command: `proxy` for a box's connection. `local` is for a sender's own connection, e.g. a health
            check; a receiver must not take an identity from such a header.

    Raises:
        ValueError: the token is too long for any verifier.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise ValueError(f"a box token has at most {MAX_TOKEN_BYTES} bytes")
    tlv = _TLV_HEAD.pack(TLV_BOX_TOKEN, len(token)) + token if token else b""
    return _FIXED.pack(SIGNATURE, VERSION | _COMMANDS[command], FAMILY_UNSPEC, len(tlv)) + tlv
