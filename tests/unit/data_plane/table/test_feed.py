"""Snapshots over HTTP: authenticated, bounded, and with mapped failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from services.data_plane.table.feed import HttpSnapshotSource, SnapshotUnavailable
from services.data_plane.table.position import Position
from shared.config_feed import encode_snapshot
from shared.secret import Secret
from tests.support.config_truth import Truth, row

Handler = Callable[[httpx.Request], httpx.Response]


def source(
    handler: Handler,
    base_url: str = "http://control.example/",
    *,
    max_bytes: int = 10_000,
    total_seconds: float = 30,
) -> HttpSnapshotSource:
    return HttpSnapshotSource(
        base_url,
        Secret("t0ken"),
        transport=httpx.MockTransport(handler),
        max_bytes=max_bytes,
        total_seconds=total_seconds,
    )


def some_truth() -> Truth:
    truth = Truth()
    truth.put(row())
    return truth


async def test_a_snapshot_is_fetched_with_the_internal_token() -> None:
    truth, seen = some_truth(), []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=encode_snapshot(truth.now))

    assert await source(handler).fetch(None) == truth.now
    assert str(seen[0].url) == "http://control.example/internal/v1/snapshot"
    assert seen[0].headers["authorization"] == "Bearer t0ken"
    assert "if-none-match" not in seen[0].headers


async def test_a_known_position_is_asked_for_by_etag_and_nothing_new_is_nothing() -> None:
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["if-none-match"])
        return httpx.Response(304)

    assert await source(handler).fetch(Position("epoch-1", 7)) is None
    assert seen == ['"epoch-1-7"']


@pytest.mark.parametrize("status", [304, 302, 401, 404, 500])
async def test_any_other_answer_is_no_snapshot(status: int) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"location": "http://evil.example/"})

    with pytest.raises(SnapshotUnavailable, match=str(status)):
        await source(handler).fetch(None)


async def test_a_snapshot_larger_than_the_bound_is_not_read_to_its_end() -> None:
    pieces = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pieces
        while True:
            pieces += 1
            yield b" " * 1_000

    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())

    with pytest.raises(SnapshotUnavailable, match="larger"):
        await source(handler).fetch(None)
    assert pieces <= 12


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"schema": 2}'])
async def test_what_is_no_snapshot_is_unavailable(body: bytes) -> None:
    with pytest.raises(SnapshotUnavailable, match="schema 1"):
        await source(lambda _: httpx.Response(200, content=body)).fetch(None)


async def test_a_control_plane_that_is_down_is_named_and_no_credential_is_shown() -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(SnapshotUnavailable) as failure:
        await source(handler, "http://user:passw0rd@control.example:9902/").fetch(None)
    assert (
        str(failure.value)
        == "the control plane cannot be reached at http://control.example:9902 (ConnectError); "
        "AIGW_CONTROL_PLANE_INTERNAL_URL says where it is, AIGW_INTERNAL_TOKEN what it asks for"
    )
    assert "t0ken" not in str(failure.value)
    assert "passw0rd" not in str(failure.value)


async def test_a_control_plane_that_dribbles_is_given_up() -> None:
    async def dribble() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.005)
            yield b" "

    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=dribble())

    with pytest.raises(SnapshotUnavailable, match="in time"):
        await source(handler, total_seconds=0.05).fetch(None)
