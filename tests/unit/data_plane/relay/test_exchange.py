"""An exchange between two fake sides: the request on its way to the provider, and every ending."""

from __future__ import annotations

import pytest

from services.data_plane.core.integration import NotReady
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.relay.exchange_stage import Stage
from shared.providers import ProviderName
from shared.rejections import Rejection
from tests.unit.data_plane.relay.exchange_pair import (
    CHUNKED,
    GET,
    OK,
    POST,
    SWITCHED,
    UPGRADE,
    pair,
    pooled,
    sent,
    turns,
)
from tests.unit.data_plane.relay.relay_world import INTEGRATION, KEY, HeldTable, RelayWorld

# Prepare and send.


async def test_with_a_pooled_connection_the_request_leaves_in_the_turn_of_its_start() -> None:
    world = RelayWorld()
    connection = await pooled(world)
    made = pair(POST, world)
    made.exchange.start(b'{"a":1}')
    assert made.exchange.stage is Stage.SENT
    assert (made.record.reused, made.record.secret_version, made.record.bytes_up) == (True, 1, 7)
    assert made.record.seconds_to_send is not None
    await turns()
    assert world.dialer.connections == [connection]
    assert world.sent.startswith(b"POST /v1/responses HTTP/1.1\r\n")
    assert world.sent.endswith(b'\r\n\r\n{"a":1}')
    assert world.sent.count(KEY.encode()) == 1
    assert made.side.said == ["request sent"]


async def test_body_pieces_before_the_connection_are_kept_and_sent_in_order_behind_the_head() -> None:
    made = pair(POST)
    made.exchange.start(b'{"a')
    made.exchange.send_body(b'":1')
    assert (made.exchange.stage, made.exchange.unsent_bytes) == (Stage.PREPARING, 6)
    await turns()
    assert made.exchange.unsent_bytes == 0
    made.exchange.send_body(b"}")
    await turns()
    assert made.world.sent.endswith(b'\r\n\r\n{"a":1}')
    assert (made.record.reused, made.record.bytes_up) == (False, 7)


async def test_a_chunked_body_above_the_limit_ends_the_request_and_its_connection() -> None:
    made = await sent(CHUNKED, RelayWorld(RelayLimits(max_body_bytes=10)), b"5\r\nabcde\r\n")
    assert made.exchange.stage is Stage.SENT
    made.exchange.send_body(b"x")
    assert (made.rejection, made.provider.ended) == (Rejection.BODY_TOO_LARGE, "abort")


async def test_a_body_above_the_limit_before_the_connection_dials_nothing() -> None:
    early = pair(CHUNKED, RelayWorld(RelayLimits(max_body_bytes=10)))
    early.exchange.start(b"5\r\nabcde\r\nx")
    await turns()
    assert (early.rejection, early.world.dialer.connections) == (Rejection.BODY_TOO_LARGE, [])


async def test_a_splice_has_no_body_limit() -> None:
    made = await sent(UPGRADE, RelayWorld(RelayLimits(max_body_bytes=10)))
    await made.answer(SWITCHED)
    made.exchange.send_body(bytes(11))
    await turns()
    assert (made.exchange.stage, made.provider.written[-11:]) == (Stage.SPLICED, bytes(11))


@pytest.mark.parametrize(
    ("why", "rejection"),
    [
        (NotReady.MISSING, Rejection.INTEGRATION_MISSING),
        (NotReady.DISABLED, Rejection.INTEGRATION_DISABLED),
        (NotReady.UNKNOWN, Rejection.CONFIG_UNAVAILABLE),
    ],
)
async def test_without_an_integration_the_request_is_refused_at_once(
    why: NotReady, rejection: Rejection
) -> None:
    made = pair()
    made.world.table.found = why
    made.exchange.start(b"")
    assert (made.rejection, made.record.code, made.record.outcome) == (rejection, rejection.code, "rejected")
    assert made.record.request_id.startswith("req_")
    assert (made.world.books.records, made.exchange.load.exchanges) == ([made.record], 0)


class _BrokenTable(HeldTable):
    async def load(self, org: str, provider: ProviderName) -> None:
        raise RuntimeError(org, provider)


async def test_a_fault_of_the_gateway_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = RelayWorld()
    world.parts.table = _BrokenTable(NotReady.LOADING)
    made = await sent(GET, world)
    assert made.rejection is Rejection.CONFIG_UNAVAILABLE
    assert [line.message for line in caplog.records] == ["an exchange could not be prepared"]


async def test_a_provider_is_paused_from_the_first_byte_while_the_box_takes_nothing() -> None:
    made = pair()
    made.side.transport.write_paused = True
    made.exchange.start(b"")
    await turns()
    assert made.provider.reading_paused


# Back-pressure and deadlines.


async def test_each_side_pauses_the_other() -> None:
    made = await sent()
    paused = []
    for happens in (made.exchange.box_stalled, made.exchange.box_drained):
        happens()
        paused.append(made.provider.reading_paused)
    assert paused == [True, False]
    made.side.transport.pause_reading()
    made.upstream.pause_writing()
    made.upstream.resume_writing()
    assert made.side.said[-1] == "provider stalled"
    assert not made.side.below.reading_paused


