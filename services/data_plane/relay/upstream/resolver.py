"""From a host name to allowed addresses: cached for a short time, judged every time.

Every answer must be allowed by the operator's address policy, so a name with an inside and an outside address
is refused as a whole (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from services.data_plane.core.refused import Refused
from shared.rejections import Rejection

if TYPE_CHECKING:
    from shared.addresses import AddressPolicy

DNS_TTL_SECONDS: Final = 30.0
MAX_CACHED_NAMES: Final = 4096
LOOK_UP_THREADS: Final = 64
"""An org has an endpoint for each provider, and a name is asked once at a time: room for dozens of them."""

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""The tuple of `socket.getaddrinfo`: family, type, protocol, canonical name, socket address."""
LookUp = Callable[[str, int], Awaitable[list[AddressInfo]]]
"""Asks the system for the addresses of (host, port); raises `OSError`."""


class SystemLookUp:
    """Asks the system, on threads of its own: an unanswered name must keep no other org's waiting.

    Uvloop's look-ups share half of libuv's four threads, so two names with silent servers would hold up every
    other name for as long as the system waits.
    """

    def __init__(
        self,
        *,
        threads: int = LOOK_UP_THREADS,
        get_address_info: Callable[..., Iterable[Any]] = socket.getaddrinfo,
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="names")
        self._get = partial(get_address_info, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)

    async def __call__(self, host: str, port: int) -> list[AddressInfo]:
        """See `LookUp`."""
        return list(await asyncio.get_running_loop().run_in_executor(self._threads, self._get, host, port))


@dataclass(frozen=True, slots=True)
class _Answer:
    infos: tuple[AddressInfo, ...]
    good_until: float


class Resolver:
    """Looks names up, each at most once at a time, and keeps the answer for `ttl_seconds`.

    By `look_up`, which is the system's where none is given.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        look_up: LookUp | None = None,
        ttl_seconds: float = DNS_TTL_SECONDS,
    ) -> None:
        self._policy = policy
        self._ask = look_up or SystemLookUp()
        self._ttl_seconds = ttl_seconds
        self._answers: OrderedDict[tuple[str, int], _Answer] = OrderedDict()
        self._running: dict[tuple[str, int], asyncio.Future[tuple[AddressInfo, ...]]] = {}

    async def resolve(self, host: str, port: int) -> tuple[AddressInfo, ...]:
        """Give the socket addresses of `host:port`; raises `Refused` (`upstream_unreachable`)."""
        key = (host, port)
        answer = self._answers.get(key)
        if answer is not None and answer.good_until > asyncio.get_running_loop().time():
            return answer.infos
        running = self._running.get(key)
        if running is None:
            running = asyncio.get_running_loop().create_task(self._look_up(key))
            self._running[key] = running
            running.add_done_callback(lambda done: self._forget_running(key, done))
        # A caller that leaves must not end the look-up that others wait for.
        return await asyncio.shield(running)

    def _forget_running(self, key: tuple[str, int], done: asyncio.Future[tuple[AddressInfo, ...]]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # every waiter may have left; the outcome is theirs, not the loop's

    async def _look_up(self, key: tuple[str, int]) -> tuple[AddressInfo, ...]:
        loop = asyncio.get_running_loop()
        try:
            found = await self._ask(*key)
        except OSError:
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, "its name does not resolve") from None
        infos: tuple[AddressInfo, ...] = tuple(dict.fromkeys(found))
        if not infos:
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, "its name has no address")
        if not all(self._policy.allows(info[4][0]) for info in infos):
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, "its name leads to an address that is not public")
        self._answers[key] = _Answer(infos, loop.time() + self._ttl_seconds)
        self._answers.move_to_end(key)
        if len(self._answers) > MAX_CACHED_NAMES:
            self._answers.popitem(last=False)
        return infos
