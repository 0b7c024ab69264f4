"""Signs the control plane's entries in Redis, by a key known to both planes and unknown to Redis.

    v1 <HMAC-SHA256 of kind, place and payload, base64url> <payload>

The signature covers kind and place, so a heartbeat is no event, and an event is valid under its own revision
only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from typing import Final, Literal

from shared.config_feed import FeedError
from shared.secret import Secret

Kind = Literal["event", "heartbeat", "snapshot", "snapshot stamp"]
MIN_KEY_CHARS: Final = 32
MAX_KEYS: Final = 4
"""Each key is tried on a foreign signature: two while keys are rotated, and some to spare."""
_VERSION: Final = b"v1 "
_MAC_CHARS: Final = 43
_HEAD_BYTES: Final = len(_VERSION) + _MAC_CHARS + 1
_BETWEEN: Final = re.compile(r"[,\s]+")


class ForgedError(FeedError):
    """The bytes are signed by no key of this process, or not for this place."""


class FeedKeys:
    """The keys of the feed: the first key signs, every key is accepted. Shows none of them."""

    def __init__(self, keys: Secret) -> None:
        """Read keys separated by commas or white space; raises `ValueError`, which shows none of them."""
        parts = [part.encode() for part in _BETWEEN.split(keys.reveal()) if part]
        if not 0 < len(parts) <= MAX_KEYS:
            raise ValueError(f"a feed key is one key, or up to {MAX_KEYS} separated by commas")
        if any(len(part) < MIN_KEY_CHARS for part in parts):
            raise ValueError(f"each feed key has at least {MIN_KEY_CHARS} characters")
        self._macs = tuple(hmac.new(part, digestmod=hashlib.sha256) for part in parts)

    def sign(self, kind: Kind, payload: bytes, *, place: int = 0) -> bytes:
        """Give the payload with its signature in front; `place` is an event's revision."""
        return _head(self._macs[0], kind, place, payload) + payload

    def open(self, kind: Kind, signed: bytes, *, place: int = 0) -> bytes:
        """Give the payload signed as this kind for this place; raises `ForgedError`."""
        found, payload = signed[:_HEAD_BYTES], signed[_HEAD_BYTES:]
        for key in self._macs:
            if hmac.compare_digest(found, _head(key, kind, place, payload)):
                return payload
        raise ForgedError(f"what no feed key of this process has signed as {kind} for its place")


def _head(key: hmac.HMAC, kind: Kind, place: int, payload: bytes) -> bytes:
    mac = key.copy()
    mac.update(b"%s\0%d\0" % (kind.encode(), place))
    mac.update(payload)
    return _VERSION + urlsafe_b64encode(mac.digest()).rstrip(b"=") + b" "
