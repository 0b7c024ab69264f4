"""A forward proxy of a company: tunnels by CONNECT to names of its own, and may want credentials."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Final

from tests.support.proxy_thread import READ_BYTES, ProxyThread

HEAD_END: Final = b"\r\n\r\n"


class ConnectProxy(ProxyThread):
    """Tunnels every name to loopback, at the requested port.

    Attributes:
        asked: the requested hosts, a host for each tunnel made.
    """

    def __init__(self, credentials: str = "") -> None:
        super().__init__(0)
        self._wanted = base64.b64encode(credentials.encode()).decode() if credentials else ""
        self.asked: list[str] = []

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                head = (await reader.readuntil(HEAD_END)).decode()
                method, target, _ = head.split(" ", 2)
                if method != "CONNECT" or (self._wanted and f"Basic {self._wanted}" not in head):
                    writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                    await writer.drain()
                    return
                host, _, port = target.rpartition(":")
                self.asked.append(host)
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", int(port))
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            finally:
                writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
