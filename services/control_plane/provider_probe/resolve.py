"""Asks the system's resolver for a host's addresses, with a time-out of our own; judges none of them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final, Protocol

RESOLVE_TIMEOUT_SECONDS: Final = 5.0
MAX_LOOKUPS: Final = 8
NOT_PUBLIC: Final = "The host's name leads to no address on the public internet."
"""Said of a missing name and of a name with a private address alike: a test of a key must not tell anybody
which names there are in the operator's network.
"""


class ResolveError(Exception):
    """No addresses; `str()` is a sentence for the person typing the endpoint."""


class Resolver(Protocol):
    """Turns a host into addresses."""

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """Give every address, at least one, in the resolver's order. Blocks; raises `ResolveError`."""
        ...


class SystemResolver:
    """`getaddrinfo` on threads of its own, because a call cannot be interrupted."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="resolve")

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """See `Resolver`."""
        lookup = self._threads.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = lookup.result(RESOLVE_TIMEOUT_SECONDS)
        except FutureTimeoutError:
            lookup.cancel()
            raise ResolveError("The host's name could not be looked up in time.") from None
        except socket.gaierror as error:
            if error.errno in {socket.EAI_AGAIN, socket.EAI_FAIL}:
                raise ResolveError(
                    "The host's name could not be looked up: the name server failed."
                ) from None
            raise ResolveError(NOT_PUBLIC) from None
        except (OSError, UnicodeError):
            raise ResolveError("The host's name could not be looked up.") from None
        # dict: the same address comes once per protocol, and the order is the preference (RFC 6724).
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Let the threads go; look-ups under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
