"""Measures the matrix of clients: each client through a real gateway, in every case, and beside it directly.

    python -m tests.clients.matrix.measure [RECORD] [--only TITLE]

The record is written after every client, so that a run that is broken off keeps what it has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from shared.clock import rfc3339, unix_now
from tests.clients.box import Box, DidNotEndError, Finished
from tests.clients.matrix.answers import CITY, answer_of, provider_sentence
from tests.clients.matrix.catalogue import Client, Installation, clients_of
from tests.clients.org import BASE_PATH, KEYS, Org
from tests.clients.provider_answers import TEXT
from tests.clients.websocket_provider import WebSocketProvider
from tests.clients.wire import Seen, as_seen
from tests.support.gateway import Gateway
from tests.support.scripted_upstream import ScriptedUpstream

RECORD: Final = Path(__file__).resolve().parent / "record.json"
MAX_SECONDS: Final = 40.0
FAILURES: Final = ("off", "401", "429", "529", "500", "cut")
_KEY_SENTENCE: Final = "did not accept the organization's API key"
# Every run makes these up anew: ids, times, ports and temporary folders.
_MADE_UP: Final = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+Z?|127\.0\.0\.1:\d+|ses_\w+|[0-9a-f]{16,}"
)

Cell = dict[str, Any]
"""One measured case: does it work or is it shown, requests, seconds from start to end, did it end."""


class Measured:
    """One client in the boxes of one org."""

    def __init__(self, client: Client, org: Org, folder: Path) -> None:
        self._client = client
        self._org = org
        self._folder = folder
        self._boxes = 0

    async def cells(self) -> dict[str, Cell]:
        """Run every case; gives the cells by the case's name."""
        calls = self._client.calls
        cells = {call: await self._call(call) for call in calls if call != "websocket"}
        if "websocket" in calls or self._client.title == "Codex":
            cells["websocket"] = await self._websocket()
        for case in FAILURES:
            if case != "cut" or "stream" in calls:
                cells[case] = await self._failure(case)
        return cells

    async def _box(self) -> Box:
        self._boxes += 1
        box = Box(self._org.gateway, self._folder / f"home{self._boxes}")
        await box.set_up()
        if self._client.title == "GitHub Copilot CLI":
            box.variables["COPILOT_PROVIDER_BASE_URL"] = box.variables["OPENAI_BASE_URL"]
        if self._client.title == "Codex":
            with (box.home / ".codex" / "config.toml").open("a") as file:
                file.write("check_for_update_on_startup = false\n[analytics]\nenabled = false\n")
        return box

    def _upstream(self, case: str) -> ScriptedUpstream:
        keys = frozenset({KEYS[self._client.provider].encode()})
        respond = answer_of(self._client.provider, case)
        return ScriptedUpstream(keys=keys, base_path=f"{BASE_PATH}/v1/".encode(), respond=respond)

    async def _run(self, box: Box, call: str) -> tuple[Finished, Cell]:
        begun = time.monotonic()
        command, variables = self._client.command_of(call), self._client.variables
        try:
            done, ended = await box.run(*command, seconds=MAX_SECONDS, **variables), True
        except DidNotEndError as still:
            done, ended = still.so_far, False
        return done, {"seconds": round(time.monotonic() - begun, 1), "ended": ended}

    async def _call(self, call: str) -> Cell:
        """Run a call through the gateway and directly, and compare the requests that the provider gets."""
        provider = self._client.provider
        async with self._upstream("works") as upstream:
            await self._org.aim(provider, upstream)
            box = await self._box()
            done, run = await self._run(box, call)
            through = as_seen(upstream.requests)
        async with ScriptedUpstream(respond=answer_of(provider, "works")) as direct:
            _point_at(box, f"{direct.origin}{BASE_PATH}", self._client)
            await self._run(box, call)
            differs = _difference(through, as_seen(direct.requests))
        expected = {"tools": CITY, "files": "file"}.get(call, TEXT)
        works = expected in done.out
        cell = run | {"works": works, "requests": len(through), "differs": differs}
        return cell if works else cell | {"said": _last_line(done)}

    async def _websocket(self) -> Cell:
        async with WebSocketProvider.running() as provider:
            await self._org.aim_at("openai", provider.origin, lambda: provider.targets)
            done, run = await self._run(await self._box(), "websocket")
            works = TEXT in done.out or "session.created" in done.out
            return run | {"works": works, "requests": len(provider.handshakes)}

    async def _failure(self, case: str) -> Cell:
        provider, calls = self._client.provider, self._client.calls
        sentence = provider_sentence(int(case)) if case.isdigit() else ""
        async with self._upstream(case) as upstream:
            await self._org.aim(provider, upstream)
            box = await self._box()
            if case == "off":
                await self._org.switch_off(provider)
                sentence = self._org.switched_off(provider)
            if case == "401":
                sentence = _KEY_SENTENCE
            done, run = await self._run(box, "stream" if case == "cut" else calls[0])
            requests = len([one for one in await self._org.calls() if one["method"] != "HEAD"])
        said = " ".join((done.out + done.err).split())
        shown = sentence in said if sentence else done.code != 0
        cell = run | {"shown": shown, "code": done.code, "requests": requests}
        return cell if shown else cell | {"said": _last_line(done)}


