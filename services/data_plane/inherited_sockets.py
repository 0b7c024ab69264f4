"""The listening sockets received by a worker from the main process, by their descriptors."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class InheritedSockets:
    """Descriptors of listening sockets.

    Attributes:
        boxes: a descriptor for each box listener, in the order of the settings.
        admin: of the admin listener.
    """

    boxes: tuple[int, ...]
    admin: int

    @classmethod
    def parse(cls, boxes: str, admin: int) -> Self:
        """Read the worker's options: descriptors separated by commas, and a single descriptor.

        Raises `ValueError`.
        """
        return cls(tuple(map(int, boxes.split(","))), admin)


def adopt(descriptor: int) -> socket.socket:
    """Take over a listening socket; raises `OSError` where the descriptor is none."""
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener
