"""The data-plane processes known to this agent: how each stands, and a connection to the best of them."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.node_agent.rules.target import Condition, Standing, Target, order_of

if TYPE_CHECKING:
    from services.node_agent.relay.counters import Counters
    from shared.tls_files import TlsFiles

logger = logging.getLogger(__name__)

Connector = Callable[["KnownTarget", Callable[[], asyncio.BaseProtocol]], "asyncio.Future[None]"]
BUFFER_BYTES: Final = 128 * 1024
"""Per direction in the kernel, which doubles it."""

_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
_USER_TIMEOUT_MILLISECONDS: Final = 60_000
"""How long sent bytes may stay without an acknowledgement before a connection counts as broken."""


class NoTargetError(Exception):
    """No data-plane process could be reached before the deadline."""


class KnownTarget:
    """A target and its present state.

    Attributes:
        address: where to connect, as last looked up; None before that, and for a Unix socket.
        connections: that this agent has to it.
    """

    __slots__ = ("_why", "address", "condition", "connections", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        self.address: tuple[str, int] | None = None
        self.condition = Condition.UNKNOWN
        self.connections = 0
        self._why = ""

    def stands(self, condition: Condition, why: str = "") -> None:
        """Note how the target stands; a change is logged, also one of the reason alone."""
        if (condition, why) != (self.condition, self._why):
            level = logging.INFO if condition is Condition.READY else logging.WARNING
            said = f"{condition.name.lower()} ({why})" if why else condition.name.lower()
            logger.log(level, "data plane %s: %s", self.target.name, said)
        self.condition, self._why = condition, why


@dataclass(frozen=True, slots=True)
class ConnectTimes:
    """`attempt_seconds` for one target, `deadline_seconds` for all of them together."""

    attempt_seconds: float = 2.0
    deadline_seconds: float = 5.0


class Targets:
    """All targets of one agent.

    Args:
        tls: for `tls` targets; None where there are none.
        turn: where to begin among equal targets; agents should differ, so that their first choices differ
            too.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        tls: TlsFiles | None,
        times: ConnectTimes,
        counters: Counters,
        turn: int = 0,
    ) -> None:
        self.known = tuple(map(KnownTarget, targets))
        self.tls = tls
        self._times = times
        self._counters = counters
        self._turn = turn

    @property
    def any_ready(self) -> bool:
        """Whether a data plane was reached and takes connections."""
        return any(known.condition is Condition.READY for known in self.known)

    async def connect(self, protocol: asyncio.BaseProtocol) -> KnownTarget:
        """Connect `protocol` to the best target that answers; the caller counts the connection's end.

        Raises:
            NoTargetError: none answered before the deadline.
        """
        self._turn += 1
        standings = [Standing(known.condition, known.connections) for known in self.known]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._times.deadline_seconds
        for place in order_of(standings, self._turn):
            known = self.known[place]
            until = min(deadline, loop.time() + self._times.attempt_seconds)
            known.connections += 1
            try:
                async with asyncio.timeout_at(until):
                    await self._open(known, protocol)
            except (OSError, TimeoutError) as error:
                known.connections -= 1
                self._counters.failed_connects += 1
                if known.condition is not Condition.UNREACHABLE:  # or boxes could fill the log
                    known.stands(Condition.UNREACHABLE, reason_of(error))
            except BaseException:
                known.connections -= 1
                raise
            else:
                return known
            if loop.time() >= deadline:
                break
        raise NoTargetError

    @property
    def _context(self) -> ssl.SSLContext | None:
        return None if self.tls is None else self.tls.context

    async def _open(self, known: KnownTarget, protocol: asyncio.BaseProtocol) -> None:
        loop = asyncio.get_running_loop()
        target = known.target
        if target.transport == "unix":
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            place: str | tuple[str, int] = target.path
        else:
            place = known.address or await look_up(target)
            known.address = place
            made = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_STREAM)
        try:
            prepare(made)
            await loop.sock_connect(made, place)
            if target.transport == "tls":
                await loop.create_connection(
                    lambda: protocol, sock=made, ssl=self._context, server_hostname=target.host
                )
            elif target.transport == "unix":
                await loop.create_unix_connection(lambda: protocol, sock=made)
            else:
                await loop.create_connection(lambda: protocol, sock=made)
        except BaseException:
            made.close()
            raise


def prepare(made: socket.socket) -> None:
    """Set the options of a socket to a data plane: no blocking, bounded buffers, notice of a silent peer."""
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    if made.family != socket.AF_UNIX:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MILLISECONDS)


def reason_of(error: OSError) -> str:
    """Say why a target could not be reached; `ssl.SSLError` and `TimeoutError` are kinds of `OSError`."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {error.reason or error}"
        case TimeoutError():
            return "no answer in time"
        case _:
            return error.strerror or str(error) or type(error).__name__


async def look_up(target: Target) -> tuple[str, int]:
    """Resolve a target's name; its first address is used. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return str(found[0][4][0]), target.port
