"""The misbehaving proxy itself: the faults named by the fault tests really happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.fault_proxy import FaultProxy, Weather

LONG_SECONDS = 10.0
SILENCE_SECONDS = 0.2
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    with FaultProxy(echo) as made:
        yield made


async def connected(proxy: FaultProxy) -> Ends:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def ask(ends: Ends, text: bytes = b"hello") -> bytes:
    ends[1].write(text)
    return await asyncio.wait_for(ends[0].readexactly(len(text)), LONG_SECONDS)


async def test_in_fair_weather_bytes_and_ends_pass(proxy: FaultProxy) -> None:
    ends = await connected(proxy)
    assert await ask(ends) == b"hello"
    ends[1].write_eof()
    assert await asyncio.wait_for(ends[0].read(), LONG_SECONDS) == b""
    ends[1].close()


async def test_slices_arrive_whole(proxy: FaultProxy) -> None:
    proxy.set(Weather(slice_bytes=1, delay_seconds=0.01))
    ends = await connected(proxy)
    assert await ask(ends, b"a longer text") == b"a longer text"
    ends[1].close()


@pytest.mark.parametrize("mode", ["black_hole", "half_open"])
async def test_a_silent_connection_stays_open_and_what_a_hole_held_comes_late(
    proxy: FaultProxy, mode: str
) -> None:
    ends = await connected(proxy)
    assert await ask(ends) == b"hello"
    with proxy.under(Weather(mode)):  # type: ignore[arg-type]  # one of the modes
        ends[1].write(b"lost?")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ends[0].read(1), SILENCE_SECONDS)
    expected = b"lost?more!" if mode == "black_hole" else b"more!"
    ends[1].write(b"more!")
    assert await asyncio.wait_for(ends[0].readexactly(len(expected)), LONG_SECONDS) == expected
    ends[1].close()


async def test_refusing_resets_open_and_new_connections(proxy: FaultProxy) -> None:
    ends = await connected(proxy)
    assert await ask(ends) == b"hello"
    with proxy.under(Weather("refuse")):
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(ends[0].read(1), LONG_SECONDS)
        with pytest.raises(ConnectionResetError):
            await _connected_and_read(proxy)
    again = await connected(proxy)
    assert await ask(again) == b"hello"
    again[1].close()


async def test_a_reset_once_leaves_new_connections_alone(proxy: FaultProxy) -> None:
    ends = await connected(proxy)
    assert await ask(ends) == b"hello"
    proxy.reset_all()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(ends[0].read(1), LONG_SECONDS)
    again = await connected(proxy)
    assert await ask(again) == b"hello"
    again[1].close()


async def _connected_and_read(proxy: FaultProxy) -> None:
    """Connect and wait for a byte: the reset may come before the client knows of the connection."""
    fresh = await connected(proxy)
    await asyncio.wait_for(fresh[0].read(1), LONG_SECONDS)
