"""Asks the system's resolver for a host's addresses, with a limit on time and threads; judges none of them.

`getaddrinfo` cannot be interrupted: a name server that says nothing holds its thread for many times the time
that a caller waits. So the threads are counted by who asked, until each has really ended.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Protocol

RESOLVE_TIMEOUT_SECONDS: Final = 5.0
MAX_LOOKUPS: Final = 32
RESERVED_LOOKUPS: Final = 16
"""Of these, for an org and a person without another look-up under way: a few owners together, each with as
many look-ups as one may have, leave look-ups to everybody else."""
MAX_LOOKUPS_EACH: Final = 2
"""Of one org, and of one person."""
NOT_PUBLIC: Final = "The host's name leads to no address on the public internet."
"""Said of a name that does not exist and of one with a private address alike: neither a key test nor a saved
endpoint must tell anybody which names there are in the operator's network."""

_NO_ADDRESS: Final = {socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY}

LookUp = Callable[..., Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Requester:
    """On whose behalf a name is looked up."""

    org: str
    person: str


class ResolveError(Exception):
    """No addresses; `str()` is a sentence for the person typing the endpoint."""


class NoAddressError(ResolveError):
    """The name servers say that there is no address."""


class TooManyLookUps(Exception):  # noqa: N818  # a finding about who asks, not a failure
    """As many look-ups are under way as may be: `for_everybody` together, else for this requester."""

    def __init__(self, *, for_everybody: bool) -> None:
        super().__init__("too many look-ups")
        self.for_everybody = for_everybody


class Resolver(Protocol):
    """Turns a host into addresses."""

    async def resolve(self, requester: Requester, host: str, port: int) -> Sequence[str]:
        """Give every address, at least one, in the resolver's order.

        Raises:
            ResolveError: there is none, or it cannot be told in time.
            TooManyLookUps: not asked at all.
        """
        ...


class SystemResolver:
    """`getaddrinfo` on threads of its own. For one event loop."""

    def __init__(
        self,
        *,
        look_up: LookUp = socket.getaddrinfo,
        timeout_seconds: float = RESOLVE_TIMEOUT_SECONDS,
    ) -> None:
        self._look_up = look_up
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="resolve")
        self._lock = Lock()
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._all_under_way = 0

    async def resolve(self, requester: Requester, host: str, port: int) -> Sequence[str]:
        """See `Resolver`."""
        lookup = self._begin(requester, host, port)
        try:
            found = await asyncio.wait_for(asyncio.wrap_future(lookup), self._timeout_seconds)
        except TimeoutError:
            raise ResolveError("The host's name could not be looked up in time.") from None
        except socket.gaierror as error:
            if error.errno in _NO_ADDRESS:
                raise NoAddressError(NOT_PUBLIC) from None
            raise ResolveError("The host's name could not be looked up: the name server failed.") from None
        except UnicodeError:  # longer than a name can be
            raise NoAddressError(NOT_PUBLIC) from None
        except OSError:
            raise ResolveError("The host's name could not be looked up.") from None
        # dict: the same address comes once per protocol, and the order is the preference (RFC 6724).
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _begin(self, requester: Requester, host: str, port: int) -> Future[Sequence[Any]]:
        keys = (("org", requester.org), ("person", requester.person))
        with self._lock:
            if any(self._under_way[key] >= MAX_LOOKUPS_EACH for key in keys):
                raise TooManyLookUps(for_everybody=False)
            has_another = any(self._under_way[key] for key in keys)
            free_for_requester = MAX_LOOKUPS - (RESERVED_LOOKUPS if has_another else 0)
            if self._all_under_way >= free_for_requester:
                raise TooManyLookUps(for_everybody=True)
            self._under_way.update(keys)
            self._all_under_way += 1
        lookup = self._threads.submit(self._look_up, host, port, type=socket.SOCK_STREAM)
        lookup.add_done_callback(lambda _: self._end(keys))
        return lookup

    def _end(self, keys: Sequence[tuple[str, str]]) -> None:
        with self._lock:
            self._all_under_way -= 1
            for key in keys:
                self._under_way[key] -= 1
                if not self._under_way[key]:
                    del self._under_way[key]

    def close(self) -> None:
        """Let the threads go; look-ups under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
