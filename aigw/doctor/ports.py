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


async def examine_ports(name: str, ports: list[Port], health: Port, alive: bytes) -> list[Finding]:
    """Check them all; on the port `health` a running plane answers `/livez` with `alive`."""
    if health.number and await _is_alive(health, alive):
        return [Finding("ok", name, f"a plane is running here, as port {health.number} says")]
    findings = []
    for port in ports:
        try:
            bind(port.host, port.number, option=port.option).close()
        except ListenError as error:
            found, _, remedy = str(error).partition(". ")
            findings.append(Finding("FAIL", name, found, remedy[:1].lower() + remedy[1:]))
    shown = ", ".join(str(port.number) for port in ports)
    return findings or [Finding("ok", name, f"{shown} can be listened on")]


async def _is_alive(port: Port, alive: bytes) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(port.host, port.host)  # noqa: S104  # compared, not bound
    shown = f"[{host}]" if ":" in host else host
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS) as client:
            answer = await client.get(f"http://{shown}:{port.number}/livez")
            return answer.is_success and answer.content == alive
    except httpx.HTTPError:
        return False