async def test_silence_ends_a_sent_request_and_moved_bytes_begin_the_time_again() -> None:
    made = await sent(POST, RelayWorld(RelayLimits(body_progress_seconds=10)), b"{")
    now = made.world.parts.now()
    made.exchange.check_deadline(now, body_awaited=True, stalled=False)
    made.exchange.send_body(b'"')
    made.exchange.check_deadline(now + 9, body_awaited=True, stalled=False)
    made.exchange.check_deadline(now + 18, body_awaited=True, stalled=False)
    assert made.exchange.stage is Stage.SENT
    made.exchange.check_deadline(now + 20, body_awaited=True, stalled=False)
    assert made.rejection is Rejection.REQUEST_TIMEOUT


async def test_silence_within_a_response_is_a_visible_break_with_its_code() -> None:
    made = await sent(GET, RelayWorld(RelayLimits(idle_seconds=10)))
    await made.answer(OK + b"bo")
    now = made.world.parts.now()
    made.exchange.check_deadline(now, body_awaited=False, stalled=False)
    made.exchange.check_deadline(now + 11, body_awaited=False, stalled=False)
    assert (made.side.said[-1], made.rejection) == ("broken off", None)
    assert (made.record.outcome, made.record.code) == ("cut", Rejection.UPSTREAM_TIMEOUT.code)


async def test_preparing_has_no_deadline_of_the_exchange() -> None:
    made = pair()
    made.exchange.check_deadline(made.world.parts.now() + 10_000, body_awaited=False, stalled=False)
    assert (made.rejection, made.exchange.stage) == (None, Stage.PREPARING)


# Endings.


async def test_a_dead_pooled_connection_is_replaced_by_a_new_one_for_a_repeatable_request_once() -> None:
    world = RelayWorld()
    first, second = await pooled(world), await pooled(world)
    made = await sent(GET, world)
    second.connection_lost(None)
    await turns()
    assert (first.usable, len(world.dialer.connections), made.record.reused) == (True, 3, False)
    made.upstream.connection_lost(None)
    await turns()
    assert (made.rejection, len(world.dialer.connections)) == (Rejection.UPSTREAM_UNREACHABLE, 3)


async def test_a_request_is_not_repeated_once_any_byte_has_come_back() -> None:
    world = RelayWorld()
    connection = await pooled(world)
    made = await sent(GET, world)
    connection.data_received(b"HTTP/1.1 2")
    connection.connection_lost(None)
    assert made.rejection is Rejection.UPSTREAM_UNREACHABLE


async def test_a_request_with_a_body_is_never_repeated() -> None:
    world = RelayWorld()
    connection = await pooled(world)
    made = await sent(POST, world, b'{"a":1}')
    connection.connection_lost(None)
    await turns()
    assert (made.rejection, len(world.dialer.connections)) == (Rejection.UPSTREAM_UNREACHABLE, 1)


async def test_a_response_that_breaks_is_a_visible_break() -> None:
    made = await sent()
    await made.answer(OK + b"bo")
    made.upstream.connection_lost(None)
    assert (made.side.said[-1], made.record.outcome, made.record.bytes_down) == (
        "broken off",
        "upstream_broke",
        2,
    )


async def test_a_splice_ends_cleanly_from_either_side_and_passes_the_last_bytes() -> None:
    made = await sent(UPGRADE)
    await made.answer(SWITCHED)
    made.upstream.connection_lost(None)
    assert (made.side.said[-1], made.record.outcome) == ("closed", "spliced")
    left = await sent(UPGRADE)
    await left.answer(SWITCHED)
    left.exchange.send_body(b"bye")
    left.exchange.box_gone()
    assert (left.provider.ended, left.provider.written[-3:]) == ("close", b"bye")
    assert left.record.outcome == "spliced"


@pytest.mark.parametrize("answered", [b"", OK + b"b"])
async def test_a_box_that_leaves_ends_the_upstream_connection_at_once(answered: bytes) -> None:
    made = await sent()
    await made.answer(answered)
    made.exchange.box_gone()
    assert (made.provider.ended, made.record.outcome) == ("abort", "client_gone")
    assert made.world.books.records == [made.record]


async def test_a_box_that_leaves_while_a_connection_is_made_ends_the_making() -> None:
    made = pair()
    made.exchange.start(b"")
    made.exchange.box_gone()
    await turns()
    assert (made.world.dialer.connections, made.record.outcome) == ([], "client_gone")


async def test_an_abort_is_an_answer_before_the_response_and_a_break_within_and_nothing_after() -> None:
    disabled = Refused(Rejection.INTEGRATION_DISABLED)
    early, within, after = await sent(), await sent(), await sent()
    early.exchange.abort(disabled)
    await within.answer(OK + b"b")
    within.exchange.abort(disabled)
    await after.answer(OK + b"body")
    after.exchange.abort(disabled)
    assert [made.side.said[-1] for made in (early, within, after)] == [
        "rejected",
        "broken off",
        "response complete",
    ]
    assert [made.record.outcome for made in (early, within, after)] == ["rejected", "cut", "answered"]
    assert [len(made.world.books.records) for made in (early, within, after)] == [1, 1, 1]
    assert [made.provider.ended for made in (early, within, after)] == ["abort", "abort", ""]


async def test_the_books_search_with_the_orgs_key_wherever_the_key_is_in_memory() -> None:
    answered, early, without = await sent(), pair(), pair()
    await answered.answer(OK + b"body")
    early.exchange.abort(Refused(Rejection.OVERLOADED))
    without.world.table.found = NotReady.MISSING
    without.exchange.start(b"")
    found = [made.world.books.keys for made in (answered, early, without)]
    assert found == [[INTEGRATION.key_search], [INTEGRATION.key_search], [None]]
