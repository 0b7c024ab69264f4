"""The seat of a process: a place that one living process alone can hold.

A process in the seat of a silent process proves that the silent process has ended. The seat is made of the
kernel's boot, the network namespace and the port of the admin listener. A worker's seat has the worker's
number besides, because the main process holds the port for all workers.
"""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Final

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_NETWORK_NAMESPACE: Final = "/proc/self/ns/net"
_SEAT_CHARS: Final = 32


def seat_of(admin: socket.socket, admin_port: int) -> str:
    """Give the seat of the process that serves on `admin`; "" on a system without such proofs.

    Args:
        admin: the listening socket of the admin listener; a worker's is a Unix socket named after its number.
        admin_port: the port of the admin listener; for a worker the main process's port, 0 for a random one.
    """
    is_worker = admin.family == socket.AF_UNIX
    if is_worker and not admin_port:
        return ""
    number = Path(str(admin.getsockname())).stem if is_worker else ""
    try:
        boot = Path(_BOOT_ID).read_text().strip()
        namespace = Path(_NETWORK_NAMESPACE).stat()
    except OSError:
        return ""
    place = f"{boot}|{namespace.st_dev}:{namespace.st_ino}|{admin_port}|{number}"
    return hashlib.sha256(place.encode()).hexdigest()[:_SEAT_CHARS]
