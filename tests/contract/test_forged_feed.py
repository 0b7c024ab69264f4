"""Somebody who writes to Redis without a feed key: nothing of theirs is applied, no change is swallowed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.control_plane.bus.redis import RedisBus
from services.data_plane.core.integration import NotReady
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.forgeries import Forgeries
from services.data_plane.table.position import Position
from services.data_plane.table.redis_feed import COMMAND_SECONDS_OF_A_READER, RedisBusReader
from services.data_plane.table.secrets import SecretLoader
from services.data_plane.table.sync import ConfigSync, SyncTimes
from shared.clock import unix_now
from shared.config_feed import (
    EVENT_FIELD,
    HEARTBEAT_FIELD,
    HEARTBEAT_KEY,
    SNAPSHOT_KEY,
    STREAM_KEY,
    Event,
    Heartbeat,
    IntegrationRow,
    NodeRow,
    OrgRow,
    encode_event,
    encode_heartbeat,
)
from shared.feed_signature import FeedKeys
from shared.redis_link import connect, parse_redis_url
from shared.secret import Secret
from shared.tasks import TaskSet
from tests.support.config_truth import EPOCH, FakeSecretReader, FakeSnapshotSource, Truth, row
from tests.support.feed_keys import FEED_KEYS, signed
from tests.support.servers.valkey import ValkeyServer
from tests.unit.shared.test_feed_signature import mutate

FORGED_AT_ONCE = 2_000
ROUNDS = 50
"""So many rounds of so many mutations are 100,000."""
ENFORCED_SECONDS = 15.0
STRANGER = FeedKeys(Secret("a-key-that-the-stranger-has-made-up-0123456789"))


class Plant:
    """A publisher and one data plane's configuration on a real Redis, without any poll that could heal."""

    def __init__(self, valkey: ValkeyServer) -> None:
        self.truth = Truth()
        self.valkey = valkey
        target = parse_redis_url(valkey.url)
        self.bus = RedisBus(connect(target), FEED_KEYS, unix_now)
        self.forgeries = Forgeries(time.monotonic)
        client = connect(target, command_seconds=COMMAND_SECONDS_OF_A_READER)
        self.reader = reader = RedisBusReader(
            client, FEED_KEYS, self.forgeries, monotonic=time.monotonic, clock=unix_now, silence_seconds=3_600
        )
        loader = SecretLoader(FakeSecretReader(), monotonic=time.monotonic)
        self.table = ConfigTable(loader, clock=time.monotonic, max_age_seconds=3_600, allow_plain_http=False)
        self.snapshots = FakeSnapshotSource(self.truth)
        times = SyncTimes(poll_seconds=3_600, poll_without_bus_seconds=3_600, spread_seconds=0.1)
        self.sync = ConfigSync(
            self.table, self.snapshots, reader, random=random.Random(1).random, times=times
        )

    async def publish(self, event: Event) -> None:
        """Do as the outbox relay does: the event, then the heartbeat."""
        await self.bus.publish(event.revision, encode_event(event))
        await self.bus.heartbeat(event.epoch, event.revision)

    async def enforced(self) -> None:
        """Wait until the data plane is where the truth is."""
        now = Position(self.truth.now.epoch, self.truth.now.revision)
        async with asyncio.timeout(ENFORCED_SECONDS):
            while self.table.position != now:  # noqa: ASYNC110  # another task changes it
                await asyncio.sleep(0.005)

    def lay(self, key: str, fields: dict[str, bytes], place: str = "*") -> None:
        """Write as the stranger."""
        given: Any = fields
        with self.valkey.client() as client:
            client.xadd(key, given, id=place)


@pytest.fixture
async def plant(valkey: ValkeyServer) -> AsyncIterator[Plant]:
    made = Plant(valkey)
    async with running(made):
        yield made


@asynccontextmanager
async def running(plant: Plant) -> AsyncIterator[None]:
    tasks = TaskSet()
    tasks.start(plant.sync.run(), "sync")
    try:
        await plant.sync.loaded.wait()
        yield
    finally:
        await tasks.aclose()
        await plant.bus.aclose()
        await plant.reader.aclose()


FORGED = {
    "put_node": {"node": NodeRow("stranger", "stranger-key", "A" * 43)},
    "put_integration": {"integration": IntegrationRow("forged", "openai", enabled=True, secret_version=1)},
    "clear_integration": {"integration": IntegrationRow("acme", "openai", enabled=False, secret_version=1)},
    "put_org": {"org": OrgRow("forged", "Forged", ("stranger@elsewhere.test",))},
    "remove_org": {"org": OrgRow("acme", "Acme", ())},
    "remove_node": {"node": NodeRow("node", "kid", "A" * 43)},
}


@pytest.mark.parametrize("op", FORGED)
async def test_a_forged_event_under_the_next_revision_is_not_applied_and_swallows_nothing(
    plant: Plant, op: Any
) -> None:
    await plant.publish(plant.truth.put(row()))
    await plant.enforced()
    forged = encode_event(Event(EPOCH, 2, op, **FORGED[op]))  # type: ignore[arg-type]  # by name
    plant.lay(STREAM_KEY, {EVENT_FIELD: forged}, "2-0")
    plant.lay(STREAM_KEY, {EVENT_FIELD: STRANGER.sign("event", forged, place=3)}, "3-0")
    await noted(plant, 2)
    assert plant.table.position == Position(EPOCH, 1)
    await plant.publish(plant.truth.put(row(enabled=False)))
    await plant.enforced()
    assert plant.table.look_up("acme", "openai") is NotReady.DISABLED
    assert plant.table.look_up("forged", "openai") is NotReady.MISSING
    assert plant.table.org("forged") is None
    assert not plant.table.node_keys


