"""Measures the matrix of clients: each client through a real gateway in every case, and directly.

    python -m tests.clients.matrix.measure [RECORD] [--only TITLE]

The record is written after every client, so a run broken off keeps its results so far.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from shared.clock import rfc3339, unix_now
from tests.clients.box import DidNotEndError, Finished
from tests.clients.matrix.answers import AFTER_TOOL, Failing, Works, answer_of, provider_sentence
from tests.clients.matrix.catalogue import Client, clients_of
from tests.clients.matrix.comparison import compare
from tests.clients.matrix.installation import CLIENTS, Installation
from tests.clients.matrix.matrix_box import MatrixBox
from tests.clients.matrix.tool_calls import CITY
from tests.clients.org import BASE_PATH, KEYS, Org
from tests.clients.provider_answers import TEXT
from tests.clients.websocket_provider import WebSocketProvider
from tests.clients.wire import Seen, as_seen
from tests.support.gateway import Gateway
from tests.support.scripted_upstream import ReceivedRequest, ScriptedUpstream

RECORD: Final = Path(__file__).resolve().parent / "record.json"
MAX_SECONDS: Final = 40.0
MAX_DIRECT_RUNS: Final = 5
FAILURES: Final[tuple[Failing, ...]] = ("off", "401", "429", "529", "500", "cut")
_KEY_SENTENCE: Final = "did not accept the organization's API key"
_KEY: Final = re.compile(rb"[?&]key=[^&]*")
_FILE_BYTES: Final = (b"x" * 1000, b"eHh4" * 250, b"iVBORw0KGgo")
"""A request with a file holds one of these: text, a document or an image, the last two in base64."""

Cell = dict[str, Any]
"""A measured case: did the call work or the sentence show, requests, seconds, did the program end."""


class Measured:
    """A client in the boxes of an org."""

    def __init__(self, client: Client, org: Org, home: Path) -> None:
        self._client = client
        self._org = org
        self._home = home

    async def cells(self, failures: Sequence[Failing] = FAILURES) -> dict[str, Cell]:
        """Run every call of the client and these failures; gives the cells by the case's name."""
        cells: dict[str, Cell] = {call: {"lacks": reason} for call, reason in self._client.lacks.items()}
        for call in self._client.commands:
            cells[call] = await (self._websocket() if call == "websocket" else self._call(call))
        for case in failures:
            if case != "cut" or "stream" in self._client.commands:
                cells[case] = await self._failure(case)
        return cells

    async def _box(self) -> MatrixBox:
        # The same folder for every run, as a client may send the folder's name.
        shutil.rmtree(self._home, ignore_errors=True)
        box = MatrixBox(self._org.gateway, self._home)
        await box.prepare(self._client)
        return box

    def _upstream(self, case: Works | Failing) -> ScriptedUpstream:
        provider = self._client.provider
        version = "" if provider == "gemini" else "v1/"
        respond, keys = answer_of(provider, case, self._home), frozenset({KEYS[provider].encode()})
        return ScriptedUpstream(keys=keys, base_path=f"{BASE_PATH}/{version}".encode(), respond=respond)

    async def _run(self, box: MatrixBox, call: str) -> tuple[Finished, Cell]:
        begun = time.monotonic()
        command, variables = self._client.commands[call], self._client.variables
        try:
            done, ended = await box.run(*command, seconds=MAX_SECONDS, **variables), True
        except DidNotEndError as still:
            done, ended = still.so_far, False
        return done, {"seconds": round(time.monotonic() - begun, 1), "ended": ended}

    async def _call(self, call: str) -> Cell:
        """Run a call through the gateway and directly, and compare the requests at the provider."""
        case: Works = "tools" if call == "tools" else "files" if call == "files" else "works"
        async with self._upstream(case) as upstream:
            await self._org.aim(self._client.provider, upstream)
            box = await self._box()
            done, run = await self._run(box, call)
            through = upstream.requests
        works = self._works(call, done, through)
        found = await self._compared(_seen(through, BASE_PATH), lambda: self._directly(case, call))
        cell = run | {"works": works, "requests": len(through)} | found
        return cell if works else cell | {"said": _last_line(done)}

    def _works(self, call: str, done: Finished, requests: Sequence[ReceivedRequest]) -> bool:
        match call:
            case "tools":
                return CITY in done.out or AFTER_TOOL in done.out
            case "files":
                is_sent = any(part in request.body for request in requests for part in _FILE_BYTES)
                return AFTER_TOOL in done.out or (is_sent and done.code == 0)
            case _:
                return TEXT in done.out

    async def _compared(self, through: Sequence[Seen], direct: Callable[[], Any]) -> Cell:
        runs: list[Sequence[Seen]] = [await direct()]
        found = compare(through, *runs)
        # What still differs after one run may be the client's own doing, which more runs show.
        while found.differs and len(runs) < MAX_DIRECT_RUNS:
            runs.append(await direct())
            found = compare(through, *runs)
        return {"differs": list(found.differs), "varies": list(found.varies)}

    async def _directly(self, case: Works, call: str) -> list[Seen]:
        provider = self._client.provider
        async with ScriptedUpstream(respond=answer_of(provider, case, self._home)) as direct:
            box = await self._box()
            base = box.call_directly(direct.origin, self._client)
            await self._run(box, call)
            return _seen(direct.requests, base)

    async def _websocket(self) -> Cell:
        async with WebSocketProvider.running() as provider:
            await self._org.aim_at(self._client.provider, provider.origin, lambda: provider.targets)
            provider.forget()
            done, run = await self._run(await self._box(), "websocket")
            through = _without_keys(provider.seen(BASE_PATH))
        works = TEXT in done.out or "session.created" in done.out

        async def directly() -> list[Seen]:
            async with WebSocketProvider.running() as direct:
                box = await self._box()
                base = box.call_directly(direct.origin, self._client)
                await self._run(box, "websocket")
                return _without_keys(direct.seen(base))

        found = await self._compared(through, directly)
        cell = run | {"works": works, "requests": len(through)} | found
        return cell if works else cell | {"said": _last_line(done)}

    async def _failure(self, case: Failing) -> Cell:
        provider, calls = self._client.provider, self._client.commands
        sentence = provider_sentence(int(case)) if case.isdigit() else ""
        async with self._upstream(case) as upstream:
            await self._org.aim(provider, upstream)
            box = await self._box()
            if case == "off":
                await self._org.switch_off(provider)
                sentence = self._org.switched_off(provider)
            if case == "401":
                sentence = _KEY_SENTENCE
            done, run = await self._run(box, "stream" if case == "cut" else next(iter(calls)))
            requests = [one for one in await self._org.calls() if one["method"] != "HEAD"]
        moment = done.moment_of(sentence) if sentence else None
        shown = done.code != 0 if case == "cut" else moment is not None
        cell = run | {"shown": shown, "code": done.code, "requests": len(requests)}
        if moment is not None and requests:
            begun = min(_seconds_of(one["time"]) for one in requests)
            cell["seconds_to_sentence"] = round(max(0.0, moment - begun), 1)
        return cell if shown else cell | {"said": _last_line(done)}


