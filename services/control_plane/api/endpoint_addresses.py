"""Judges where a new endpoint's host leads to, before the endpoint is saved (threat row 7).

Every connect of a data plane checks again. With an egress proxy no name is looked up here: the proxy looks
names up, and which addresses they may lead to is the proxy's policy.
"""

from __future__ import annotations

from ipaddress import ip_address

from services.control_plane.fair_share.shares import Shares
from services.control_plane.key_test.resolve import (
    NOT_PUBLIC,
    NoAddressError,
    Requester,
    ResolveError,
    Resolver,
    TooManyLookUps,
)
from services.control_plane.rules.endpoint import refuse_endpoint
from shared.addresses import AddressPolicy
from shared.endpoint import Endpoint


class EndpointAddresses:
    """Looks the hosts of endpoints up. For one event loop."""

    def __init__(
        self, resolver: Resolver, addresses: AddressPolicy, shares: Shares, *, by_proxy: bool = False
    ) -> None:
        self._resolver = resolver
        self._addresses = addresses
        self._shares = shares
        self._by_proxy = by_proxy

    async def judge(self, requester: Requester, endpoint: Endpoint) -> tuple[str, ...]:
        """Give what the owner should know of the look-up; raises `ProblemError` for an unfit endpoint.

        The refusal is the same whether the name does not exist or leads to an address that is not public.
        """
        if _is_address(endpoint.host):
            found = [endpoint.host]
        elif self._by_proxy:
            return ()
        else:
            try:
                found = list(await self._resolver.resolve(requester, endpoint.host, endpoint.port))
            except NoAddressError:
                raise refuse_endpoint(NOT_PUBLIC) from None
            except TooManyLookUps as error:
                raise self._shares.too_many_look_ups(
                    requester.person, for_everybody=error.for_everybody
                ) from None
            except ResolveError as error:
                return (f"{error} Requests will fail until it can be looked up.",)
        if not all(map(self._addresses.allows, found)):
            raise refuse_endpoint(NOT_PUBLIC)
        return ()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
