"""An upstream connection by bytes alone: where responses end, who is told, and how the connection ends."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field, replace

import pytest

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_head import ResponseHead
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.relay.upstream.connection import (
    MAX_INTERIM_HEADS,
    ConnectionKeeper,
    ResponseUser,
    UpstreamConnection,
)
from services.data_plane.relay.wire.hang_up_watch import HangUpWatch
from services.data_plane.relay.wire.transport import BoxTransport
from services.data_plane.relay.wire.write_batch import WriteBatch
from shared.rejections import Rejection
from tests.unit.data_plane.relay.fake_transport import FakeTransport

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
HEAD = b"<head>"
"""Stands for the head given by the user for the box."""


class Heard(ResponseUser):
    """A user keeping every call; consecutive pieces are joined."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.passed = b""
        self.refused: Refused | None = None
        self.takes_response = True
        self.box: BoxTransport | None = None
        self.tap: UsageTap | None = None

    def interim(self, head: ResponseHead, raw: bytes) -> None:
        self.calls.append(("interim", (head.status, raw)))

    def respond(self, head: ResponseHead, raw: bytes) -> bytes | None:
        self.calls.append(("respond", (head.status, raw)))
        return HEAD if self.takes_response else None

    def relay(self, data: bytes, head: bytes = b"") -> None:
        self.passed += head + data

    def passthrough_target(self) -> tuple[BoxTransport | None, UsageTap | None]:
        return self.box, self.tap

    def response_ended(self, *, reusable: bool) -> None:
        self.calls.append(("ended", reusable))

    def upstream_lost(self, *, response_begun: bool) -> None:
        self.calls.append(("lost", response_begun))

    def upstream_stalled(self) -> None:
        self.calls.append(("stalled", None))

    def upstream_drained(self) -> None:
        self.calls.append(("drained", None))

    def refuse(self, refused: Refused, upstream_status: int = 0) -> None:
        self.refused = refused
        self.calls.append(("refused", upstream_status))

    @property
    def last(self) -> tuple[str, object]:
        return self.calls[-1]


class Kept(ConnectionKeeper):
    """A keeper counting its calls."""

    def __init__(self) -> None:
        self.lost_connections: list[UpstreamConnection] = []
        self.discarded: list[UpstreamConnection] = []

    def lost(self, connection: UpstreamConnection) -> None:
        self.lost_connections.append(connection)

    def discard(self, connection: UpstreamConnection) -> None:
        self.discarded.append(connection)


@dataclass
class Line:
    """A connection with its fake surroundings."""

    limits: RelayLimits = field(default_factory=RelayLimits)
    user: Heard = field(default_factory=Heard)
    keeper: Kept = field(default_factory=Kept)
    below: FakeTransport = field(default_factory=FakeTransport)

    def __post_init__(self) -> None:
        templates = TemplateStore().endpoint("one")
        key = ("acme", "https://provider.example")
        self.connection = UpstreamConnection(self.keeper, key, self.limits, WriteBatch(), 100.0, templates)
        self.connection.connection_made(self.below)

    def begun(self, method: bytes = b"GET") -> Line:
        self.connection.begin(self.user, method, b"<request>")
        return self

    def feed(self, *pieces: bytes) -> Line:
        for piece in pieces:
            self.connection.data_received(piece)
        return self


def events(pieces: list[bytes], method: bytes = b"GET") -> tuple[list[tuple[str, object]], bytes, int]:
    line = Line().begun(method).feed(*pieces)
    return line.user.calls, line.user.passed, line.connection.passed_bytes


async def test_a_request_is_written_at_the_end_of_the_turn() -> None:
    line = Line().begun()
    assert line.below.written == b""
    await asyncio.sleep(0)
    assert line.below.written == b"<request>"
    assert not line.connection.usable


@pytest.mark.parametrize(
    ("response", "method", "passed"),
    [
        (SIZED, b"GET", HEAD + b"body"),
        (INTERIM + SIZED, b"GET", HEAD + b"body"),
        (CHUNKED + b"3\r\nabc\r\n0\r\nx: 1\r\n\r\n", b"GET", HEAD + b"3\r\nabc\r\n0\r\nx: 1\r\n\r\n"),
        (SIZED[:-4], b"HEAD", HEAD),
        (b"HTTP/1.1 204 No\r\n\r\n", b"GET", HEAD),
    ],
)
async def test_a_response_cut_anywhere_gives_the_same_events_as_the_whole_one(
    response: bytes, method: bytes, passed: bytes
) -> None:
    expected = events([response], method)
    assert (expected[0][-1], expected[1]) == (("ended", True), passed)
    assert expected[2] == len(passed) - len(HEAD)
    for cut in range(1, len(response)):
        assert events([response[:cut], response[cut:]], method) == expected, cut
    assert events([bytes([byte]) for byte in response], method) == expected


