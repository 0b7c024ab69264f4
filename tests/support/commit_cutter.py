"""A way to PostgreSQL, cut at the COMMIT: the only moment with a doubt about the saved state."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from tests.support.proxy_thread import READ_BYTES, ProxyThread

INSERT: Final = b"INSERT"
COMMIT: Final = b"COMMIT"


class CommitCutter(ProxyThread):
    """`with CommitCutter(port, arrives=…) as cutter` listens on `cutter.port`, carries to 127.0.0.1:`port`.

    Attributes:
        armed: whether the next COMMIT of something inserted cuts its connection. The COMMIT arrives at the
            server first, and is answered there, when `arrives`; otherwise the server never gets the COMMIT.
    """

    def __init__(self, target_port: int, *, arrives: bool) -> None:
        super().__init__(target_port)
        self._arrives = arrives
        self.armed = False

    # -- in the proxy's own thread

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        answers = self._tasks.start(self._pump(ahead, writer), "answers of PostgreSQL")
        inserted = False
        try:
            while data := await reader.read(READ_BYTES):
                inserted = inserted or INSERT in data
                if self.armed and inserted and COMMIT in data:
                    answers.cancel()
                    await asyncio.wait([answers])
                    if self._arrives:
                        back.write(data)
                        await ahead.read(READ_BYTES)  # it is committed, and nobody hears of it
                    break
                back.write(data)
        finally:
            for end in (writer, back):
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(READ_BYTES):
                sink.write(data)
                await sink.drain()
            sink.close()
