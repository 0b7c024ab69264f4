"""The lines that documents and the chart's notes tell an operator to type, and a shell that runs them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.servers.tools import REPOSITORY

COMMAND_SECONDS: Final = 420
_TYPED: Final = re.compile(r"  (?! The )")
_PORTS: Final = re.compile(r" (\d+)\b")
_VAULT_COMMAND: Final = re.compile(r"^ *(vault (?:[^\n]*\\\n)*[^\n]*)$", re.MULTILINE)


def section(page: str, heading: str) -> str:
    """Give the text below a heading of the second level of `page`, up to the next one."""
    (_, _, rest) = (REPOSITORY / page).read_text().partition(f"\n## {heading}\n")
    assert rest, f"{page} has no section {heading}"
    return rest.partition("\n## ")[0]


def blocks(text: str, kind: str = "sh") -> list[str]:
    """Give the blocks of a kind in a part of a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def block_with(page: str, line: str) -> str:
    """Give the only shell block of `page`, a path in the repository, that holds `line`."""
    (found,) = [block for block in blocks((REPOSITORY / page).read_text()) if line in block]
    return found


def vault_commands(text: str) -> list[str]:
    """Give the commands of Vault's command line in the chart's notes or in a block, each whole."""
    return _VAULT_COMMAND.findall(text)


def behind_a_forward(notes: str) -> str:
    """Make a script of a part of the chart's notes with a `kubectl port-forward` first, then further lines.

    The forward runs in the background, on the ports of the notes, until the script ends: a data plane refuses
    a Host with another port.
    """
    forward, *rest = [line for line in notes.splitlines() if _TYPED.match(line)]
    addresses = [f"http://127.0.0.1:{port}/" for port in _PORTS.findall(forward)]
    waits = [f"until curl -s -o /dev/null {address}; do sleep 0.5; done" for address in addresses]
    return "\n".join([f"{forward.removesuffix('&')} > forward.log &", "trap 'kill $!' EXIT", *waits, *rest])


def run_script(script: str, folder: Path, programs: Mapping[str, Path], **environment: str) -> str:
    """Run a script as a person types it, with `programs` by name on the PATH; give its output.

    Fails with stderr alone, because an administrator's commands may show secrets on stdout.
    """
    path = folder / "programs"
    path.mkdir(exist_ok=True)
    for name, program in programs.items():
        if not (path / name).is_symlink():
            (path / name).symlink_to(program)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"HOME": str(folder), "PATH": f"{path}:{os.defpath}", "NO_PROXY": "*", **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
