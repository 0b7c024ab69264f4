"""An exchange between two fake sides: judged heads, held and searched bodies, and the tap beside."""

from __future__ import annotations

import pytest

from services.data_plane.core.held_response import MAX_HELD_BYTES
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.relay.exchange_stage import Stage
from services.data_plane.table.compile import compile_integration
from shared.config_feed import IntegrationRow
from shared.rejections import Rejection
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.unit.data_plane.relay.exchange_pair import (
    GET,
    HOST,
    OK,
    POST,
    sent,
    turns,
)
from tests.unit.data_plane.relay.relay_world import KEY, RelayWorld

GEMINI = compile_integration(
    IntegrationRow("acme", "gemini", enabled=True, secret_version=1),
    SecretDocument("acme", "gemini", "https://gemini.example", Secret("not-a-google-key-0123456789")),
    allow_plain_http=False,
)
OLD = b"GET /run9/ai/openai/v1/models HTTP/1.0\r\n" + HOST + b"\r\n"
SAID_NO = b'{"error":{"message":"Missing scopes: api.model.read","code":"missing_scope"}}'


async def test_a_response_is_passed_accounted_and_its_connection_kept() -> None:
    made = await sent()
    assert await made.answer(OK + b"body") == OK + b"body"
    assert made.side.said == ["request sent", "responding", "response complete"]
    record = made.record
    assert (record.status, record.outcome, record.request_id, record.bytes_down) == (
        200,
        "answered",
        "req-9",
        4,
    )
    assert record.seconds_to_head is not None
    assert record.seconds >= record.seconds_to_head
    assert (len(made.world.parts.pool), made.exchange.load.exchanges) == (1, 0)
    assert made.exchange.stage is Stage.ENDED


async def test_the_last_response_of_a_box_connection_says_so() -> None:
    made = await sent()
    made.side.ends_after_response = True
    assert b"Connection: close\r\n" in await made.answer(OK)


async def test_a_connection_whose_request_is_not_whole_is_not_kept() -> None:
    made = await sent(POST, body=b"{")
    made.side.whole = False
    await made.answer(OK + b"body")
    assert (made.provider.ended, len(made.world.parts.pool), made.record.outcome) == ("abort", 0, "answered")


async def test_a_paused_connection_is_read_again_before_it_is_kept() -> None:
    made = await sent()
    made.exchange.box_stalled()
    await made.answer(OK + b"body")
    assert (made.provider.reading_paused, len(made.world.parts.pool)) == (False, 1)


@pytest.mark.parametrize(("ask", "passed"), [(GET, True), (OLD, False)])
async def test_an_interim_head_reaches_only_a_client_that_knows_interim_heads(
    ask: bytes, *, passed: bool
) -> None:
    made = await sent(ask)
    written = await made.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    assert (written == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") is passed
    assert made.exchange.stage is Stage.SENT


async def test_a_key_in_an_interim_head_goes_no_further_and_the_response_still_passes() -> None:
    made = await sent()
    written = await made.answer(b"HTTP/1.1 103 Early Hints\r\nLink: " + KEY.encode() + b"\r\n\r\n", OK)
    assert written == OK


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"401 Unauthorized", b"500 No"])
async def test_a_head_with_the_key_is_not_noted_and_not_passed(status: bytes) -> None:
    made = await sent()
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nX-Request-Id: " + KEY.encode() + b"\r\n\r\n"
    written = await made.answer(head)
    held = status.startswith(b"401")
    assert made.rejection is (Rejection.UPSTREAM_REFUSED_UNEXPLAINED if held else Rejection.UPSTREAM_INVALID)
    assert KEY not in f"{written!r} {made.record.request_id} {made.side.rejected}"
    assert made.record.request_id.startswith("req_")


async def test_a_key_in_the_body_of_an_error_breaks_the_connection_off_wherever_it_is_cut() -> None:
    body = b'{"error":"' + KEY.encode() + b'"}'
    for cut in range(1, len(body)):
        made = await sent()
        head = b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n" % len(body)
        written = await made.answer(head, body[:cut])
        if made.exchange.stage is not Stage.ENDED:
            written = await made.answer(body[cut:])
        assert (made.side.said[-1], made.record.outcome) == ("broken off", "upstream_broke"), cut
        assert KEY.encode() not in written


