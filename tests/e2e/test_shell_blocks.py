"""The shell blocks of the documents run, and a bare `aigw data-plane` says the reason for its wait.

Every block of the four pages runs as written, but for addresses of a box and of providers. `NOT_RUN` lists
the commands without a run, with the reasons.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import httpx
import pytest

from shared.providers import LOCAL_ORIGIN
from tests.support.commands import AIGW
from tests.support.gateway import Gateway, clean_environment
from tests.support.planes_apart import PlanesApart

ROOT: Final = Path(__file__).resolve().parents[2]
BINARIES: Final = Path(sys.prefix) / "bin"
PAGES: Final = ("README.md", "docs/quickstart.md", "docs/deploy.md", "docs/clients.md")
_BLOCK: Final = re.compile(r"^```(sh|console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_SECONDS: Final = 90
NOT_RUN: Final = {
    "make run": "it installs the project; tests/e2e/test_up_command.py runs the command behind it",
    "make test": "it is what runs this test",
    "docker compose up --build": "needs Docker; tests/e2e/test_compose_commands.py runs its commands",
    "docker compose logs seed": "as above",
    "docker compose --profile two up": "as above",
    "docker compose up vault-setup": "as above",
}
"""Commands of the pages without a test run, and the reasons."""

pytestmark = pytest.mark.xdist_group("shell blocks")


def blocks(page: str, *kinds: str) -> list[str]:
    found = _BLOCK.findall((ROOT / page).read_text())
    return [text for kind, text in found if kind in kinds]


def commands(page: str) -> list[str]:
    """The commands of a page's console blocks, without the prompt and the remark."""
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [re.sub(r"\s{2,}#.*$", "", line) for line in typed]


def runnable(page: str) -> list[str]:
    """Every block and command of a page with a test run, in the page's order of kinds."""
    return [*blocks(page, "sh"), *(line for line in commands(page) if line not in NOT_RUN)]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


def run(script: str, folder: Path, **environment: str) -> str:
    """Run a script as a person's shell would, with a home and an `aigw` of its own; give the output."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=clean_environment(
            HOME=str(folder), PATH=f"{BINARIES}:/usr/local/bin:/usr/bin:/bin", **environment
        ),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_of_the_readme_points_a_program_at_the_gateway(tmp_path: Path, gateway: Gateway) -> None:
    script = "\n".join(runnable("README.md")).replace(LOCAL_ORIGIN, gateway.origin)
    script += """
curl -fsS "${OPENAI_BASE_URL}models"
curl -fsS "${ANTHROPIC_BASE_URL}/v1/models" -H 'anthropic-version: 2023-06-01'
"""
    assert run(script, tmp_path).count('"data"') == 2


def test_every_block_of_the_page_about_clients_runs(tmp_path: Path, gateway: Gateway) -> None:
    script = "\n".join(runnable("docs/clients.md")).replace(LOCAL_ORIGIN, gateway.origin)
    with batch_results(gateway):
        shown = run(f"BATCH_ID=batch_1\n{script}\nenv", tmp_path)
    for line in (
        '{"custom_id": "one"}',
        f"ANTHROPIC_BASE_URL={gateway.origin}/run9/ai/anthropic",
        "ENABLE_TOOL_SEARCH=true",
        "ANTHROPIC_API_KEY=run9-placeholder",
        "OPENAI_AGENTS_DISABLE_TRACING=1",
        "OpenAI: ON",
    ):
        assert line in shown
    codex = tmp_path / ".codex" / "config.toml"
    assert not codex.exists() or "openai_base_url" not in codex.read_text(), "--undo took it back"


@contextmanager
def batch_results(gateway: Gateway) -> Iterator[None]:
    """Put an endpoint with the results of a batch behind Anthropic's card, until the end."""

    class Results(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"custom_id": "one"}\n'
            self.send_response(200 if self.path == "/v1/messages/batches/batch_1/results" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Results)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        set_anthropic(gateway, f"http://127.0.0.1:{server.server_address[1]}")
        yield
    finally:
        set_anthropic(gateway, gateway.demo_endpoint("anthropic"))
        server.shutdown()
        server.server_close()


