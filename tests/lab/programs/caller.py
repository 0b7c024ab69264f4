"""Runs in a guest: calls 10.0.2.2:1000 by JSON, SSE and WebSocket, and counts whose identity was answered.

Arguments: the org, the box and how many requests. Prints one line of JSON. Needs the standard library alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any, Final

HOST, PORT = "10.0.2.2", 1000
PLACEHOLDER: Final = "authorization: Bearer run9-placeholder"
TASKS: Final = 4
EVENTS: Final = 3
REQUESTS_PER_CONNECTION: Final = 5


class Caller:
    """One guest's calls. `counts` has `right`, `wrong` and `failed`."""

    def __init__(self, org: str, box: str, count: int) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._expected = {"org": org, "box": box}
        self._left = count

    async def run(self) -> None:
        """Call until the count is used up, from a few tasks at once."""
        await asyncio.gather(*(self._task() for _ in range(TASKS)))

    async def _task(self) -> None:
        kinds = (self._json, self._events, self._web_socket)
        turn = 0
        while self._left > 0:
            try:
                reader, writer = await asyncio.open_connection(HOST, PORT)
                try:
                    await kinds[turn % 3](reader, writer)
                finally:
                    writer.close()
            except (OSError, EOFError, ValueError) as error:
                self.counts["failed"] += 1
                self.failures.append(repr(error))
                self._left -= 1
            turn += 1

    async def _json(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(REQUESTS_PER_CONNECTION):
            writer.write(_head("GET /run9/ai/openai/v1/models"))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            self._judge(json.loads(await reader.readexactly(length)))

    async def _events(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("GET /identities"))
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(EVENTS):
            event = await reader.readuntil(b"\n\n")
            self._judge(json.loads(event.removeprefix(b"data: ")))

    async def _web_socket(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("GET /socket", "connection: Upgrade", "upgrade: websocket"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        for _ in range(EVENTS):
            writer.write(b"who am I?\n")
            self._judge(json.loads(await reader.readline()))

    def _judge(self, found: Any) -> None:
        self._left -= 1
        proved = {name: found[name] for name in self._expected}
        self.counts["right" if proved == self._expected else "wrong"] += 1


def _head(start: str, *lines: str) -> bytes:
    return "\r\n".join([f"{start} HTTP/1.1", f"host: {HOST}:{PORT}", PLACEHOLDER, *lines, "", ""]).encode()


if __name__ == "__main__":
    caller = Caller(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    asyncio.run(caller.run())
    print(json.dumps({"counts": caller.counts, "failures": caller.failures[:5]}))  # noqa: T201  # its result
