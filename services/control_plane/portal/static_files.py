"""The Portal's scripts, styles and pictures: read once, served under an address made of their content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HASH_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file in its sent form."""

    content: bytes
    gzipped: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """All of them. The whole set shares a hash, so modules may import each other by plain names."""

    version: str
    by_name: dict[str, StaticFile]

    @classmethod
    def read(cls) -> StaticFiles:
        """Read them from the package."""
        by_name = {
            entry.name: StaticFile(content := entry.read_bytes(), gzip.compress(content), media_type)
            for entry in sorted((files(__package__) / "static").iterdir(), key=lambda entry: entry.name)
            for ending, media_type in MEDIA_TYPES.items()
            if entry.name.endswith(ending)
        }
        digest = hashlib.sha256()
        for name, file in by_name.items():
            digest.update(name.encode() + b"\0" + hashlib.sha256(file.content).digest())
        return cls(digest.hexdigest()[:HASH_CHARS], by_name)

    def url(self, name: str) -> str:
        """Tell where a file is served; raises `KeyError` for an unknown file."""
        assert self.by_name[name] is not None
        return f"/static/{self.version}/{name}"

    def modules(self) -> list[str]:
        """The addresses of all modules, for the browser to fetch them at once."""
        return [self.url(name) for name in self.by_name if name.endswith(".js")]
