"""The shell blocks of the documents, and what a bare `aigw data-plane` says.

The quickstart's blocks run as they stand; all others are at least shell.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
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


def test_a_bare_data_plane_names_the_settings_that_it_waits_for(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = clean_environment(AIGW_BOX_PORT="0", AIGW_ADMIN_PORT="0")
    command = [sys.executable, "-m", "aigw", "data-plane"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=tmp_path)
    try:
        deadline = time.monotonic() + RUN_SECONDS
        while "AIGW_CONTROL_PLANE_INTERNAL_URL says where it is" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert "AIGW_INTERNAL_TOKEN what it asks for" in log.read_text()
    finally:
        process.terminate()
        process.wait(30)
