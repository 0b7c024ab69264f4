"""Writes `docs/image.md`: the contents of the built image, with sizes.

    python -m tools.image_page

Needs podman and the image. `make image` builds the image first; `make docs` leaves this page alone.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

IMAGE: Final = "localhost/run9-ai-gateway:0.1.0"
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "image.md"
PODMAN: Final = ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs")
LIMITS: Final = ("--ulimit", "nofile=10000:10000", "--ulimit", "nproc=10000:10000")
SITE: Final = "/opt/aigw/lib/python3.11/site-packages"
LARGEST: Final = 15
KIB: Final = 1024

INTRODUCTION: Final = """\
# What the image holds

`make image` builds the image (`deploy/docker/Dockerfile`) by podman, looks into it, runs `docker-compose.yml`
with it, and writes this page. The base here is made from Debian's packages, as a stand-in for the
`python:3.11.13-slim-bookworm` that the Dockerfile names; that base has a Python of its own below `/usr/local`
in place of Debian's, and so another size.

- One layer, built in stages: a compiler, headers, pip, caches, tests and documents stay in the stages.
- User 10001, no capability, a read-only root; `/tmp` is the only folder that a process may want to write to.
- The relay is compiled ([decision 14](adr/0014-the-relay-compiled.md)). Byte code is in the image, because a
  read-only root could not keep it.
- `/opt/aigw/share/sbom.cdx.json` is the bill of materials (CycloneDX), written at the end of the build from
  what is installed.
"""


def main() -> None:
    """Write the page."""
    whole = _sizes("/", depth=0)
    folders = _sizes("/usr", "/opt", "/var", "/etc", "/lib", "/bin", "/sbin", depth=1)
    packages = _sizes(SITE, depth=1)
    parts = [
        INTRODUCTION,
        f"In all {_mib(whole['/'])} MiB of files.\n",
        _table("folder", _largest(folders, {"/usr", "/opt", "/var", "/etc"})),
        "The largest packages of the gateway:\n",
        _table("package", {Path(path).name: size for path, size in _largest(packages, {SITE}).items()}),
    ]
    PAGE.write_text("\n".join(parts))


def _largest(sizes: dict[str, int], without: set[str]) -> dict[str, int]:
    found = sorted(sizes.items(), key=lambda item: -item[1])
    return dict([(path, size) for path, size in found if path not in without][:LARGEST])


def _table(title: str, sizes: dict[str, int]) -> str:
    rows = [f"| `{name}` | {_mib(size)} |" for name, size in sizes.items()]
    return "\n".join([f"| {title} | MiB |", "|---|---|", *rows, ""])


def _mib(kib: int) -> str:
    return f"{kib / KIB:.1f}"


def _sizes(*folders: str, depth: int) -> dict[str, int]:
    """Give KiB by path, as `du` in a container counts."""
    command = ["du", "-xk", f"--max-depth={depth}", *folders]
    run = [*PODMAN, "run", "--rm", "--network", "none", "--user", "0", *LIMITS, "--entrypoint"]
    done = subprocess.run(  # noqa: S603  # podman
        [*run, command[0], IMAGE, *command[1:]], capture_output=True, text=True, check=False, timeout=120
    )
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {path: int(size) for size, path in lines}


if __name__ == "__main__":
    main()
