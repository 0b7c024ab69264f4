"""`aigw box-pipe`: bytes both ways, nothing on stderr whatever happens, and no heavy import."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from aigw.box_pipe import asked
from tests.support.servers.process import short_folder

SECONDS = 60


def _serve_once(path: Path, talk: Callable[[socket.socket], None]) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                talk(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def _pipe(path: Path, sent: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "aigw.box_pipe", "box-pipe", str(path)]
    return subprocess.run(command, input=sent, capture_output=True, check=False, timeout=SECONDS)


def test_bytes_pass_both_ways_and_each_end_is_passed_on() -> None:
    path = short_folder("pipe") / "box.sock"
    received: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        while piece := connection.recv(65536):
            received.append(piece)
        connection.sendall(b"answer" * 50_000)

    thread = _serve_once(path, talk)
    done = _pipe(path, b"question" * 100_000)
    thread.join()
    assert b"".join(received) == b"question" * 100_000
    assert (done.returncode, done.stdout, done.stderr) == (0, b"answer" * 50_000, b"")


def test_it_ends_when_the_data_plane_has_ended_although_the_guest_still_listens() -> None:
    path = short_folder("pipe") / "box.sock"
    thread = _serve_once(path, lambda connection: connection.sendall(b"bye"))
    command = [sys.executable, "-m", "aigw.box_pipe", "box-pipe", str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as pipe:
        assert pipe.stdout is not None
        assert pipe.stderr is not None
        assert pipe.stdout.read() == b"bye"
        assert pipe.wait(SECONDS) == 0
        assert pipe.stderr.read() == b""
    thread.join()


@pytest.mark.parametrize("path", ["/no/such/socket", "/dev/null", "/" + "x" * 300])
def test_a_socket_that_cannot_be_reached_ends_it_without_a_word(path: str) -> None:
    done = _pipe(Path(path), b"question")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def test_only_its_own_command_is_taken_from_the_command_line() -> None:
    assert asked(["box-pipe", "/run/b.sock"]) == "/run/b.sock"
    assert asked(["box-pipe", "--help"]) is None
    assert asked(["box-pipe"]) is None
    assert asked(["version"]) is None


def test_it_loads_no_command_line_library_and_no_event_loop() -> None:
    code = "import sys; import aigw.box_pipe; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=SECONDS
    ).stdout.split()
    assert not {"typer", "asyncio", "pydantic", "click", "httpx"} & set(loaded)
