"""Compiles the two C programs into `.tools/bench/`, once per change of their sources."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent / "load"
_FLAGS: Final = ("-std=gnu17", "-O2", "-Wall", "-Wextra")
_TLS_FLAGS: Final = ("-DBENCH_TLS",)
_TLS_LIBRARIES: Final = ("-lssl", "-lcrypto")


class BuildError(Exception):
    """There is no C compiler, or the compiler refused; the message says which."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the built programs are, and whether the upstream can speak TLS."""

    load: Path
    upstream: Path
    has_tls: bool


def build(folder: Path) -> Programs:
    """Compile the missing programs, without TLS where OpenSSL's headers are missing; raises `BuildError`."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise BuildError("no C compiler (`cc`) on PATH: install gcc or clang to run the bench")
    folder.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()[:12]
    load, plain, tls = (folder / f"{name}-{mark}" for name in ("load", "upstream", "upstream-tls"))
    if not load.exists():
        _compile(compiler, "load.c", load, (), ())
    if not tls.exists() and not plain.exists():
        try:
            _compile(compiler, "upstream.c", tls, _TLS_FLAGS, _TLS_LIBRARIES)
        except BuildError:
            _compile(compiler, "upstream.c", plain, (), ())
    return Programs(load=load, upstream=tls if tls.exists() else plain, has_tls=tls.exists())


def _compile(
    compiler: str, source: str, target: Path, flags: tuple[str, ...], libraries: tuple[str, ...]
) -> None:
    command = [compiler, *_FLAGS, *flags, str(SOURCES / source), "-o", str(target), *libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{source} does not compile: {done.stderr.strip()}")