def _last_line(done: Finished) -> str:
    lines = (done.out + done.err).strip().splitlines()
    return lines[-1][:200] if lines else ""


def _point_at(box: Box, base: str, client: Client) -> None:
    box.variables |= {"OPENAI_BASE_URL": f"{base}/v1/", "OPENAI_API_BASE": f"{base}/v1/"}
    box.variables |= {"ANTHROPIC_BASE_URL": base + client.direct_suffix}
    if "COPILOT_PROVIDER_BASE_URL" in box.variables:
        box.variables["COPILOT_PROVIDER_BASE_URL"] = f"{base}/v1/"
    codex = box.home / ".codex" / "config.toml"
    line = re.compile(r'^openai_base_url = ".*"$', re.MULTILINE)
    codex.write_text(line.sub(f'openai_base_url = "{base}/v1"', codex.read_text()))


def _difference(through: Sequence[Seen], direct: Sequence[Seen]) -> str:
    """Name the first part of a request that differs, or nothing."""
    if len(through) != len(direct):
        return f"{len(through)} requests, directly {len(direct)}"
    for one, other in zip(through, direct, strict=True):
        for name, mine, theirs in zip(("method", "target", "headers", "body"), one, other, strict=True):
            if _without_ids(mine) != _without_ids(theirs):
                return name
    return ""


def _without_ids(part: object) -> bytes:
    if isinstance(part, bytes):
        return _MADE_UP.sub(b"#", part)
    assert isinstance(part, list)
    lines = [b"%b: %b" % (name, value) for name, value in part if name.lower() != b"content-length"]
    return _MADE_UP.sub(b"#", b"\n".join(lines))


async def measure(clients: Sequence[Client], keep: Callable[[dict[str, Any]], None]) -> None:
    """Measure the clients one after the other; each is handed to `keep` at once."""
    with tempfile.TemporaryDirectory() as name, Gateway(Path(name) / "gateway") as gateway:
        async with Org.of(gateway) as org:
            for number, client in enumerate(clients):
                sys.stdout.write(f"{client.key} {client.version} …\n")
                sys.stdout.flush()
                try:
                    cells = await Measured(client, org, Path(name) / f"client{number}").cells()
                except AssertionError as failed:  # one client's surprise does not end the run
                    sys.stdout.write(f"  not measured: {failed}\n")
                    continue
                date = rfc3339(int(unix_now()))[:10]
                keep({client.key: {"version": client.version, "date": date, "cells": cells}})


def main() -> None:
    """Measure the pinned clients."""
    parser = argparse.ArgumentParser(description="Measure the matrix of clients.")
    parser.add_argument("record", type=Path, nargs="?", default=RECORD)
    parser.add_argument("--only", default="", help="a part of the client's name in the record")
    options = parser.parse_args()
    clients = [one for one in clients_of(Installation()) if options.only in one.key]
    record: dict[str, Any] = json.loads(options.record.read_text()) if options.record.exists() else {}

    def keep(measured: dict[str, Any]) -> None:
        record.update(measured)
        options.record.write_text(json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n")

    asyncio.run(measure(clients, keep))


if __name__ == "__main__":
    main()
