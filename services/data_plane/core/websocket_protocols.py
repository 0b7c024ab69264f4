"""The entries of `Sec-WebSocket-Protocol` with a credential or an account, and the other entries.

Browsers cannot set headers on a WebSocket handshake, so clients hide credentials in this list: as
`openai-insecure-api-key.KEY`, `base64url.bearer.authorization.k8s.io.KEY`, or two entries, `bearer, KEY`.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.data_plane.core.header_families import is_account_selector, is_credential
from shared.providers import kind_of_key

_INSECURE = b"insecure-"  # OpenAI's own word: `openai-insecure-api-key`


def split_protocols(offered: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Split the offered entries into the harmless entries, unchanged, and the values of the others."""
    harmless: list[bytes] = []
    credentials: list[bytes] = []
    value_follows = False
    for entry in offered:
        labels = entry.lower().split(b".")
        named = any(_names_credential(label) for label in labels)
        if value_follows or named or _looks_like_key(entry):
            credentials.append(entry.rpartition(b".")[2])
            value_follows = named and not value_follows and b"." not in entry
        else:
            harmless.append(entry)
    return harmless, credentials


def _names_credential(label: bytes) -> bool:
    name = label.replace(_INSECURE, b"").replace(b"_", b"-")
    return is_credential(name) or is_account_selector(name)


def _looks_like_key(entry: bytes) -> bool:
    return any(
        kind_of_key(part) != "unknown" or part.startswith("ek_")
        for part in entry.decode("latin-1").split(".")
        if len(part) > len("sk-0123456789")
    )
