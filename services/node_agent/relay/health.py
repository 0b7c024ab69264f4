"""Health checks: each target's `/readyz` is asked at intervals, so that a draining process gets no box.

A `tls` target out of use is greeted over TLS as well: its `/readyz` says nothing about certificates.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import httpx

from services.node_agent.relay.targets import look_up, reason_of
from services.node_agent.rules.target import Condition
from shared.backoff import jittered
from shared.proxy_preface import encode_preface

if TYPE_CHECKING:
    from services.node_agent.relay.targets import KnownTarget
    from shared.tls_files import TlsFiles

CHECK_SECONDS: Final = 2.0
"""A check without an answer by then has failed."""

_JITTER: Final = 0.2
_DRAINING_STATUS: Final = 503


class HealthCheck:
    """Checks a single target for ever.

    Args:
        known: the target.
        client: asks `/readyz`.
        tls: for a `tls` target.
        interval_seconds: between two checks, give or take 20 %.
        random: gives numbers from 0 to 1.
    """

    def __init__(
        self,
        known: KnownTarget,
        client: httpx.AsyncClient,
        tls: TlsFiles | None,
        *,
        interval_seconds: float,
        random: Callable[[], float],
    ) -> None:
        self.known = known
        self._client = client
        self._tls = tls
        self._interval_seconds = interval_seconds
        self._random = random

    async def run(self) -> None:
        """Check until cancelled, the first time after an interval."""
        while True:
            await asyncio.sleep(jittered(self._interval_seconds, _JITTER, self._random()))
            await self.check()

    async def check(self) -> None:
        """Look up the target's name again, and note how the target stands."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                self.known.stands(await self._look())
        except (OSError, TimeoutError) as error:
            self.known.stands(Condition.UNREACHABLE, reason_of(error))
        except httpx.HTTPError as error:
            self.known.stands(
                Condition.UNREACHABLE, f"its admin listener: {str(error) or type(error).__name__}"
            )

    async def _look(self) -> Condition:
        target = self.known.target
        if target.transport != "unix":
            self.known.address = await look_up(target)
        if target.transport == "tls" and self.known.condition is not Condition.READY:
            greeted = await self._greet()
            if greeted is not Condition.READY or not target.health_url:
                return greeted
        if target.health_url:
            return await self._ask(target.health_url)
        return await self._knock()

    async def _ask(self, url: str) -> Condition:
        return _condition_of((await self._client.get(url)).status_code)

    async def _greet(self) -> Condition:
        """Ask on a connection of the agent's own, as a data plane answers a LOCAL preface.

        Only an answer proves that the target has accepted this node's certificate: in TLS 1.3 the client's
        side of a handshake is done before the server has judged the certificate (RFC 8446 section 4.4.2.4).
        """
        assert self.known.address is not None
        assert self._tls is not None
        reader, writer = await asyncio.open_connection(
            *self.known.address, ssl=self._tls.context, server_hostname=self.known.target.host
        )
        try:
            writer.write(encode_preface(b"", command="local"))
            status = (await reader.readline()).split(b" ")[1:2]
        except ValueError:
            status = []
        finally:
            writer.transport.abort()
        if not status or not status[0].isdigit():
            raise ConnectionResetError(
                "no answer after the handshake: does it accept this node's certificate, and read prefaces?"
            )
        return _condition_of(int(status[0]))

    async def _knock(self) -> Condition:
        """Connect, and say nothing."""
        target = self.known.target
        family = socket.AF_UNIX
        place: str | tuple[str, int] = target.path
        if self.known.address is not None:
            place = self.known.address
            family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as made:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, place)
        return Condition.READY


def _condition_of(status: int) -> Condition:
    if httpx.codes.is_success(status):
        return Condition.READY
    return Condition.DRAINING if status == _DRAINING_STATUS else Condition.UNREACHABLE
