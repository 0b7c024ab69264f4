"""A TLS front for a plain server of this machine, for servers that are built without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class TlsFront:
    """The front's port on 127.0.0.1, and the authority of its certificate."""

    port: int
    ca_file: Path


@asynccontextmanager
async def tls_front(
    folder: Path, plain_port: int, *, ends: datetime | None = None
) -> AsyncIterator[TlsFront]:
    """Accept TLS and pass the bytes to 127.0.0.1:`plain_port`; the certificate is valid until `ends`."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begins = None if ends is None else ends - timedelta(days=90)
    authority.issue_cert("127.0.0.1", not_before=begins, not_after=ends).configure_cert(context)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", plain_port)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    try:
        yield TlsFront(server.sockets[0].getsockname()[1], ca_file)
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
