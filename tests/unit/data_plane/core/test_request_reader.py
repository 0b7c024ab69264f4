"""Requests of one connection: wherever bytes are cut, the same requests are found, and nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.data_plane.core.framing import MAX_DISCARDED_BODY_BYTES, BadFraming
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import parse_request_head
from services.data_plane.core.request_reader import (
    ENDINGS,
    LINGER_SECONDS,
    After,
    Found,
    Phase,
    RequestReader,
    phase_seconds,
)
from shared.rejections import Rejection
from tests.unit.data_plane.core.generated import splits

MAX_HEAD = 512
MAX_FIELDS = 20
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKS = b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nx-sum: 1\r\n\r\n"
REQUESTS: dict[bytes, bytes] = {
    GET: b"",
    b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n": b'{"a":1}',
    b"POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n": b"",
    b"POST /d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n": CHUNKS,
    b"PUT /e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n": b"0\r\n\r\n",
}
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def begin(reader: RequestReader, raw: bytes) -> None:
    head = parse_request_head(raw, MAX_FIELDS)
    reader.must_close = reader.must_close or not head.keep_alive
    reader.begin(head.framing(), awaits_continue=head.expects_continue)


@dataclass
class Driver:
    """Acts as a connection does, with responses at once when a request is whole.

    Attributes:
        found: each request so far, as its head and its body.
        answers_itself: the gateway answers every request, so bodies are dropped.
    """

    reader: RequestReader
    found: list[tuple[bytes, bytes]]
    answers_itself: bool = False

    def feed(self, data: bytes) -> None:
        while data:
            found, part = self.reader.feed(data)
            if found is Found.HEAD:
                self._begin(part)
            elif found is Found.BODY and not self.answers_itself:
                self._add(part)
                self._end_if_whole()
            elif found is Found.BODY:
                self.reader.end_discarded_body()
            data = self.reader.take_held() if self.reader.phase is Phase.IDLE else b""

    def _begin(self, raw: bytes) -> None:
        begin(self.reader, raw)
        self.found.append((raw, b""))
        if self.answers_itself:
            self.reader.begin_own_response()
            self.reader.end_own_response()
            return
        self._add(self.reader.await_response())
        self._end_if_whole()

    def _add(self, part: bytes) -> None:
        head, body = self.found[-1]
        self.found[-1] = (head, body + part)

    def _end_if_whole(self) -> None:
        if self.reader.is_whole:
            self.reader.begin_response(ends_with_connection=False)
            if self.reader.end_response() is not After.NEXT:
                self.reader.enter(Phase.ENDING)


def play(pieces: Sequence[bytes], *, answers_itself: bool = False) -> list[tuple[bytes, bytes]]:
    driver = Driver(RequestReader(MAX_HEAD), [], answers_itself=answers_itself)
    for piece in pieces:
        driver.feed(piece)
    return driver.found


@given(data=st.data(), heads=st.lists(st.sampled_from(list(REQUESTS)), min_size=1, max_size=5))
def test_a_pipelined_sequence_gives_the_same_requests_wherever_it_is_cut(
    data: st.DataObject, heads: list[bytes]
) -> None:
    stream = b"".join(head + REQUESTS[head] for head in heads)
    assert play(data.draw(splits(stream))) == [(head, REQUESTS[head]) for head in heads]


@given(data=st.data(), heads=st.lists(st.sampled_from(list(REQUESTS)), min_size=1, max_size=5))
def test_the_gateways_own_answers_drop_bodies_wherever_they_are_cut(
    data: st.DataObject, heads: list[bytes]
) -> None:
    known = [head for head in heads if b"chunked" not in head]
    stream = b"".join(head + REQUESTS[head] for head in known)
    assert play(data.draw(splits(stream)), answers_itself=True) == [(head, b"") for head in known]


def test_nothing_is_read_behind_a_request_that_closes_the_connection() -> None:
    assert play([LAST + GET]) == [(LAST, b"")]


def read_head(raw: bytes) -> RequestReader:
    reader = RequestReader(MAX_HEAD)
    found, head = reader.feed(raw)
    assert found is Found.HEAD
    begin(reader, head)
    return reader


def test_the_beginning_of_the_next_request_is_held_until_the_response_has_left() -> None:
    reader = read_head(GET)
    assert reader.await_response() == b""
    assert reader.feed(GET[:10]) == (Found.HELD, b"")
    assert reader.feed(GET[10:]) == (Found.HELD, b"")
    assert reader.end_response() is After.NEXT
    assert reader.feed(reader.take_held()) == (Found.HEAD, GET)


def test_more_than_a_head_that_comes_early_is_not_held() -> None:
    reader = read_head(GET)
    reader.await_response()
    too_much = []
    for early in (b"x" * MAX_HEAD, b"x"):
        reader.feed(early)
        too_much.append(reader.holds_too_much)
    assert too_much == [False, True]
    reader.hold_no_more()
    assert (reader.held, reader.must_close, reader.phase) == (b"", True, Phase.LAST_RESPONSE)
    assert reader.feed(GET) == (Found.NOTHING, b"")
    assert reader.end_response() is After.LINGER


def test_a_head_that_is_too_large_is_refused_and_its_beginning_is_given_up() -> None:
    reader = RequestReader(MAX_HEAD)
    assert reader.feed(b"GET /a HTTP/1.1\r\n") == (Found.HEAD_BEGUN, b"")
    assert reader.feed(b"X: 1\r\n") == (Found.NOTHING, b"")
    with pytest.raises(Refused) as caught:
        reader.feed(b"Y: " + b"y" * MAX_HEAD)
    assert caught.value.rejection is Rejection.HEAD_TOO_LARGE
    assert reader.take_partial_head().startswith(b"GET /a HTTP/1.1\r\nX: 1\r\n")


@pytest.mark.parametrize(
    ("length", "expects", "closes"),
    [
        (3, b"", False),
        (MAX_DISCARDED_BODY_BYTES, b"", False),
        (MAX_DISCARDED_BODY_BYTES + 1, b"", True),
        (3, b"Expect: 100-continue\r\n", True),
    ],
)
def test_the_rest_of_a_refused_body_is_read_only_where_it_is_small_and_sure_to_come(
    length: int, expects: bytes, *, closes: bool
) -> None:
    reader = read_head(b"POST /a HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n" % (expects, length))
    assert reader.begin_own_response() is closes
    assert reader.end_own_response() is (After.LINGER if closes else After.DISCARD)


def test_a_broken_body_is_told_whether_it_is_passed_or_dropped() -> None:
    chunked = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = read_head(chunked + b"zz\r\n")
    with pytest.raises(BadFraming):
        reader.await_response()
    reader = read_head(chunked)
    reader.await_response()
    with pytest.raises(BadFraming):
        reader.feed(b"3\r\nabcd\r\n")


@pytest.mark.parametrize(("is_whole", "until_close"), list(product([True, False], repeat=2)))
def test_a_response_that_no_byte_ends_or_that_comes_before_the_body_ends_the_connection(
    *, is_whole: bool, until_close: bool
) -> None:
    reader = read_head(GET if is_whole else b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na")
    reader.await_response()
    closes = until_close or not is_whole
    assert reader.begin_response(ends_with_connection=until_close) is closes
    assert (
        reader.end_response()
        is {
            (True, False): After.NEXT,
            (True, True): After.CLOSE,
            (False, False): After.LINGER,
            (False, True): After.LINGER,
        }[is_whole, until_close]
    )


def test_a_splice_passes_what_came_early_and_whatever_comes() -> None:
    reader = read_head(GET)
    reader.await_response()
    reader.feed(b"frame 1")
    assert reader.splice() == b"frame 1"
    assert reader.feed(b"frame 2") == (Found.SPLICED, b"frame 2")


def test_an_illegal_move_says_what_was_expected_and_what_came() -> None:
    reader = RequestReader(MAX_HEAD)
    with pytest.raises(AssertionError, match=r"expected HEAD, .*GONE after IDLE, got SPLICED"):
        reader.splice()


def test_every_phase_can_end_and_nothing_follows_the_last() -> None:
    for phase, ending in product(Phase, ENDINGS):
        reader = RequestReader(MAX_HEAD)
        reader.phase = phase
        if phase is Phase.GONE and ending is not Phase.GONE:
            with pytest.raises(AssertionError):
                reader.enter(ending)
        else:
            reader.enter(ending)
            assert reader.feed(GET) == (Found.NOTHING, b"")


def test_only_phases_in_which_the_peer_owes_bytes_have_a_limit() -> None:
    limits = RelayLimits()
    found = {phase: phase_seconds(phase, limits) for phase in Phase}
    assert {phase: seconds for phase, seconds in found.items() if seconds is not None} == {
        Phase.IDLE: limits.keep_alive_seconds,
        Phase.HEAD: limits.head_seconds,
        Phase.DISCARD: LINGER_SECONDS,
        Phase.LINGER: LINGER_SECONDS,
    }


class Connection(RuleBasedStateMachine):
    """A box that sends whole or cut requests while responses come, in any order seen by a relay."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: list[tuple[bytes, bytes]] = []
        self.stream = b""
        self.reader = RequestReader(MAX_HEAD)
        self.found: list[tuple[bytes, bytes]] = []
        self.sent = 0

    @rule(head=st.sampled_from(list(REQUESTS)))
    def box_asks(self, head: bytes) -> None:
        self.expected.append((head, REQUESTS[head]))
        self.stream += head + REQUESTS[head]

    @precondition(lambda self: self.sent < len(self.stream))
    @rule(size=st.integers(1, 60))
    def bytes_come(self, size: int) -> None:
        piece = self.stream[self.sent : self.sent + size]
        self.sent += len(piece)
        self._feed(piece)

    @precondition(lambda self: self.reader.phase is Phase.RESPONSE)
    @rule()
    def response_comes(self) -> None:
        assert not self.reader.begin_response(ends_with_connection=False)
        assert self.reader.end_response() is After.NEXT
        if self.reader.held:
            self._feed(self.reader.take_held())

    @invariant()
    def what_is_found_is_what_was_sent(self) -> None:
        whole = self.found if self.reader.is_whole else self.found[:-1]
        assert whole == self.expected[: len(whole)]
        assert not self.reader.must_close

    @invariant()
    def no_byte_is_lost(self) -> None:
        partial = self.reader.take_partial_head()
        if partial:
            self.reader.phase = Phase.IDLE
            self.reader.feed(partial)
        taken = sum(len(head) + len(body) for head, body in self.found)
        assert taken + len(self.reader.held) + len(partial) == self.sent

    def _feed(self, data: bytes) -> None:
        found, part = self.reader.feed(data)
        if found is Found.HEAD:
            begin(self.reader, part)
            self.found.append((part, self.reader.await_response()))
        elif found is Found.BODY:
            head, body = self.found[-1]
            self.found[-1] = (head, body + part)


TestConnection = Connection.TestCase
