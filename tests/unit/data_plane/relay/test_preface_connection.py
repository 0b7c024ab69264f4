"""A connection until its preface is whole: proved, unproven, refused, late, or a health check. No socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_reader import LINGER_SECONDS
from services.data_plane.core.unidentified import IdentityFault, Unidentified
from services.data_plane.relay.box.connection import BoxConnection
from services.data_plane.relay.ports import Identity
from services.data_plane.relay.preface_connection import PrefaceConnection, preface_protocol_factory
from shared.box_token import Box
from shared.proxy_preface import SIGNATURE, encode_preface
from shared.rejections import Rejection
from tests.unit.data_plane.relay.fake_transport import FakeTransport
from tests.unit.data_plane.relay.whole_relay import ANSWER, TO_OPENAI, WholeRelay

GOOD = b"a-good-token"
BOX = Box("acme", "box-1", "life-1", float("inf"))


class Proven:
    """The identity of a proved connection."""

    box = BOX

    def identify(self, _token: bytes | None) -> Box:
        return BOX


class Unproven:
    """The identity of a connection whose requests are told why."""

    def __init__(self, why: Unidentified) -> None:
        self._why = why

    def identify(self, _token: bytes | None) -> Box:
        raise Unidentified(str(self._why), self._why.fault, of_connection=True)


class Door:
    """Proves one token, and keeps the faults of every refusal."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def prove(self, token: bytes) -> Proven:
        if token != GOOD:
            raise Unidentified("its token has expired", "expired")
        return Proven()

    def unproven(self, why: Unidentified) -> Identity:
        return Unproven(why)

    def refuse(self, detail: str, fault: IdentityFault) -> Unidentified:
        self.faults.append(fault)
        return Unidentified(detail, fault)


class Listener(WholeRelay):
    """A relay with a listener for prefaces."""

    def __init__(self, limits: RelayLimits | None = None) -> None:
        super().__init__(limits)
        self.door, self.ready = Door(), True

    def come(self) -> tuple[PrefaceConnection, FakeTransport]:
        make = preface_protocol_factory(self.relay, self.door, lambda: self.ready)
        config = cast("Any", SimpleNamespace())
        protocol = make(config=config, server_state=self.state, app_state={}, _loop=None)
        transport = FakeTransport()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return cast("PrefaceConnection", protocol), transport


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    made = Listener()
    yield made
    await made.relay.aclose()


def feed(transport: FakeTransport, data: bytes) -> None:
    cast("asyncio.Protocol", transport.get_protocol()).data_received(data)


async def test_a_preface_cut_anywhere_proves_the_box_of_the_request_behind(listener: Listener) -> None:
    data = encode_preface(GOOD) + TO_OPENAI
    for cut in range(1, len(data)):
        _, transport = listener.come()
        feed(transport, data[:cut])
        feed(transport, data[cut:])
        connection = transport.get_protocol()
        assert isinstance(connection, BoxConnection), cut
        assert connection.box == BOX
        await asyncio.sleep(0)
        await listener.answer()
        assert transport.written == ANSWER, cut
        connection.connection_lost(None)
    assert {record.org for record in listener.books.records} == {"acme"}
    assert (len(listener.state.connections), len(listener.relay.connection_limits.unidentified)) == (0, 0)


async def test_a_refused_token_is_told_to_the_request_behind_and_reaches_no_provider(
    listener: Listener,
) -> None:
    _, transport = listener.come()
    feed(transport, encode_preface(b"another-token") + TO_OPENAI)
    await asyncio.sleep(0.005)
    assert b"x-run9-error: box_identity_required" in transport.written
    assert b"its token has expired" in transport.written
    assert listener.egress.connections == []


async def test_a_request_without_a_preface_is_told_so_in_the_providers_shape(listener: Listener) -> None:
    _, transport = listener.come()
    feed(transport, TO_OPENAI)
    await asyncio.sleep(0.005)
    assert b"x-run9-error: box_identity_required" in transport.written
    assert b'"type": "invalid_request_error"' in transport.written
    assert (listener.door.faults, listener.egress.connections) == (["no_preface"], [])


async def test_a_preface_that_breaks_the_rules_is_answered_booked_and_ended_after_a_moment(
    listener: Listener,
) -> None:
    connection, transport = listener.come()
    feed(transport, SIGNATURE + b"\x11" + TO_OPENAI)
    assert (listener.door.faults, transport.half_closed, transport.ended) == (["bad_preface"], True, "")
    assert transport.written.startswith(b"HTTP/1.1 400 ")
    record = listener.books.records[0]
    assert (record.code, record.org, record.status) == ("box_identity_required", "", 400)
    assert record.request_id.encode() in transport.written
    answer = transport.written
    feed(transport, TO_OPENAI)
    assert (transport.written, len(listener.books.records)) == (answer, 1)
    assert connection._timer is not None
    assert connection._timer.when() - asyncio.get_running_loop().time() <= LINGER_SECONDS
    connection.connection_lost(None)
    assert connection._timer is None


@pytest.mark.parametrize(("ready", "status"), [(True, b"200"), (False, b"503")])
async def test_a_local_preface_is_a_health_check(listener: Listener, *, ready: bool, status: bytes) -> None:
    listener.ready = ready
    _, transport = listener.come()
    feed(transport, encode_preface(b"", command="local") + TO_OPENAI)
    assert transport.written.startswith(b"HTTP/1.1 " + status)
    assert (listener.egress.connections, listener.books.records) == ([], [])


async def test_a_transport_that_cannot_be_half_closed_is_written_to_all_the_same(listener: Listener) -> None:
    _, transport = listener.come()
    transport.half_closable = False
    feed(transport, SIGNATURE + b"\x11")
    assert transport.written.startswith(b"HTTP/1.1 400 ")
    assert not transport.half_closed


async def test_a_preface_that_does_not_come_in_time_is_counted_and_its_connection_aborted() -> None:
    listener = Listener(RelayLimits(preface_seconds=0.01))
    _, late = listener.come()
    _, early = listener.come()
    feed(late, encode_preface(GOOD)[:-1])
    feed(early, encode_preface(GOOD))
    await asyncio.sleep(0.05)
    assert (late.ended, early.ended, listener.door.faults) == ("abort", "", ["late_preface"])
    await listener.relay.aclose()


async def test_in_a_full_process_a_connection_is_aborted_before_it_may_wait() -> None:
    listener = Listener(RelayLimits(max_connections=1))
    listener.state.connections.add(cast("Any", object()))
    _, transport = listener.come()
    assert (transport.ended, len(listener.state.connections)) == ("abort", 1)
    assert dict(listener.relay.connection_limits.cap_log.refused)["all"] == 1
    await listener.relay.aclose()


async def test_a_connection_makes_room_for_a_newer_one_and_ends_when_uvicorn_drains(
    listener: Listener,
) -> None:
    displaced, first = listener.come()
    drained, second = listener.come()
    assert len(listener.relay.connection_limits.unidentified) == 2
    displaced.displace(Refused(Rejection.OVERLOADED))
    drained.shutdown()
    assert (first.ended, second.ended) == ("abort", "close")
    for connection in (displaced, drained):
        connection.connection_lost(None)
    assert (len(listener.state.connections), len(listener.relay.connection_limits.unidentified)) == (0, 0)