def set_anthropic(gateway: Gateway, endpoint: str) -> None:
    """Save Anthropic's card with this endpoint, and wait until the card is live."""
    path = f"{gateway.ready['control_plane_url']}/api/v1/orgs/demo/ai-integrations/anthropic"
    key = (gateway.data_dir / "demo-anthropic-key").read_text()
    head = {"authorization": f"Bearer {gateway.ready['owner_token']}", "if-match": "*"}
    body = {"api_key": key, "endpoint": endpoint, "enabled": True}
    with httpx.Client(headers=head, timeout=20, trust_env=False) as client:
        client.put(path, json=body).raise_for_status()
        deadline = time.monotonic() + RUN_SECONDS
        while (found := client.get(f"{path}/rollout").json())["live"] < found["total"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_every_line_of_the_quickstart_does_what_it_says(tmp_path: Path, gateway: Gateway) -> None:
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "ready.json").symlink_to(gateway.folder / "ready.json")
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    (tmp_path / "openai.key").write_text((gateway.data_dir / "demo-openai-key").read_text())
    endpoint = gateway.demo_endpoint("openai")
    # The one line that must differ here: no test of the project calls a provider.
    script = "".join(blocks("docs/quickstart.md", "sh")).replace("https://api.openai.com/v1", endpoint)
    shown = run(script, tmp_path)
    at = 0
    for line in "".join(blocks("docs/quickstart.md", "text")).splitlines():
        assert line in shown[at:], f"not shown, or not in this order: {line}\n{shown}"
        at += shown[at:].index(line)


def test_the_quickstarts_box_token_is_taken_by_a_gateway_in_header_mode(
    tmp_path: Path, header_gateway: Gateway
) -> None:
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "ready.json").symlink_to(header_gateway.folder / "ready.json")
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    (definition,) = (
        line for line in blocks("docs/quickstart.md", "sh")[0].splitlines() if line.startswith("ready()")
    )
    (command,) = (line for line in commands("docs/quickstart.md") if line not in NOT_RUN)
    token = run(f"{definition}\n{command}", tmp_path).strip()
    answer = httpx.get(
        f"{header_gateway.ready['base_urls']['openai']}models",
        headers={"x-run9-box-token": token},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text


def test_the_planes_start_by_the_commands_of_the_page_about_deploying(tmp_path: Path) -> None:
    apart = PlanesApart.in_folder(tmp_path)
    environment = clean_environment(PATH=f"{BINARIES}:/usr/bin:/bin", **apart.environment)
    started = [line for line in commands("docs/deploy.md") if line not in NOT_RUN]
    assert len(started) == 2
    with ExitStack() as stack:
        for number, line in enumerate(started):
            log = stack.enter_context((tmp_path / f"log-{number}").open("wb"))
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"], stdout=log, stderr=log, env=environment, cwd=tmp_path
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        deadline = time.monotonic() + RUN_SECONDS
        while not is_ready(apart.ports["admin_port"]):
            assert time.monotonic() < deadline, [path.read_text() for path in tmp_path.glob("log-*")]
            time.sleep(0.2)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_the_portals_settings_of_the_page_about_deploying_are_settings(tmp_path: Path) -> None:
    (block,) = (block for block in blocks("docs/deploy.md", "sh") if "AIGW_OIDC_ISSUER" in block)
    secret = tmp_path / "oidc"
    secret.write_text("client-secret-of-tests-only")
    block = block.replace("/run/secrets/oidc", str(secret)).replace("HOST", "portal.example")
    shown = run(
        f"set -a\n{block}\naigw config show", tmp_path, AIGW_INTERNAL_TOKEN="internal-token-of-tests-only"
    )
    for value in ("https://portal.example", "https://login.example", "run9-portal"):
        assert value in shown
    assert "client-secret-of-tests-only" not in shown


def test_what_is_not_run_still_stands_in_a_page() -> None:
    """A command removed from the pages leaves the list too."""
    assert {line for page in PAGES for line in commands(page)} >= set(NOT_RUN)


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
    command = [*AIGW, "data-plane"]
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
