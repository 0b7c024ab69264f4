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
