"""The memory of an idle data plane on Redis and Vault, as the kernel counts the memory of the process."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.polling import eventually
from tests.support.servers.fleet import Fleet

MAX_RESIDENT_BYTES = 90_000_000
"""Measured: 86.2 million interpreted, 88.7 million compiled.

Packages of the tests, which the image leaves out, take 3.7 million of both.
"""
KEY = "sk-key-of-acme-000000001"


def resident_bytes(process: Path) -> int:
    """Read the resident memory of a process, shared pages included (VmRSS, proc(5))."""
    lines = process.joinpath("status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


async def test_an_idle_data_plane_is_small_and_loads_no_database(fleet: Fleet) -> None:
    control_plane = fleet.control_plane()
    async with fleet.client(control_plane) as client:
        await client.set_up(await client.new_org(), "openai", KEY, "http://127.0.0.1:9/v1")
    data_plane = fleet.data_plane(control_plane)
    await fleet.ready(data_plane)
    async with httpx.AsyncClient(trust_env=False) as admin:

        async def has_read_the_key() -> bool:
            shown = await admin.get(f"http://127.0.0.1:{data_plane.inner_port}/metrics")
            return 'aigw_secret_reads_total{result="read"} 1.0' in shown.text

        await eventually(has_read_the_key, "the key was read from Vault")
    process = Path(f"/proc/{data_plane.process.pid}")
    held = resident_bytes(process)
    assert held <= MAX_RESIDENT_BYTES, f"{held:,} bytes"
    assert "/sqlalchemy/" not in process.joinpath("maps").read_text()
