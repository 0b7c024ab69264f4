"""Targets: the data-plane processes at the other end of the agent's connections.

Reading their setting, and choosing among them. A target is written `tcp://HOST:PORT`, `tls://HOST:PORT` or
`unix:///PATH`, and may be followed by `=` and the URL of that process's admin listener, whose `/readyz` then
tells whether the target takes new connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

Transport = Literal["tcp", "tls", "unix"]
_HEALTH_SCHEMES: Final = ("http", "https")


class TargetError(ValueError):
    """The text names no target; the message names the mistake."""


@dataclass(frozen=True, slots=True)
class Target:
    """A data-plane process.

    Attributes:
        host, port: of `tcp` and `tls`.
        path: of `unix`.
        health_url: the URL of its `/readyz`; empty if only connecting tells whether the process is there.
    """

    transport: Transport
    host: str = ""
    port: int = 0
    path: str = ""
    health_url: str = ""

    @property
    def name(self) -> str:
        """The target as written in the setting, without the admin listener."""
        if self.transport == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"


class Condition(IntEnum):
    """The condition of a target, the best first."""

    READY = 0
    UNKNOWN = 1
    DRAINING = 2
    UNREACHABLE = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """A target as seen by the choice: its condition, and its connections of this agent."""

    condition: Condition
    connections: int


def read_target(text: str) -> Target:
    """Read one target; raises `TargetError`."""
    address, _, admin = text.partition("=")
    parts = urlsplit(address)
    health_url = _health_url(admin) if admin else ""
    if parts.query or parts.fragment or parts.username is not None:
        raise TargetError(f"{address} must have no user, query or fragment")
    match parts.scheme:
        case "tcp" | "tls" as transport:
            host, port = _host_and_port(parts)
            return Target(transport, host=host, port=port, health_url=health_url)
        case "unix" if parts.path and not parts.netloc:
            return Target("unix", path=parts.path, health_url=health_url)
    raise TargetError(
        f"{address or text} is no target: write tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH"
    )


def order_of(standings: Sequence[Standing], turn: int) -> list[int]:
    """Give the order in which to try the targets: ready targets with the fewest connections first.

    `turn` moves on with each choice and breaks ties, so that equal targets take turns. A draining or silent
    target comes last and is tried all the same: the last health check may be out of date.
    """
    count = len(standings)
    return sorted(
        range(count),
        key=lambda place: (
            standings[place].condition,
            standings[place].connections,
            (place - turn) % count,
        ),
    )


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.path not in {"", "/"}:
        raise TargetError(f"{parts.geturl()} must be {parts.scheme}://HOST:PORT")
    return host, port


def _health_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in _HEALTH_SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise TargetError(f"{text} is no URL of an admin listener: write http://HOST:PORT")
    if parts.path in {"", "/"}:
        return f"{parts.scheme}://{parts.netloc}/readyz"
    return text
