"""Measures the clients' reaction to a refusal at each status: requests, seconds, is the sentence shown.

    python -m tests.clients.measure_refusals [--only TITLE]

Starts a server which refuses every call in the provider's shape, points each client of the matrix at the
server, and prints the table of docs/adr/0003 in Markdown. A client without an installation has no row.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from services.data_plane.core.answers import write_rejection
from services.data_plane.core.refused import Refused
from shared.clock import unix_now
from shared.providers import PROVIDERS, ProviderName
from shared.rejections import Place, Rejection
from tests.clients.box import DidNotEndError
from tests.clients.matrix.catalogue import Client, clients_of
from tests.clients.matrix.installation import Installation
from tests.clients.matrix.matrix_box import MatrixBox
from tests.support.answers import whole
from tests.support.gateway import Gateway
from tests.support.scripted_upstream import Answer, Close, ReceivedRequest, ScriptedUpstream, Send

STATUSES: Final = (400, 402, 403)
MAX_SECONDS: Final = 40.0
_SENTENCE: Final = "is switched off for this box"


def _refusal(status: int, provider: ProviderName) -> Answer:
    refused = Refused(Rejection.INTEGRATION_DISABLED)
    raw = write_rejection(refused, PROVIDERS[provider], Place(), "req_0", bodiless=False, close=True)
    return (Send(raw.replace(b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 %d Refused" % status, 1)), Close())


async def measured(client: Client, status: int, gateway: Gateway, home: Path) -> str:
    """Run one client once; gives a cell of the table."""
    seen: list[float] = []

    def respond(request: ReceivedRequest) -> Answer:
        if request.method == b"HEAD":
            return whole(b"")
        seen.append(unix_now())
        return _refusal(status, client.provider)

    async with ScriptedUpstream(respond=respond) as upstream:
        shutil.rmtree(home, ignore_errors=True)
        box = MatrixBox(gateway, home)
        await box.prepare(client)
        box.call_directly(upstream.origin, client)
        command, is_over = next(iter(client.commands.values())), True
        try:
            done = await box.run(*command, seconds=MAX_SECONDS, **client.variables)
        except DidNotEndError as still:
            done, is_over = still.so_far, False
    moment = done.moment_of(_SENTENCE)
    shown = "not shown" if moment is None else f"shown after {max(0.0, moment - seen[0]):.1f} s"
    requests = f"{len(seen)} request{'' if len(seen) == 1 else 's'}"
    return f"{requests}, {shown}" + ("" if is_over else f", not over in {MAX_SECONDS:.0f} s")


async def _print_table(only: str) -> None:
    clients = [client for client in clients_of(Installation()) if only in client.key]
    offered = {"AIGW_PROVIDERS": "openai,anthropic,gemini"}
    with (
        tempfile.TemporaryDirectory() as name,
        Gateway(Path(name) / "gateway", environment=offered) as gateway,
    ):
        lines = ["| client | " + " | ".join(map(str, STATUSES)) + " |", "|---" * (len(STATUSES) + 1) + "|"]
        sys.stdout.write("\n".join(lines) + "\n")
        for client in clients:
            cells = [await measured(client, status, gateway, Path(name) / "home") for status in STATUSES]
            sys.stdout.write(f"| {client.key} {client.version} | {' | '.join(cells)} |\n")
            sys.stdout.flush()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure refusals by status.")
    parser.add_argument("--only", default="", help="a part of the client's name in the record")
    asyncio.run(_print_table(parser.parse_args().only))


if __name__ == "__main__":
    main()
