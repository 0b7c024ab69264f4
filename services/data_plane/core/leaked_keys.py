"""Recognises a real provider key among the values that a box sends, where only a placeholder belongs."""

from __future__ import annotations

from typing import Final

from shared.providers import kind_of_key

MIN_KEY_CHARS: Final = 24
"""No real key is so short, and no placeholder is so long."""


def looks_real(credential: bytes) -> bool:
    """Whether a credential has the prefix and the length of a real key."""
    if len(credential) < MIN_KEY_CHARS:
        return False
    text = credential.rpartition(b" ")[2].decode("latin-1")
    return len(text) >= MIN_KEY_CHARS and kind_of_key(text) != "unknown"
