"""Listening sockets of boxes: making, checking and closing a socket at an attachment's place.

A listener belongs to a single life of a single box. Closing a listener ends it for every process that holds a
copy, so the place is free when `DELETE` answers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.node_agent.listeners.namespace import NamespaceError, identity_of, socket_inside
from services.node_agent.rules.attachment import (
    Address,
    AddressListen,
    Listen,
    NamespaceListen,
    UnixListen,
)

BACKLOG: Final = 1_024
"""Connections waiting while the agent is busy or being replaced; the kernel's somaxconn may be lower."""

BUFFER_BYTES: Final = 128 * 1024
"""Per direction in the kernel, which doubles it; accepted connections inherit it."""

_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class ListenerError(Exception):
    """A listener could not be made; the message gives the reason and the remedy."""


class PlaceTakenError(ListenerError):
    """Another listener is at this place."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket.

    Attributes:
        namespace: the kernel's number of its network namespace; 0 where the kernel has none.
        file: device and inode of a Unix socket's file.
    """

    made: socket.socket
    namespace: int
    file: tuple[int, int] | None

    @classmethod
    def of(cls, made: socket.socket) -> Listener:
        """Describe a listening socket."""
        return cls(made, identity_of(made), _file_of(made))


def make_listener(listen: Listen) -> Listener:
    """Listen at the place; the socket accepts connections on return. Blocks for a few system calls.

    Raises:
        ListenerError: the place cannot be had.
    """
    try:
        made = _make(listen)
    except NamespaceError as error:
        raise ListenerError(f"{error.strerror}. Create it first, or correct the name.") from None
    except OSError as error:
        raise _explained(error, listen) from None
    return Listener.of(made)


def fits(made: socket.socket, listen: Listen) -> bool:
    """Whether a handed-over socket listens at this place."""
    try:
        if not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        name = made.getsockname()
    except OSError:
        return False
    match listen:
        case NamespaceListen(_, address) | AddressListen(address):
            return made.family != socket.AF_UNIX and Address(*name[:2]) == address
        case UnixListen(path, _):
            return made.family == socket.AF_UNIX and name == path and _file_of(made) is not None


def is_still_there(listener: Listener, listen: Listen) -> bool:
    """Whether a connection made to the place now would arrive at this listener.

    After a namespace was deleted and made again under its name, or a socket's file was removed, the old
    listener lives on where no connection can reach it.
    """
    match listen:
        case NamespaceListen(netns, address):
            try:
                probe = socket_inside(netns, lambda: socket.socket(_family(address), socket.SOCK_STREAM))
            except OSError:
                return False
            with probe:
                return identity_of(probe) == listener.namespace
        case AddressListen():
            return True
        case UnixListen():
            return listener.file is not None and _file_of(listener.made) == listener.file


def close_listener(listener: Listener) -> None:
    """End a listener for every process that holds a copy, and remove the file of its Unix socket."""
    made = listener.made
    if listener.file is not None and _file_of(made) == listener.file:
        with contextlib.suppress(OSError):
            Path(made.getsockname()).unlink()
    with contextlib.suppress(OSError):
        made.shutdown(socket.SHUT_RDWR)  # copies in other processes stop listening as well
    made.close()


def _explained(error: OSError, listen: Listen) -> ListenerError:
    place = _place(listen)
    match error.errno:
        case errno.EADDRINUSE:
            return PlaceTakenError(f"Another program listens on {place}. Stop it, or choose another place.")
        case errno.EADDRNOTAVAIL:
            return ListenerError(f"{place} has no such address. In a new namespace, bring `lo` up first.")
        case errno.EACCES | errno.EPERM:
            return ListenerError(f"The agent lacks the right to listen on {place}.")
        case errno.ENOENT | errno.ENOTDIR:
            return ListenerError(f"The folder of {place} is not there. Create it first.")
        case errno.EMFILE | errno.ENFILE:
            return ListenerError("The agent has no descriptor left. Raise LimitNOFILE of its unit.")
        case _:
            return ListenerError(f"The agent cannot listen on {place} ({error.strerror}).")


def _place(listen: Listen) -> str:
    match listen:
        case NamespaceListen(netns, address):
            return f"{address} in {netns}"
        case AddressListen(address):
            return str(address)
        case UnixListen(path, _):
            return path


def _make(listen: Listen) -> socket.socket:
    match listen:
        case NamespaceListen(netns, address):
            return socket_inside(netns, lambda: _tcp(address))
        case AddressListen(address):
            return _tcp(address)
        case UnixListen(path, mode):
            return _unix(path, mode)


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def _tcp(address: Address) -> socket.socket:
    made = socket.socket(_family(address), socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
        _limit_buffers(made)
        made.bind((address.host, address.port))
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    made.setblocking(False)
    return made


def _unix(path: str, mode: int) -> socket.socket:
    """Bind with the wanted mode from the start: a later change of mode could hit another file.

    Linux gives the file the mode of the socket before `bind`, less the umask. The umask belongs to the
    process and is therefore changed for this call only; every file of the agent is made with a mode of its
    own.
    """
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _limit_buffers(made)
        os.fchmod(made.fileno(), mode)
        before = os.umask(0)
        try:
            made.bind(path)
        finally:
            os.umask(before)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    made.setblocking(False)
    return made


def _remove_stale(path: str) -> None:
    """Remove a file left behind by a socket; raises `PlaceTakenError` when something else is there."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise PlaceTakenError(f"{path} exists and is no socket. Remove it, or choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            pass  # its backlog is full, so somebody listens
    raise PlaceTakenError(f"Another program listens on {path}. Stop it, or choose another path.")


def _file_of(made: socket.socket) -> tuple[int, int] | None:
    """Give device and inode of a Unix socket's file; None for a socket of another family."""
    if made.family != socket.AF_UNIX:
        return None
    try:
        found = Path(made.getsockname()).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _limit_buffers(made: socket.socket) -> None:
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
