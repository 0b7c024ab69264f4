"""The copy of the snapshot in a real Redis, and the ways to Redis: users, TLS, Sentinel."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.control_plane.bus.port import BusError
from services.data_plane.table.feed import BusUnavailable, SnapshotUnavailable
from services.data_plane.table.position import Position
from services.data_plane.table.redis_feed import (
    RedisSnapshotCopy,
    SnapshotOrCopy,
)
from shared.clock import unix_now
from shared.config_feed import (
    STREAM_KEY,
    encode_snapshot,
)
from shared.redis_link import UnusableRedis, connect, parse_redis_url
from shared.secret import Secret
from tests.support.config_truth import FakeSnapshotSource, Truth
from tests.support.fault_proxy import FaultProxy
from tests.support.feed_keys import FEED_KEYS
from tests.support.redis_sides import A, B, Sides, copy_in, copy_of, event, sides_of, truth
from tests.support.servers.process import free_port
from tests.support.servers.tools import REPOSITORY
from tests.support.servers.valkey import SentinelServer, ValkeyServer
from tests.support.tls_front import tls_front


@pytest.fixture
async def sides(valkey: ValkeyServer) -> AsyncIterator[Sides]:
    made = sides_of(valkey.url)
    yield made
    await made.aclose()


@pytest.fixture
async def copy(valkey: ValkeyServer) -> AsyncIterator[RedisSnapshotCopy]:
    made = copy_in(valkey)
    yield made
    await made.aclose()


async def test_the_copy_is_read_back_once_for_each_revision(sides: Sides, copy: RedisSnapshotCopy) -> None:
    with pytest.raises(SnapshotUnavailable, match="no copy"):
        await copy.fetch(None)
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    assert await copy.fetch(None) == truth(7)
    assert await copy.fetch(Position(A, 7)) is None
    assert await copy.fetch(Position(A, 6)) == truth(7)


async def test_a_copy_that_was_flushed_is_known_to_be_gone(sides: Sides, valkey: ValkeyServer) -> None:
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    assert await sides.bus.confirm_snapshot(A, 7)
    assert not await sides.bus.confirm_snapshot(A, 8)
    assert not await sides.bus.confirm_snapshot(B, 7)
    with valkey.client() as client:
        client.flushall()
    assert not await sides.bus.confirm_snapshot(A, 7)


async def test_a_copy_that_is_too_large_or_damaged_is_refused(
    sides: Sides, copy: RedisSnapshotCopy, valkey: ValkeyServer
) -> None:
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    small = copy_in(valkey, max_bytes=10)
    with pytest.raises(SnapshotUnavailable, match="larger"):
        await small.fetch(None)
    await small.aclose()
    with valkey.client() as client:
        client.hset("aigw:snapshot", "body", FEED_KEYS.sign("snapshot", b"{}"))
        with pytest.raises(SnapshotUnavailable, match="not a snapshot"):
            await copy.fetch(None)
        client.hset("aigw:snapshot", "body", encode_snapshot(truth(7)))
        with pytest.raises(SnapshotUnavailable, match="no feed key"):
            await copy.fetch(None)


async def test_an_older_copy_that_is_laid_there_again_is_refused(
    sides: Sides, copy: RedisSnapshotCopy, valkey: ValkeyServer
) -> None:
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    with valkey.client() as client:
        old = client.hgetall("aigw:snapshot")
        await sides.bus.keep_snapshot(*copy_of(truth(8)))
        client.hset("aigw:snapshot", "body", old[b"body"])
    with pytest.raises(SnapshotUnavailable, match="another one's stamp"):
        await copy.fetch(None)
    later = copy_in(valkey, now=lambda: unix_now() + 7_200)
    with valkey.client() as client:
        client.hset("aigw:snapshot", mapping=old)
    with pytest.raises(SnapshotUnavailable, match="older than"):
        await later.fetch(None)
    await later.aclose()


async def test_the_copy_serves_only_who_has_less_while_the_control_plane_is_down(
    sides: Sides, copy: RedisSnapshotCopy
) -> None:
    control_plane = FakeSnapshotSource(Truth())
    both = SnapshotOrCopy(control_plane, copy)
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    assert await both.fetch(None) == control_plane.truth.now
    control_plane.down = True
    assert await both.fetch(None) == truth(7)
    assert await both.fetch(Position(A, 6)) == truth(7)
    for known in (Position(A, 7), Position(A, 8), Position(B, 1)):
        with pytest.raises(SnapshotUnavailable, match="the test said so"):
            await both.fetch(known)


# -- the ways to Redis


def users() -> str:
    text = (REPOSITORY / "deploy/redis/users.acl").read_text()
    lines = text.replace("CONTROL_PLANE_PASSWORD", "cp-password").replace(
        "DATA_PLANE_PASSWORD", "dp-password"
    )
    # A test must be able to look behind the users' backs.
    return re.sub(r"^user default off$", "user default on nopass ~* +@all", lines, flags=re.MULTILINE)


async def test_each_plane_can_do_its_part_as_the_user_of_the_example_and_no_more() -> None:
    with ValkeyServer(acl=users()) as server:
        writing = f"redis://aigw-control-plane@127.0.0.1:{server.port}"
        reading = f"redis://aigw-data-plane@127.0.0.1:{server.port}"
        writer = sides_of(writing, password=Secret("cp-password"))
        reader = sides_of(reading, password=Secret("dp-password"))
        await writer.bus.publish(5, event(5))
        await writer.bus.publish(5, event(5))
        await writer.bus.publish(1, event(1, B))
        for number in (1, 2):
            await writer.bus.heartbeat(B, number)
            await writer.bus.heartbeat(B, number)
        await writer.bus.keep_snapshot(*copy_of(truth(7)))
        assert await reader.read(0) == [(1, event(1, B))]
        copy = copy_in(server, client=connect(parse_redis_url(reading), password=Secret("dp-password")))
        assert await copy.fetch(None) == truth(7)
        with pytest.raises(BusError, match="does not allow"):
            await reader.bus.publish(2, event(2))
        with pytest.raises(BusError, match="does not allow"):
            await reader.bus.keep_snapshot(*copy_of(truth(8)))
        with pytest.raises(BusUnavailable, match="does not allow"):
            await writer.read(0)
        for used in (writer, reader, copy):
            await used.aclose()


async def test_a_wrong_password_is_said_so_and_not_shown() -> None:
    with ValkeyServer(acl=users()) as server:
        url = f"redis://aigw-data-plane@127.0.0.1:{server.port}"
        sides = sides_of(url, password=Secret("canary-password"))
        with pytest.raises(BusUnavailable, match="user name or password") as caught:
            await sides.read(0)
        assert "canary" not in str(caught.value)
        await sides.aclose()


async def test_tls_is_verified(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with tls_front(tmp_path, valkey.port) as front:
        trusting = sides_of(f"rediss://127.0.0.1:{front.port}?ca_file={front.ca_file}")
        await trusting.bus.publish(1, event(1))
        assert await trusting.read(0) == [(1, event(1))]
        doubting = sides_of(f"rediss://127.0.0.1:{front.port}")
        with pytest.raises(BusUnavailable, match="cannot be reached"):
            await doubting.read(0)
        for used in (trusting, doubting):
            await used.aclose()


async def test_sentinels_tell_where_the_server_is(valkey: ValkeyServer) -> None:
    with SentinelServer(valkey) as sentinel:
        sides = sides_of(sentinel.url)
        await sides.bus.publish(1, event(1))
        assert await sides.read(0) == [(1, event(1))]
        await sides.aclose()
    with valkey.client() as client:
        assert client.xlen(STREAM_KEY) == 1


async def test_a_primary_that_becomes_a_replica_is_left_although_its_connections_stay() -> None:
    with ValkeyServer() as old, ValkeyServer() as new, FaultProxy(old.port) as proxy:
        sides = sides_of(f"redis://127.0.0.1:{proxy.port}/0")
        await sides.bus.publish(1, event(1))
        proxy._target_port = new.port  # the name leads to the new primary; open connections stay
        with old.client() as client:
            client.replicaof("127.0.0.1", str(new.port))
        with pytest.raises(BusError, match="ReadOnlyError"):
            await sides.bus.publish(2, event(2))
        await sides.bus.publish(2, event(2))
        with new.client() as client:
            assert client.xlen(STREAM_KEY) == 1
        await sides.aclose()


async def test_a_reader_leaves_a_server_that_nobody_writes_to_any_more() -> None:
    with ValkeyServer() as old, ValkeyServer() as new, FaultProxy(old.port) as proxy:
        sides = sides_of(f"redis://127.0.0.1:{proxy.port}/0")
        assert await sides.read(0) == []
        proxy._target_port = new.port
        writer = sides_of(new.url)
        await writer.bus.publish(1, event(1))
        assert await sides.read(0) == []
        sides.clock.now += 60
        with pytest.raises(BusUnavailable, match="nothing was heard"):
            await sides.read(0)
        assert await sides.read(0) == [(1, event(1))]
        await sides.aclose()
        await writer.aclose()


async def test_a_redis_in_cluster_mode_is_refused_by_a_sentence_on_both_sides() -> None:
    with ValkeyServer({"cluster-enabled": "yes"}) as server:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        sides = sides_of(server.url)
        for side in (sides.bus.require_usable(), sides.reader.require_usable()):
            with pytest.raises(UnusableRedis, match="Cluster mode"):
                await side
        await sides.aclose()


async def test_a_redis_that_is_one_server_or_away_is_not_refused(valkey: ValkeyServer) -> None:
    for url in (valkey.url, f"redis://127.0.0.1:{free_port()}/0"):
        sides = sides_of(url)
        await sides.bus.require_usable()
        await sides.reader.require_usable()
        await sides.aclose()
