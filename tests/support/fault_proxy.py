"""A TCP proxy on loopback, able to misbehave: late, black hole, half open, reset, in small slices."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from typing import Final, Literal

from tests.support.proxy_thread import READ_BYTES, ProxyThread

Mode = Literal["pass", "black_hole", "half_open", "refuse"]
"""The treatment of bytes and connections.

pass: bytes go through, after `Weather.delay_seconds`, in slices of `Weather.slice_bytes`.
black_hole: connections are accepted and stay open, and no byte goes either way.
half_open: the server's bytes no longer arrive; the client's still do.
refuse: every connection is reset, the open ones too.
"""
_RESET: Final = struct.pack("ii", 1, 0)  # linger for 0 s: close sends a reset


@dataclass(frozen=True, slots=True)
class Weather:
    """How the proxy treats bytes from now on. `slice_bytes` 0: whole reads."""

    mode: Mode = "pass"
    delay_seconds: float = 0.0
    slice_bytes: int = 0


class FaultProxy(ProxyThread):
    """`with FaultProxy(port) as proxy` listens on `proxy.port` and carries to 127.0.0.1:`port`."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self._weather = Weather()
        self._writers: set[asyncio.StreamWriter] = set()
        self._fair = asyncio.Event()
        self._fair.set()
        self.accepted = 0

    def set(self, weather: Weather) -> None:
        """Change the weather, for open connections too; `refuse` resets them."""
        self._in_loop(lambda: self._change(weather))

    @contextlib.contextmanager
    def under(self, weather: Weather) -> Iterator[None]:
        """Have this weather inside, and fair weather afterwards."""
        self.set(weather)
        try:
            yield
        finally:
            self.set(Weather())

    def reset_all(self) -> None:
        """Reset every open connection once; new ones are welcome."""
        self._in_loop(self._reset_all)

    # -- in the proxy's own thread

    def _in_loop(self, do: Callable[[], None]) -> None:
        async def done() -> None:  # it runs in the other thread
            do()

        self._wait(done())

    async def _close(self) -> None:
        await super()._close()
        self._reset_all()

    def _change(self, weather: Weather) -> None:
        self._weather = weather
        if weather.mode == "black_hole":
            self._fair.clear()
        else:
            self._fair.set()
        if weather.mode == "refuse":
            self._reset_all()

    def _reset_all(self) -> None:
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        super()._accept(reader, writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather.mode == "refuse":
            _reset(writer)
            return
        self._writers.add(writer)
        try:
            await self._fair.wait()
            ahead, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            _reset(writer)
            self._writers.discard(writer)
            return
        self._writers.add(back)
        try:
            await asyncio.gather(self._pump(reader, back, lossy=False), self._pump(ahead, writer, lossy=True))
        finally:
            for end in (writer, back):
                self._writers.discard(end)
                end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, lossy: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(READ_BYTES):
                if self._weather.delay_seconds:
                    await asyncio.sleep(self._weather.delay_seconds)
                await self._fair.wait()
                if lossy and self._weather.mode == "half_open":
                    continue
                await self._write(sink, data)
            sink.close()
            return
        _reset(sink)

    async def _write(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        size = self._weather.slice_bytes or len(data)
        for start in range(0, len(data), size):
            sink.write(data[start : start + size])
            await sink.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
    writer.transport.abort()