async def test_an_error_without_the_key_passes_whole() -> None:
    made = await sent()
    written = await made.answer(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n", b"sk-or", b"g-no")
    assert written.endswith(b"\r\n\r\nsk-org-no")
    assert made.record.outcome == "answered"


async def test_a_refused_key_is_told_by_the_gateway_and_the_body_stays_here() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-org-k***","code":"invalid_api_key"}}'
    made = await sent()
    written = await made.answer(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert (made.rejection, written) == (Rejection.UPSTREAM_KEY_REJECTED, b"")
    assert (made.record.upstream_status, made.record.status) == (401, 400)


async def test_a_held_response_that_goes_silent_or_on_is_judged_by_the_bytes_so_far() -> None:
    head = b"HTTP/1.1 401 No\r\nContent-Length: 900000\r\n\r\n"
    silent = await sent(GET, RelayWorld(RelayLimits(write_stall_seconds=3)))
    await silent.answer(head, SAID_NO)
    now = silent.world.parts.now()
    silent.exchange.check_deadline(now, body_awaited=False, stalled=False)
    silent.exchange.check_deadline(now + 2, body_awaited=False, stalled=False)
    assert silent.exchange.stage is Stage.SENT
    silent.exchange.check_deadline(now + 4, body_awaited=False, stalled=False)
    assert silent.rejection is Rejection.UPSTREAM_REQUEST_REFUSED
    endless = await sent()
    await endless.answer(head, SAID_NO.ljust(MAX_HELD_BYTES - 1))
    assert endless.exchange.stage is Stage.SENT
    await endless.answer(b" ")
    assert endless.rejection is not None
    broken = await sent()
    await broken.answer(head, SAID_NO)
    broken.upstream.connection_lost(None)
    assert broken.rejection is Rejection.UPSTREAM_REQUEST_REFUSED


async def test_a_held_response_of_another_status_passes_with_the_pieces_behind() -> None:
    body = b'{"error":{"code":400,"message":"contents is not specified","status":"INVALID_ARGUMENT"}}'
    world = RelayWorld()
    world.table.found = GEMINI
    made = await sent(GET.replace(b"openai/v1", b"gemini/v1beta"), world)
    made.upstream.data_received(b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:9])
    await turns()
    assert made.side.below.written == b""
    written = await made.answer(body[9:])
    assert (written.endswith(b"\r\n\r\n" + body), made.record.status) == (True, 400)


async def test_a_short_response_in_one_piece_is_kept_for_the_tap_as_it_is() -> None:
    made = await sent(POST, RelayWorld(usage_tap=True), b'{"a":1}')
    await made.answer(OK + b"body")
    assert made.world.books.tapped == [b"body"]


async def test_a_response_in_pieces_is_kept_by_a_tap() -> None:
    made = await sent(POST, RelayWorld(usage_tap=True), b'{"a":1}')
    await made.answer(OK + b"bo", b"dy")
    (tapped,) = made.world.books.tapped
    assert isinstance(tapped, UsageTap)
    assert tapped.held_bytes == 4


@pytest.mark.parametrize(("ask", "tap"), [(GET, True), (POST, False)])
async def test_other_methods_and_a_tap_that_is_off_keep_nothing(ask: bytes, *, tap: bool) -> None:
    made = await sent(ask, RelayWorld(usage_tap=tap), b'{"a":1}' if ask is POST else b"")
    await made.answer(OK + b"body")
    assert made.world.books.tapped == [None]


async def test_whole_chunks_pass_directly_only_where_nothing_must_be_searched() -> None:
    plain = await sent(POST, RelayWorld(usage_tap=True), b'{"a":1}')
    await plain.answer(OK)
    box, tap = plain.exchange.passthrough_target()
    assert (box, isinstance(tap, UsageTap)) == (plain.side.transport, True)
    untapped = await sent()
    await untapped.answer(OK)
    assert untapped.exchange.passthrough_target() == (untapped.side.transport, None)
    for status in (b"500 No", b"401 No"):
        searched = await sent()
        await searched.answer(b"HTTP/1.1 " + status + b"\r\nContent-Length: 4\r\n\r\n")
        assert searched.exchange.passthrough_target() == (None, None)
