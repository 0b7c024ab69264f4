"""Checks the ports of a plane's listeners: free, or held by a plane already running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx

from aigw.doctor.finding import Finding
from shared.listener import ListenError, bind

ANSWER_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Port:
    """A listener of a plane; `option` sets its port."""

    host: str
    number: int
    option: str


async def examine_ports(name: str, ports: list[Port], health: Port) -> list[Finding]:
    """Check them all; `health` is the port with the answer to `/livez` while the plane runs."""
    if health.number and await _is_alive(health):
        return [Finding("ok", name, f"a plane is running here, as port {health.number} says")]
    findings = []
    for port in ports:
        try:
            bind(port.host, port.number, option=port.option).close()
        except ListenError as error:
            findings.append(Finding("FAIL", name, str(error)))
    shown = ", ".join(str(port.number) for port in ports)
    return findings or [Finding("ok", name, f"{shown} can be listened on")]


async def _is_alive(port: Port) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(port.host, port.host)  # noqa: S104  # compared, not bound
    shown = f"[{host}]" if ":" in host else host
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS) as client:
            return (await client.get(f"http://{shown}:{port.number}/livez")).is_success
    except httpx.HTTPError:
        return False
