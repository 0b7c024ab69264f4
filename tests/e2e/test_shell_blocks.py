"""The shell blocks of the documents: the quickstart's run as they stand, all others are at least shell."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.gateway import Gateway, clean_environment

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = ("README.md", "docs/quickstart.md", "docs/deploy.md", "docs/clients.md")
_BLOCK: Final = re.compile(r"^```(sh|console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_SECONDS: Final = 90


def blocks(page: str, *kinds: str) -> list[str]:
    found = _BLOCK.findall((ROOT / page).read_text())
    return [text for kind, text in found if kind in kinds]


def test_every_line_of_the_quickstart_does_what_it_says(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway") as gateway:
        (tmp_path / ".data").mkdir()
        (tmp_path / ".data" / "ready.json").symlink_to(gateway.folder / "ready.json")
        (tmp_path / ".venv").symlink_to(Path(sys.prefix))
        (tmp_path / "openai.key").write_text((gateway.data_dir / "demo-openai-key").read_text())
        endpoint = gateway.demo_endpoint("openai")
        # The one line that must differ here: no test of the project calls a provider.
        script = "".join(blocks("docs/quickstart.md", "sh")).replace("https://api.openai.com/v1", endpoint)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    at = 0
    for line in "".join(blocks("docs/quickstart.md", "text")).splitlines():
        assert line in done.stdout[at:], f"not shown, or not in this order: {line}\n{done.stdout}"
        at += done.stdout[at:].index(line)


@pytest.mark.parametrize("page", PAGES)
def test_every_shell_block_is_shell(page: str) -> None:
    lines = blocks(page, "sh")
    lines += [
        "\n".join(line.removeprefix("$ ") for line in block.splitlines() if line[:2] in {"$ ", "  "})
        for block in blocks(page, "console")
    ]
    assert lines
    for block in lines:
        checked = subprocess.run(
            ["bash", "-n"], input=block, capture_output=True, text=True, timeout=20, check=False
        )
        assert checked.returncode == 0, f"{block}\n{checked.stderr}"