async def test_after_a_response_the_connection_serves_another_user_and_counts_from_zero() -> None:
    line = Line().begun().feed(SIZED)
    other = Heard()
    line.connection.begin(other, b"GET", b"<second>")
    assert line.connection.passed_bytes == 0
    line.feed(SIZED)
    assert (other.passed, other.last, line.user.passed) == (HEAD + b"body", ("ended", True), HEAD + b"body")


async def test_a_known_template_is_read_with_the_same_result() -> None:
    line = Line()
    for _ in range(8):
        line.begun().feed(SIZED)
    assert line.user.passed == 8 * (HEAD + b"body")
    assert {call for call in line.user.calls if call[0] == "respond"} == {("respond", (200, SIZED[:-4]))}


@pytest.mark.parametrize(
    ("response", "waiting"),
    [
        (SIZED + b"x", 0),
        (b"HTTP/1.1 204 No\r\n\r\nx", 0),
        (SIZED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 0),
        (SIZED.replace(b"1.1", b"1.0"), 0),
        (SIZED, 1),
    ],
)
async def test_a_connection_is_not_reusable_behind_extra_bytes_a_close_or_an_untaken_request(
    response: bytes, waiting: int
) -> None:
    line = Line()
    line.below.waiting = waiting
    line.begun().feed(response)
    assert line.user.last == ("ended", False)
    assert b"x" not in line.user.passed


async def test_bytes_on_an_idle_connection_end_the_connection() -> None:
    line = Line().feed(SIZED)
    assert (line.keeper.discarded, line.below.ended) == ([line.connection], "abort")
    assert not line.connection.usable


async def test_a_body_without_a_length_ends_with_a_clean_end_and_breaks_with_another() -> None:
    clean = Line().begun().feed(UNTIL_CLOSE, b"body")
    assert clean.user.last[0] == "respond"
    clean.connection.connection_lost(None)
    assert (clean.user.last, clean.user.passed) == (("ended", False), HEAD + b"body")
    reset = Line().begun().feed(UNTIL_CLOSE, b"body")
    reset.connection.connection_lost(ConnectionResetError())
    assert reset.user.last == ("lost", True)


@pytest.mark.parametrize(
    ("received", "begun"), [(b"", False), (b"H", True), (INTERIM, True), (SIZED[:-1], True)]
)
async def test_a_lost_connection_says_whether_a_response_had_begun(received: bytes, *, begun: bool) -> None:
    line = Line().begun()
    if received:
        line.feed(received)
    line.connection.connection_lost(None)
    assert (line.user.last, line.keeper.lost_connections) == (("lost", begun), [line.connection])
    assert not line.connection.usable


async def test_a_lost_idle_connection_is_told_to_its_keeper_alone() -> None:
    line = Line()
    line.connection.connection_lost(None)
    assert (line.user.calls, line.keeper.lost_connections) == ([], [line.connection])


async def test_the_response_that_waits_at_the_socket_of_a_reset_connection_is_read_first() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        line = Line()
        line.below.socket = ours
        line.begun()
        theirs.sendall(SIZED)
        line.connection.connection_lost(BrokenPipeError())
    assert (line.user.passed, line.user.last) == (HEAD + b"body", ("ended", True))


async def test_only_so_many_interim_heads_come_before_a_response() -> None:
    line = Line().begun().feed(INTERIM * MAX_INTERIM_HEADS)
    assert line.user.calls == [("interim", (103, INTERIM))] * MAX_INTERIM_HEADS
    line.feed(INTERIM)
    assert (line.user.last[0], line.below.ended) == ("refused", "abort")


@pytest.mark.parametrize(
    ("response", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\nX: " + bytes(300), "its headers are too large"),
        (b"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n", ""),
        (b"SSH-2.0-x\r\n\r\n", ""),
    ],
)
async def test_a_head_that_is_not_valid_is_refused_and_the_connection_aborted(
    response: bytes, detail: str
) -> None:
    line = Line(RelayLimits(max_head_bytes=200)).begun().feed(response)
    assert line.user.refused is not None
    assert line.user.refused.rejection is Rejection.UPSTREAM_INVALID
    assert detail in line.user.refused.detail
    assert line.below.ended == "abort"


