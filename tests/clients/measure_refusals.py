"""Measures what clients make of a refusal at each status: requests, seconds, whether the sentence is shown.

    python -m tests.clients.measure_refusals

Starts a server that refuses every call in the provider's shape, runs each client that is installed against
it, and prints the table of docs/adr/0003 in Markdown. A client that is not installed has no row.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from services.data_plane.core.answers import write_rejection
from services.data_plane.core.refused import Refused
from shared.providers import PROVIDERS, ProviderName
from shared.rejections import Place, Rejection

HERE: Final = Path(__file__).resolve().parent
STATUSES: Final = (400, 402, 403)
MAX_SECONDS: Final = 60
_SENTENCE: Final = "is switched off for this box"
_OPENAI_PY: Final = "import openai; openai.OpenAI().responses.create(model='gpt-5', input='hi')"
_ANTHROPIC_PY: Final = (
    "import anthropic; anthropic.Anthropic().messages.create(model='claude-sonnet-4-5', max_tokens=9, "
    "messages=[{'role': 'user', 'content': 'hi'}])"
)
_OPENAI_JS: Final = (
    "import OpenAI from 'openai'; await new OpenAI().responses.create({model: 'gpt-5', input: 'hi'})"
)
_ANTHROPIC_JS: Final = (
    "import Anthropic from '@anthropic-ai/sdk'; await new Anthropic().messages.create({model: "
    "'claude-sonnet-4-5', max_tokens: 9, messages: [{role: 'user', content: 'hi'}]})"
)


@dataclass(frozen=True, slots=True)
class Client:
    """One client: its name, whose API it calls, and its command."""

    name: str
    provider: ProviderName
    command: tuple[str, ...]


def _clients() -> list[Client]:
    bins = HERE / "node_modules" / ".bin"
    node = ("node", "--input-type=module", "-e")
    clients = [
        Client("Claude Code", "anthropic", (str(bins / "claude"), "-p", "say ping")),
        Client("Codex", "openai", (str(bins / "codex"), "exec", "--skip-git-repo-check", "say ping")),
        Client("qwen-code", "openai", (str(bins / "qwen"), "-p", "say ping")),
        Client("Python openai", "openai", (sys.executable, "-c", _OPENAI_PY)),
        Client("Python anthropic", "anthropic", (sys.executable, "-c", _ANTHROPIC_PY)),
        Client("Node openai", "openai", (*node, _OPENAI_JS)),
        Client("Node @anthropic-ai/sdk", "anthropic", (*node, _ANTHROPIC_JS)),
    ]
    return [one for one in clients if not one.command[0].startswith("/") or Path(one.command[0]).exists()]


@contextmanager
def _refusing(status: int, provider: ProviderName) -> Iterator[tuple[int, list[str]]]:
    """Serve refusals; gives the port and the requests that came, without warm-ups."""
    refused = Refused(Rejection.INTEGRATION_DISABLED)
    raw = write_rejection(refused, PROVIDERS[provider], Place(), "req_0", bodiless=False, close=True)
    raw = raw.replace(b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 %d Refused" % status, 1)
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append(f"{self.command} {self.path}")
            self.wfile.write(raw)
            self.close_connection = True

        def do_GET(self) -> None:
            self.do_POST()

        def do_HEAD(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()


def measured(client: Client, status: int) -> str:
    """Run one client once; gives a cell of the table."""
    with _refusing(status, client.provider) as (port, seen), tempfile.TemporaryDirectory() as home:
        origin = f"http://127.0.0.1:{port}/run9/ai"
        codex = Path(home) / ".codex"
        codex.mkdir()
        (codex / "config.toml").write_text(f'openai_base_url = "{origin}/openai/v1"\n')
        environment = {
            "PATH": os.environ["PATH"],  # noqa: TID251  # programs are found as this program finds them
            "HOME": home,
            "OPENAI_BASE_URL": f"{origin}/openai/v1/",
            "OPENAI_API_KEY": "run9-placeholder",
            "OPENAI_MODEL": "gpt-5",
            "ANTHROPIC_BASE_URL": f"{origin}/anthropic",
            "ANTHROPIC_AUTH_TOKEN": "run9-placeholder",
            "ANTHROPIC_API_KEY": "run9-placeholder",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        begun = time.monotonic()
        try:
            done = subprocess.run(
                client.command,
                env=environment,
                cwd=HERE,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=MAX_SECONDS,
                check=False,
            )
            said = (done.stdout + done.stderr).decode("utf-8", "replace")
            shown = "sentence shown" if _SENTENCE in " ".join(said.split()) else "sentence not shown"
        except subprocess.TimeoutExpired:
            shown = "no end"
        seconds = time.monotonic() - begun
    return f"{len(seen)} requests, {seconds:.1f} s, {shown}"


def main() -> None:
    """Print the table."""
    lines = ["| client | " + " | ".join(map(str, STATUSES)) + " |", "|---" * (len(STATUSES) + 1) + "|"]
    sys.stdout.write("\n".join(lines) + "\n")
    for client in _clients():
        cells = [measured(client, status) for status in STATUSES]
        sys.stdout.write(f"| {client.name} | {' | '.join(cells)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
