"""Bytes between stdin, stdout and a box's Unix socket, until both directions have ended.

QEMU gives the guest whatever is printed, stderr included. So nothing is ever printed, and no module with a
long load time is imported here.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket

READ_BYTES = 64 * 1024
EXIT_FAILED = 1
_INPUT, _OUTPUT = 0, 1


def pipe(path: str) -> int:
    """Connect and pass bytes until both directions have ended; give the process's exit code."""
    _silence()
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as box:
            box.connect(path)
            _pass_both_ways(box)
    except OSError:
        return EXIT_FAILED
    return 0


def _pass_both_ways(box: socket.socket) -> None:
    """Blocking writes are the back-pressure: a side without reads stops the other's reading."""
    waiting = select.poll()
    waiting.register(_INPUT, select.POLLIN)
    waiting.register(box, select.POLLIN)
    open_directions = 2
    while open_directions:
        for ready, _ in waiting.poll():
            if ready == _INPUT:
                if data := os.read(_INPUT, READ_BYTES):
                    box.sendall(data)
                    continue
                waiting.unregister(_INPUT)
                box.shutdown(socket.SHUT_WR)
            else:
                if data := box.recv(READ_BYTES):
                    _write_all(data)
                    continue
                return  # the data plane has ended; what the guest still sends has no receiver
            open_directions -= 1


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(_OUTPUT, view) :]


def _silence() -> None:
    """Have stderr lead nowhere, for the interpreter's own last words, too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
