"""Compiles the relay's hot modules by mypyc into a copy of the packages: the same code, not interpreted.

    python -m tools.accelerate FOLDER

FOLDER then holds `aigw`, `services` and `shared` with compiled modules beside the sources, for `PYTHONPATH`
or for an image's site-packages. Needs a C compiler and Python's headers. Without the copy the gateway does
the same work, interpreted; docs/adr/0014 gives the gain.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

PACKAGES: Final = ("aigw", "services", "shared")
PROJECT: Final = Path(__file__).resolve().parent.parent
STAMP: Final = "compiled-from"

COMPILED: Final = (
    "services/data_plane/account/books.py",
    "services/data_plane/account/key_verdicts.py",
    "services/data_plane/account/last_errors.py",
    "services/data_plane/account/metrics.py",
    "services/data_plane/account/org_counts.py",
    "services/data_plane/account/record.py",
    "services/data_plane/core/*.py",
    "services/data_plane/core/usage/*.py",
    "services/data_plane/relay/box/connection.py",
    "services/data_plane/relay/admit.py",
    "services/data_plane/relay/box_side.py",
    "services/data_plane/relay/connection_limits.py",
    "services/data_plane/relay/exchange.py",
    "services/data_plane/relay/exchange_stage.py",
    "services/data_plane/relay/unsent_requests.py",
    "services/data_plane/relay/parts.py",
    "services/data_plane/relay/preface_connection.py",
    "services/data_plane/relay/tls_handshake.py",
    "services/data_plane/relay/relay.py",
    "services/data_plane/relay/splice.py",
    "services/data_plane/relay/unidentified.py",
    "services/data_plane/relay/upstream/connection.py",
    "services/data_plane/relay/upstream/pool.py",
    "services/data_plane/relay/upstream/tls.py",
    "services/data_plane/relay/wire/transport.py",
    "services/data_plane/relay/wire/write_batch.py",
    "services/data_plane/key_test/models_response.py",
    "services/node_agent/relay/box_side.py",
    "services/node_agent/relay/side.py",
    "services/node_agent/relay/target_side.py",
    "shared/distribution.py",
    "shared/watched_metrics.py",
)
"""Only code that runs per request or per piece of a stream."""


def main() -> None:
    """Bring the named folder up to date."""
    if (lacking := missing()) is not None:
        sys.exit(f"missing: {lacking}")
    match sys.argv[1:]:
        case [folder]:
            try:
                accelerate(Path(folder))
            except subprocess.CalledProcessError:
                sys.exit("the relay does not compile; the reasons stand above")
        case _:
            sys.exit("usage: python -m tools.accelerate FOLDER")


def missing() -> str | None:
    """Give the tools missing on this machine, and how to get them; None when the machine can compile."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"{compiler}, the C compiler: apt-get install gcc libc6-dev (as root)"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python.h: apt-get install python3-dev (as root)"
    return None


def accelerate(folder: Path) -> None:
    """Fill `folder` from the sources, unless done before.

    Raises:
        subprocess.CalledProcessError: a module does not compile; the compiler's words are on standard error.
    """
    sources = _fingerprint()
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text() == sources:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for package in PACKAGES:
        left_out = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(PROJECT / package, folder / package, ignore=left_out)
    # A process of its own, for the compiler takes paths below its working directory; isolated, so that it
    # finds no other copy of the packages.
    command = [sys.executable, "-I", "-c", _BUILD, *_modules(folder)]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603  # our own interpreter
    for made in ("build", ".mypy_cache"):
        shutil.rmtree(folder / made, ignore_errors=True)
    stamp.write_text(sources)


_BUILD: Final = """
import sys
from mypyc.build import mypycify
from setuptools import setup

modules = mypycify(["--ignore-missing-imports", *sys.argv[1:]], opt_level="3", debug_level="1")
setup(name="compiled-relay", ext_modules=modules, script_args=["-q", "build_ext", "--inplace"])
"""


def _modules(folder: Path) -> list[str]:
    found = sorted(path for pattern in COMPILED for path in folder.glob(pattern))
    return [str(path.relative_to(folder)) for path in found if path.name != "__init__.py"]


def _fingerprint() -> str:
    digest = hashlib.sha256(repr((sys.version, COMPILED)).encode())
    for package in PACKAGES:
        for source in sorted((PROJECT / package).rglob("*.py")):
            digest.update(str(source.relative_to(PROJECT)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    main()
