"""The service manager: readiness, and the store in which it keeps listening sockets over a restart or crash.

Messages of sd_notify(3) and names of sd_listen_fds(3), written here because they are a few lines. Without a
service manager every call does nothing.
"""

from __future__ import annotations

import array
import contextlib
import logging
import os
import socket
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger(__name__)

FIRST_DESCRIPTOR: Final = 3
MAX_LISTEN_FDS: Final = 100_000
SEND_SECONDS: Final = 1.0
"""For a message to a service manager whose queue is full."""

REST_NAME: Final = "rest"
"""The FileDescriptorName of the REST interface's socket unit."""

_BOX_PREFIX: Final = "box-"


@dataclass(frozen=True, slots=True)
class Passed:
    """The sockets passed by the service manager at start: of boxes by generation, and of REST."""

    boxes: dict[int, socket.socket]
    rest: socket.socket | None

    @classmethod
    def nothing(cls) -> Passed:
        """No socket was passed."""
        return cls({}, None)


def store_name(generation: int) -> str:
    """Give the name under which a listener is kept: no colon, and never another attachment's."""
    return f"{_BOX_PREFIX}{generation}"


def generation_of(name: str) -> int | None:
    """Read a generation from a name; None for a name of something else."""
    number = name.removeprefix(_BOX_PREFIX)
    return int(number) if name.startswith(_BOX_PREFIX) and number.isascii() and number.isdigit() else None


def take_passed(count: int, names: str) -> Passed:
    """Take over the descriptors 3, 4, … passed under `names`, separated by colons.

    Useless descriptors are closed: a name given twice, a name of no listener.
    """
    passed = Passed({}, None)
    rest: socket.socket | None = None
    listed = [*names.split(":"), *[""] * count]
    for place in range(min(count, MAX_LISTEN_FDS)):
        descriptor = FIRST_DESCRIPTOR + place
        try:
            os.set_inheritable(descriptor, False)  # the call's own form
            made = socket.socket(fileno=descriptor)
        except OSError:
            continue  # no socket
        made.setblocking(False)
        generation = generation_of(listed[place])
        if generation is not None and generation not in passed.boxes:
            passed.boxes[generation] = made
        elif listed[place] == REST_NAME and rest is None:
            rest = made
        else:
            made.close()
    return Passed(passed.boxes, rest)


class ServiceManager:
    """Sends notifications to the address in `NOTIFY_SOCKET`; an empty address means no listener."""

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> None:
        """Say that REST answers and that every listener accepts."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Say that this process ends."""
        self._send("STOPPING=1")

    def main_process_is(self, pid: int) -> None:
        """Say that another process is the service's main one from now on."""
        self._send(f"MAINPID={pid}")

    def keep(self, generation: int, listener: socket.socket) -> None:
        """Have a listener kept until `forget`."""
        self._send(f"FDSTORE=1\nFDNAME={store_name(generation)}", listener)

    def forget(self, generation: int) -> None:
        """Have a kept listener closed."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={store_name(generation)}")

    def _send(self, message: str, passed: socket.socket | None = None) -> None:
        if not self._address:
            return
        ancillary = []
        if passed is not None:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [passed.fileno()]))]
        try:
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
                sender.settimeout(SEND_SECONDS)
                sender.sendmsg([message.encode()], ancillary, 0, self._address)
        except OSError as error:
            logger.warning(
                "the service manager was not told %s (%s)", message.partition("\n")[0], error.strerror
            )
