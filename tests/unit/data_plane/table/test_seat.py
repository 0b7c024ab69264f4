"""A seat belongs to one living process: another port or worker is another seat, a successor's is the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.data_plane.table.seat import seat_of


@contextmanager
def admin(path: Path | None = None) -> Iterator[socket.socket]:
    family = socket.AF_INET if path is None else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        if path is not None:
            opened.bind(str(path))
        yield opened


def worker_seat(path: Path, port: int = 9091) -> str:
    with admin(path) as opened:
        return seat_of(opened, port)


def test_a_successor_on_the_same_port_has_the_same_seat_and_another_port_is_another_seat() -> None:
    with admin() as first, admin() as second:
        assert seat_of(first, 9091) == seat_of(second, 9091) != ""
        assert seat_of(first, 9092) != seat_of(first, 9091)


def test_each_worker_has_a_seat_of_its_own_whatever_the_folder(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    assert worker_seat(before / "0.sock") == worker_seat(after / "0.sock") != ""
    assert worker_seat(before / "1.sock") != worker_seat(before / "2.sock")
    with admin() as main:
        assert seat_of(main, 9091) != worker_seat(after / "2.sock")


def test_a_worker_behind_a_random_port_has_no_seat(tmp_path: Path) -> None:
    assert worker_seat(tmp_path / "0.sock", 0) == ""
