"""A fake key whose text must appear nowhere: made unique, and looked for in every form of a leak."""

from __future__ import annotations

import base64
import binascii
import secrets
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

EDGE_CHARS: Final = 6
_ALPHABET: Final = string.ascii_letters + string.digits


class Canary:
    """A fake key. `text` has a character changed by URL-encoding; its ends are random."""

    def __init__(self, text: str | None = None) -> None:
        def noise(length: int) -> str:
            return "".join(secrets.choice(_ALPHABET) for _ in range(length))

        self.text = text or f"sk-{noise(20)}/{noise(20)}"

    def __repr__(self) -> str:
        return "Canary(***)"

    def forms(self) -> dict[str, bytes]:
        """Give every forbidden form, by name."""
        raw = self.text.encode()
        forms = {
            "raw": raw,
            "hex": binascii.hexlify(raw),
            "upper hex": binascii.hexlify(raw).upper(),
            "URL-encoded": quote(self.text, safe="").encode(),
            "JSON-escaped": self.text.replace("/", "\\/").encode(),
            "first characters": raw[:EDGE_CHARS],
            "last characters": raw[-EDGE_CHARS:],
        }
        for shift in range(3):
            forms[f"base64 at {shift}"] = _base64_core(raw, shift)
            forms[f"base64url at {shift}"] = _base64_core(raw, shift).translate(bytes.maketrans(b"+/", b"-_"))
        return forms

    def found_in(self, data: bytes, where: str) -> list[str]:
        """Give a line per form found in `data`, without showing the key."""
        return [f"{where}: {name}" for name, form in self.forms().items() if form in data]

    def found_below(self, folder: Path) -> list[str]:
        """Look into every file below a folder, names included."""
        return [
            finding
            for path in _files(folder)
            for finding in self.found_in(path.read_bytes() + b"\0" + str(path).encode(), str(path))
        ]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _base64_core(raw: bytes, shift: int) -> bytes:
    """Give the base64 characters depending on `raw` alone, when `shift` other bytes come before it.

    Base64 writes 3 bytes as 4 characters; those at the edges also depend on the neighbours.
    """
    encoded = base64.b64encode(b"\0" * shift + raw)
    start = -(-shift * 8 // 6)  # the first character without a bit of the filler
    return encoded[start : (shift + len(raw)) * 8 // 6]