async def test_a_body_that_breaks_its_framing_is_a_lost_connection() -> None:
    line = Line().begun().feed(CHUNKED, b"zz\r\n")
    assert (line.user.last, line.below.ended) == (("lost", True), "abort")


async def test_a_user_who_declines_a_response_hears_no_more() -> None:
    line = Line()
    line.user.takes_response = False
    line.begun().feed(SIZED[:-4])
    assert (line.user.last[0], line.user.passed) == ("respond", b"")


async def test_a_switch_passes_every_later_byte_as_it_is() -> None:
    line = Line().begun().feed(SWITCHED + b"ab", b"HTTP/1.1 ")
    assert (line.user.passed, line.connection.passed_bytes) == (HEAD + b"abHTTP/1.1 ", 11)
    line.connection.connection_lost(None)
    assert line.user.last == ("lost", True)


def _box() -> tuple[BoxTransport, FakeTransport]:
    below = FakeTransport()
    return BoxTransport(below, 1_000, WriteBatch(), HangUpWatch(), lambda: None), below


async def test_whole_chunks_go_to_the_box_and_the_tap_without_the_user() -> None:
    line = Line()
    line.user.box, box = _box()
    line.user.tap = UsageTap()
    line.begun().feed(CHUNKED, b"1\r\na\r\n", b"1\r\nb\r\n", b"1\r\nc\r\n")
    assert line.user.passed == HEAD + b"1\r\na\r\n"
    assert (box.written, line.user.tap.held_bytes) == (b"1\r\nb\r\n1\r\nc\r\n", 12)
    assert line.connection.passed_bytes == 18
    line.feed(b"2\r\nd", b"e", b"\r\n", b"0\r\n\r\n")
    assert line.user.passed == HEAD + b"1\r\na\r\n2\r\nde\r\n0\r\n\r\n"
    assert line.user.last == ("ended", True)


async def test_a_body_that_must_be_searched_never_goes_past_its_user() -> None:
    line = Line().begun().feed(CHUNKED, b"1\r\na\r\n", b"1\r\nb\r\n")
    assert line.user.passed == HEAD + b"1\r\na\r\n1\r\nb\r\n"


async def test_a_pause_and_a_resume_are_done_once_and_never_on_a_closing_transport() -> None:
    line = Line().begun()
    line.connection.resume()
    line.connection.pause()
    assert line.below.reading_paused
    line.below.reading_paused = False
    line.connection.pause()
    assert not line.below.reading_paused
    line.below.closing = line.below.reading_paused = True
    line.connection.resume()
    assert line.below.reading_paused


async def test_a_full_write_buffer_is_told_to_the_user_and_ends_a_connection_without_one() -> None:
    line = Line().begun()
    line.connection.pause_writing()
    line.connection.resume_writing()
    assert line.user.calls == [("stalled", None), ("drained", None)]
    idle = Line()
    idle.connection.pause_writing()
    idle.connection.resume_writing()
    assert (idle.keeper.discarded, idle.below.ended) == ([idle.connection], "abort")


async def test_an_abort_ends_at_once_and_the_user_hears_no_more() -> None:
    line = Line().begun().feed(SIZED[:-2])
    line.connection.abort()
    line.connection.connection_lost(None)
    assert (line.below.ended, line.user.last[0]) == ("abort", "respond")
    assert line.connection.idle_since > 0


async def test_a_finish_writes_what_waits_and_closes_and_aborts_only_what_stalls() -> None:
    for waiting, later in ((0, ""), (5, "abort")):
        line = Line(replace(RelayLimits(), write_stall_seconds=0.001)).begun()
        line.below.waiting = waiting
        line.connection.finish()
        line.connection.connection_lost(None)
        assert (line.below.written, line.below.ended) == (b"<request>", "close")
        line.below.ended = ""
        await asyncio.sleep(0.05)
        assert line.below.ended == later
        assert line.user.calls == []


async def test_a_second_request_on_a_busy_connection_is_an_error_of_the_gateway() -> None:
    line = Line().begun()
    with pytest.raises(AssertionError):
        line.connection.begin(Heard(), b"GET", b"<second>")
