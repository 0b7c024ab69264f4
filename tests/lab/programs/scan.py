"""Runs in a guest: connects to every TCP port of an address and prints those that accept, as JSON.

Arguments: the address, the first and the last port. A port counts as open when a second connection succeeds
as well: QEMU connects to its own loopback from a port that the kernel chooses, and a connection from a port
to the same port succeeds without any listener (a simultaneous open, RFC 9293 section 3.5).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

AT_ONCE: Final = 200
SECONDS: Final = 20.0


async def _is_open(address: str, port: int, room: asyncio.Semaphore) -> bool:
    async with room:
        try:
            async with asyncio.timeout(SECONDS):
                _, writer = await asyncio.open_connection(address, port)
        except OSError:
            return False
        writer.close()
        return True


async def _open_ports(address: str, first: int, last: int) -> list[int]:
    room = asyncio.Semaphore(AT_ONCE)
    ports = range(first, last + 1)
    found = await asyncio.gather(*(_is_open(address, port, room) for port in ports))
    candidates = [port for port, is_open in zip(ports, found, strict=True) if is_open]
    return [port for port in candidates if await _is_open(address, port, room)]


if __name__ == "__main__":
    opened = asyncio.run(_open_ports(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps(opened))  # noqa: T201  # its result