def _seen(requests: Sequence[ReceivedRequest], base: str) -> list[Seen]:
    """Give the requests at a provider without the endpoint's path, and no warm-ups: these pass no gateway."""
    front = base.encode()
    seen = as_seen([request for request in requests if request.method != b"HEAD"])
    return _without_keys(
        [(method, target.removeprefix(front), headers, body) for method, target, headers, body in seen]
    )


def _without_keys(seen: Sequence[Seen]) -> list[Seen]:
    """Leave out the key in the query of Google's clients, as every other credential is left out."""
    return [(method, _KEY.sub(b"", target), headers, body) for method, target, headers, body in seen]


def _last_line(done: Finished) -> str:
    """Give the last words of a client, without the paths of this machine."""
    said = (done.out + done.err).replace(f"{CLIENTS}/", "").replace(f"{CLIENTS.parents[1]}/", "")
    lines = said.strip().splitlines()
    return lines[-1][:200] if lines else ""


def _seconds_of(rfc3339_time: str) -> float:
    return datetime.fromisoformat(rfc3339_time).timestamp()


async def measure(clients: Sequence[Client], keep: Callable[[dict[str, Any]], None]) -> None:
    """Measure the clients one after the other; each is handed to `keep` at once."""
    offered = {"AIGW_PROVIDERS": "openai,anthropic,gemini"}
    with (
        tempfile.TemporaryDirectory() as name,
        Gateway(Path(name) / "gateway", environment=offered) as gateway,
    ):
        async with Org.of(gateway) as org:
            for client in clients:
                sys.stdout.write(f"{client.key} {client.version} …\n")
                sys.stdout.flush()
                try:
                    cells = await Measured(client, org, Path(name) / "home").cells()
                except AssertionError as failed:  # one client's surprise does not end the run
                    sys.stdout.write(f"  not measured: {failed}\n")
                    continue
                date = rfc3339(int(unix_now()))[:10]
                keep({client.key: {"version": client.version, "date": date, "cells": cells}})


def main() -> None:
    """Measure the pinned clients."""
    parser = argparse.ArgumentParser(description="Measure the matrix of clients.")
    parser.add_argument("record", type=Path, nargs="?", default=RECORD)
    parser.add_argument("--only", default="", help="parts of names in the record, with a semicolon between")
    options = parser.parse_args()
    wanted = options.only.split(";")
    clients = [one for one in clients_of(Installation()) if any(part in one.key for part in wanted)]
    record: dict[str, Any] = json.loads(options.record.read_text()) if options.record.exists() else {}

    def keep(measured: dict[str, Any]) -> None:
        record.update(measured)
        options.record.write_text(json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n")

    asyncio.run(measure(clients, keep))


if __name__ == "__main__":
    main()
