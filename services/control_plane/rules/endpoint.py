"""Which base URL an org may send its key to. Text only: the caller judges the addresses of its name.

Threat row 7: https, no literal addresses in any notation, nothing beyond the operator's exceptions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from services.control_plane.rules.problems import Problem, ProblemError, refused
from shared.addresses import Address, AddressPolicy, Network
from shared.endpoint import Endpoint, EndpointError, parse_endpoint
from shared.providers import PROVIDERS, ProviderName

ENDPOINT_POINTER: Final = "#/endpoint"

# The URL standard's "ends in a number": resolvers read `127.1`, `2130706433` and `0x7f.1` as addresses too.
_NUMERIC_HOST = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """The operator's policy: may plain http be used, and which literal addresses are excepted."""

    allow_plain_http: bool = False
    exceptions: tuple[Network, ...] = ()

    @property
    def addresses(self) -> AddressPolicy:
        """The judge of resolved addresses."""
        return AddressPolicy(self.exceptions)


def default_endpoint(provider: ProviderName) -> Endpoint:
    """The provider's own endpoint."""
    return parse_endpoint(PROVIDERS[provider].default_endpoint)


def judge_endpoint(text: str, policy: EndpointPolicy) -> Endpoint:
    """Give the canonical endpoint, or refuse with a sentence for the person typing the endpoint."""
    try:
        endpoint = parse_endpoint(text.strip())
    except EndpointError as error:
        raise refuse_endpoint(str(error)) from None
    if not endpoint.tls and not policy.allow_plain_http:
        raise refuse_endpoint("The endpoint must start with https://.")
    if _is_literal(endpoint.host) and not _is_excepted(endpoint.host, policy):
        raise refuse_endpoint("The endpoint must name a host, not an IP address.")
    return endpoint


def refuse_endpoint(detail: str) -> ProblemError:
    """The refusal of an endpoint, for faults found elsewhere."""
    return refused(Problem.ENDPOINT_REFUSED, ENDPOINT_POINTER, detail)


def _is_literal(host: str) -> bool:
    return ":" in host or _NUMERIC_HOST.fullmatch(host) is not None


def _is_excepted(host: str, policy: EndpointPolicy) -> bool:
    try:
        address: Address = ip_address(host)
    except ValueError:
        return False  # a notation that only some resolvers read: never excepted
    return any(address in network for network in policy.exceptions)
