"""What every bus's write side does."""

from __future__ import annotations

from services.control_plane.bus.memory import MemoryBus
from shared.memory_stream import MemoryStream


async def test_events_arrive_in_order_under_their_revisions_and_a_repeat_is_dropped() -> None:
    stream = MemoryStream()
    bus = MemoryBus(stream)
    for revision in (1, 2, 2, 1, 3):
        await bus.publish(revision, b"event %d" % revision)
    assert await stream.read(0, 1) == [(1, b"event 1"), (2, b"event 2"), (3, b"event 3")]