async def noted(plant: Plant, count: int) -> None:
    async with asyncio.timeout(ENFORCED_SECONDS):
        while plant.forgeries.count < count:  # noqa: ASYNC110  # another task changes it
            await asyncio.sleep(0.005)


async def test_a_signed_event_that_is_played_again_changes_nothing_and_swallows_nothing(plant: Plant) -> None:
    first = plant.truth.put(row())
    await plant.publish(first)
    await plant.publish(plant.truth.put(row(enabled=False)))
    await plant.enforced()
    plant.lay(STREAM_KEY, {EVENT_FIELD: signed(1, encode_event(first))}, "3-0")
    await noted(plant, 1)
    await plant.publish(plant.truth.put(row("other")))
    await plant.enforced()
    assert plant.table.look_up("acme", "openai") is NotReady.DISABLED


async def test_a_signed_event_of_an_epoch_that_has_ended_changes_nothing_and_swallows_nothing(
    plant: Plant,
) -> None:
    await plant.publish(plant.truth.put(row()))
    await plant.enforced()
    old = Event("epoch-0", 2, "put_integration", integration=row("old"))
    for _ in range(3):
        with plant.valkey.client() as client:
            client.delete(STREAM_KEY)
        plant.lay(STREAM_KEY, {EVENT_FIELD: signed(2, encode_event(old))}, "2-0")
        await asyncio.sleep(0.1)
    await plant.publish(plant.truth.put(row(enabled=False)))
    await plant.enforced()
    assert plant.table.look_up("old", "openai") is NotReady.MISSING


async def test_forged_and_old_heartbeats_confirm_nothing(plant: Plant) -> None:
    await plant.publish(plant.truth.put(row()))
    await plant.enforced()
    await asyncio.sleep(0.3)  # until the true heartbeat was heard
    asked = len(plant.snapshots.asked)
    now = unix_now()
    old = FEED_KEYS.sign("heartbeat", encode_heartbeat(Heartbeat(EPOCH, 1, now - 3_600)))
    forged = STRANGER.sign("heartbeat", encode_heartbeat(Heartbeat(EPOCH, 9, now + 1)))
    age = plant.table.age_seconds
    for beat in (old, forged, b"", b"garbage"):
        plant.lay(HEARTBEAT_KEY, {HEARTBEAT_FIELD: beat})
    await noted(plant, 3)
    assert plant.table.age_seconds >= age
    assert len(plant.snapshots.asked) == asked
    plant.lay(HEARTBEAT_KEY, {HEARTBEAT_FIELD: b"x"}, "18446744073709551615-18446744073709551615")
    await plant.publish(plant.truth.put(row(enabled=False)))
    await plant.enforced()


@pytest.mark.parametrize("key", [STREAM_KEY, HEARTBEAT_KEY, SNAPSHOT_KEY])
async def test_a_key_of_another_type_is_taken_away(plant: Plant, key: str) -> None:
    with plant.valkey.client() as client:
        client.set(key, b"in the way")
    await plant.publish(plant.truth.put(row()))
    await plant.enforced()
    await plant.bus.keep_snapshot(EPOCH, 1, b"body")
    with plant.valkey.client() as client:
        assert client.hget(SNAPSHOT_KEY, "body") == FEED_KEYS.sign("snapshot", b"body")


def of_every_kind(revision: int) -> list[bytes]:
    """Sign an event of each kind under this revision, as the control plane would; only mutations are laid."""
    return [
        signed(revision, encode_event(Event(EPOCH, revision, op, **FORGED[op])))  # type: ignore[arg-type]  # by name
        for op in FORGED
    ]


async def test_of_a_hundred_thousand_mutations_in_the_stream_none_is_applied_and_no_change_is_swallowed(
    plant: Plant,
) -> None:
    dice = random.Random(18)
    enabled = True
    for turn in range(ROUNDS):
        change = plant.truth.put(row(enabled=enabled))
        enabled = not enabled
        originals = [signed(change.revision, encode_event(change)), *of_every_kind(change.revision)]
        true = originals[turn % len(originals)]
        with plant.valkey.client() as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(FORGED_AT_ONCE):
                if (mutated := mutate(dice, true)) == true:
                    continue
                given: Any = {EVENT_FIELD: mutated}
                pipeline.xadd(STREAM_KEY, given, id=f"{change.revision}-{number + 1}")
            await asyncio.to_thread(pipeline.execute)
        await plant.publish(change)
        await plant.enforced()
        assert plant.table.row("acme", "openai") == row(enabled=not enabled)
    assert plant.table.counts()["orgs"] == 0
    assert plant.table.look_up("forged", "openai") is NotReady.MISSING
    assert not plant.table.node_keys
    assert plant.forgeries.count > 0
