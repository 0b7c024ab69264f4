"""A way to PostgreSQL that is cut at the COMMIT: the one moment at which nobody knows what was saved."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Final, Self

from shared.tasks import TaskSet

INSERT: Final = b"INSERT"
COMMIT: Final = b"COMMIT"
READ_BYTES: Final = 64 * 1024


class CommitCutter:
    """`with CommitCutter(port, arrives=…) as cutter` listens on `cutter.port`, carries to 127.0.0.1:`port`.

    Attributes:
        armed: whether the next COMMIT of something inserted cuts its connection. It arrives at the server
            first, and is answered there, when `arrives`; otherwise the server never hears of it.
    """

    def __init__(self, target_port: int, *, arrives: bool) -> None:
        self._target_port = target_port
        self._arrives = arrives
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="commit cutter", daemon=True)
        self._tasks = TaskSet()
        self._server: asyncio.Server | None = None
        self.armed = False
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- in a thread of its own

    def _wait(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._tasks.aclose()
        await asyncio.sleep(0)  # what was aborted is told so in the loop's next turn

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.start(self._carry(reader, writer), "connection to PostgreSQL")

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
