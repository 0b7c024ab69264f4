"""No limit without a test of its bite, and the limits which need a provider or a splice to bite."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
from pathlib import Path

import pytest

from services.data_plane.core.limits import RelayLimits
from tests.relay.conftest import HANDSHAKE, SWITCHED, RunRelay, raw_upstream, request

TESTS = Path(__file__).parents[1]
FILES = (
    *(TESTS / "relay").glob("test_*.py"),
    *(TESTS / "faults" / "relay").glob("test_*.py"),
    TESTS / "unit" / "data_plane" / "test_box_listeners.py",
    TESTS / "unit" / "data_plane" / "relay" / "test_tls_handshake.py",
)
STARTS = {"run_relay", "serving", "started"}
"""Functions with limits as keywords."""
MIB = 1024 * 1024


def _names_in_tests() -> set[str]:
    """Every name set by a test: a keyword of a function in `STARTS`, or a key of a table of limits."""
    names: set[str] = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STARTS:
                names.update(keyword.arg for keyword in node.keywords if keyword.arg)
            elif isinstance(node, ast.Dict):
                names.update(str(key.value) for key in node.keys if isinstance(key, ast.Constant))
    return names


@pytest.mark.parametrize("limit", [field.name for field in dataclasses.fields(RelayLimits)])
def test_every_limit_is_set_by_a_test_that_shows_it_bite(limit: str) -> None:
    assert limit in _names_in_tests()


async def test_a_provider_that_takes_nothing_of_a_body_is_a_timeout(run_relay: RunRelay) -> None:
    gateway, stop = await run_relay(write_stall_seconds=0.5), asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001  # it is deaf
        await stop.wait()

    async with raw_upstream(deaf) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", f"Content-Length: {64 * MIB}") + b"x" * 64 * MIB)
        head, _ = await client.read_answer()
        stop.set()
    assert head.startswith(b"HTTP/1.1 504 ")
    assert b"x-run9-error: upstream_timeout\r\n" in head


@pytest.mark.parametrize("deaf_side", ["the box", "the provider"])
async def test_a_splice_buffers_little_for_a_side_that_does_not_read(
    run_relay: RunRelay, deaf_side: str
) -> None:
    gateway, stop = await run_relay(), asyncio.Event()

    async def talking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHED)
        while deaf_side == "the box":
            writer.write(b"x" * MIB)
            await writer.drain()
        await stop.wait()

    async with raw_upstream(talking) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("GET", "/v1/realtime", *HANDSHAKE))
        await client.read_head()
        if deaf_side == "the box":
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
        else:
            client.send(b"y" * 64 * MIB)
        await asyncio.sleep(1)
        connection = next(iter(gateway.connections))
        exchange = gateway.exchanges[0]
        assert exchange._upstream is not None
        assert connection.transport.raw.get_write_buffer_size() < 4 * MIB
        assert exchange._upstream._transport.get_write_buffer_size() < 4 * MIB
        if deaf_side == "the provider":
            assert client.writer.transport.get_write_buffer_size() > 32 * MIB
        client.abort()
        stop.set()
