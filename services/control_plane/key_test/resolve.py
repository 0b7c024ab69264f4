"""Asks the system's resolver for a host's addresses, with a limit on time and threads; judges none of them.

`getaddrinfo` cannot be interrupted: a silent name server holds a thread for many times a caller's deadline.
So each look-up counts for an org and a person until the thread has really ended. A look-up without a
waiting caller frees the turn for others, and keeps the thread.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.control_plane.fair_share.fair_slots import FairSlots, Slot, SlotRefused

RESOLVE_TIMEOUT_SECONDS: Final = 5.0
WAIT_SECONDS: Final = 6.0
"""For a turn. Longer than a look-up with a caller, so every turn is given again within this time."""
MAX_LOOKUPS: Final = 32
"""With a caller; further requests wait for a turn, the org with the fewest look-ups first."""
RESERVED_LOOKUPS: Final = 16
"""Of these, for an org and a person without another look-up under way."""
MAX_ABANDONED: Final = 96
"""Without a caller, but still holding a thread: 48 orgs with a silent name server each fill them."""
MAX_LOOKUPS_EACH: Final = 2
"""Of one org, and of one person."""
NOT_PUBLIC: Final = "The host's name leads to no address on the public internet."
"""The sentence for a missing name and for a name with a private address alike: neither a key test nor a saved
endpoint may reveal the names in the operator's network."""

_NO_ADDRESS: Final = {socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY}

LookUp = Callable[..., Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Requester:
    """The org and the person behind a look-up."""

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
            ResolveError: the host has no address, or the answer is late.
            TooManyLookUps: the name servers were not asked.
        """
        ...


class SystemResolver:
    """`getaddrinfo` on threads of its own. For one event loop."""

    def __init__(
        self,
        *,
        look_up: LookUp = socket.getaddrinfo,
        timeout_seconds: float = RESOLVE_TIMEOUT_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._look_up = look_up
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(MAX_LOOKUPS + MAX_ABANDONED, thread_name_prefix="resolve")
        self._turns = FairSlots(
            MAX_LOOKUPS, each=MAX_LOOKUPS_EACH, reserved=RESERVED_LOOKUPS, wait_seconds=wait_seconds
        )
        self._abandoned: set[Slot] = set()

    async def resolve(self, requester: Requester, host: str, port: int) -> Sequence[str]:
        """See `Resolver`."""
        try:
            turn = await self._turns.take(f"org {requester.org}", f"person {requester.person}")
        except SlotRefused as refusal:
            raise TooManyLookUps(for_everybody=refusal.for_everybody) from None
        lookup = self._begin(turn, host, port)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await asyncio.shield(lookup)  # its thread goes on, and counts
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
        finally:
            if not lookup.done():
                self._abandon(turn, lookup)
        # dict: the same address comes once per protocol, and the order is the preference (RFC 6724).
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _begin(self, turn: Slot, host: str, port: int) -> asyncio.Future[Sequence[Any]]:
        loop = asyncio.get_running_loop()
        lookup = self._threads.submit(self._look_up, host, port, type=socket.SOCK_STREAM)

        def ended(_: object) -> None:
            with suppress(RuntimeError):  # the event loop has ended before the thread
                loop.call_soon_threadsafe(self._end, turn)

        lookup.add_done_callback(ended)
        return asyncio.wrap_future(lookup)

    def _abandon(self, turn: Slot, lookup: asyncio.Future[Sequence[Any]]) -> None:
        """Give the turn to others, while the look-up still holds its thread."""
        lookup.add_done_callback(_read_error)
        if len(self._abandoned) < MAX_ABANDONED:
            self._abandoned.add(turn)
            self._turns.free(turn)

    def _end(self, turn: Slot) -> None:
        self._abandoned.discard(turn)
        self._turns.end(turn)

    def close(self) -> None:
        """Let the threads go; look-ups under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _read_error(lookup: asyncio.Future[Sequence[Any]]) -> None:
    """Take the error of a look-up without a caller, so that asyncio does not report it as lost."""
    if not lookup.cancelled():
        lookup.exception()
