"""Network namespaces: making a socket inside one, without the agent ever leaving its own.

`setns(2)` changes the calling thread alone, so a thread of its own enters the namespace, makes the socket and
ends. A thread of a pool would stay in the namespace and make the next socket in the wrong namespace.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

NAMED_FOLDER: Final = Path("/run/netns")
"""Where `ip netns add` keeps its names."""

_CLONE_NEWNET: Final = 0x4000_0000
_SO_NETNS_COOKIE: Final = 71
_COOKIE_BYTES: Final = 8


class NamespaceError(OSError):
    """A namespace is missing or may not be entered; the message says which and why."""


def path_of(netns: str) -> Path:
    """Give the file of a namespace given by name or by path."""
    return Path(netns) if netns.startswith("/") else NAMED_FOLDER / netns


def socket_inside(netns: str, make: Callable[[], socket.socket]) -> socket.socket:
    """Call `make` inside the namespace and give its socket.

    Raises:
        NamespaceError: the namespace is not there, is of another kind, or the right to enter it is missing.
        OSError: the error raised by `make`.
    """
    path = path_of(netns)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NamespaceError(
            error.errno, f"The network namespace {netns} cannot be opened ({error.strerror})"
        ) from None
    try:
        return _in_a_thread_of_its_own(netns, descriptor, make)
    finally:
        os.close(descriptor)


def identity_of(made: socket.socket) -> int:
    """Give the kernel's number for the namespace of a socket.

    A number is never used twice while the machine runs (`SO_NETNS_COOKIE`, Linux 5.14), which is not so for
    the namespace's inode. 0 where the kernel has none.
    """
    try:
        cookie = made.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _COOKIE_BYTES)
    except OSError:
        return 0
    return int.from_bytes(cookie, "little")


def boot_identity() -> str:
    """Give a text unique to this start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _in_a_thread_of_its_own(netns: str, descriptor: int, make: Callable[[], socket.socket]) -> socket.socket:
    made: list[socket.socket] = []
    failures: list[BaseException] = []

    def enter_and_make() -> None:
        try:
            _enter(netns, descriptor)
            made.append(make())
        except BaseException as error:  # noqa: BLE001  # raised again by the caller's thread, below
            failures.append(error)

    thread = threading.Thread(target=enter_and_make, name="netns", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return made[0]


def _enter(netns: str, descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise NamespaceError(
            number, f"The network namespace {netns} cannot be entered ({os.strerror(number)})"
        )
