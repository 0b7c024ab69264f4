"""Keys of the config feed for tests, and the entries laid into Redis by a control plane with these keys."""

from __future__ import annotations

from typing import Final

from shared.feed_signature import FeedKeys
from shared.secret import Secret

FEED_KEY: Final = "feed-key-of-tests-0123456789abcdef"
FEED_KEYS: Final = FeedKeys(Secret(FEED_KEY))


def signed(revision: int, event: bytes) -> bytes:
    """An event as stored in Redis under its revision."""
    return FEED_KEYS.sign("event", event, place=revision)
