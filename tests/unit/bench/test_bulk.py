"""Tests of `bench/trials/bulk.py`: the large body, and how slowly the body is taken."""

from bench.trials.bulk import PIECE_BYTES, Pace, SlowTaker, bulk

_AT_ONCE = Pace(turn_seconds=0)


def _source(body: bytes) -> SlowTaker:
    left = bytearray(body)

    def read_into(room: memoryview) -> int:
        piece = bytes(left[: len(room)])
        room[: len(piece)] = piece
        del left[: len(piece)]
        return len(piece)

    return SlowTaker(read_into, _AT_ONCE)


def _body(length: int) -> bytes:
    return b"".join(bulk(at, min(1000, length - at)) for at in range(0, length, 1000))


def test_a_body_is_the_same_in_whatever_pieces_it_is_cut() -> None:
    assert _body(2 * PIECE_BYTES) == bulk(0, PIECE_BYTES) + bulk(PIECE_BYTES, PIECE_BYTES)


def test_a_whole_body_is_taken_to_its_end() -> None:
    assert _source(_body(300_000)).take(300_000) == 300_000


def test_a_cut_body_is_told_by_its_length() -> None:
    assert _source(_body(299_999)).take(300_000) == 299_999


def test_a_lost_piece_is_noticed_even_at_a_round_length() -> None:
    body = _body(4 * PIECE_BYTES)
    without = body[:PIECE_BYTES] + body[2 * PIECE_BYTES :]
    assert _source(without).take(3 * PIECE_BYTES) == PIECE_BYTES


def test_nothing_is_taken_for_what_is_left_of_a_turn() -> None:
    pace = Pace(bytes_per_turn=100, turn_seconds=1)
    assert pace.pause(99, 0.1) == 0
    assert pace.pause(100, 0.25) == 0.75
    assert pace.pause(250, 0.5) == 1.5
    assert pace.pause(100, 3) == 0
