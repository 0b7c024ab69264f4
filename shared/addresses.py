"""Which IP addresses an endpoint may resolve to: the public internet, and the operator's additions.

Our own table, not `ipaddress.is_global`, which was wrong for several ranges before Python 3.11.10. Sources:
IANA IPv4 and IPv6 Special-Purpose Address Registries (read November 2026). Checked at save by the control
plane and again at every connect by the data plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(cidr)
    for cidr in (
        "0.0.0.0/8",  # "this network", RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # shared (carrier-grade NAT), RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "169.254.0.0/16",  # link-local, RFC 3927; cloud metadata lives here
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112-v4, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # deprecated 6to4 relay anycast, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # direct delegation AS112, RFC 7534
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and limited broadcast, RFC 1112, RFC 919
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")  # the only global unicast space that IANA assigns from, RFC 4291
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(cidr)
    for cidr in (
        "2001::/23",  # IETF protocol assignments (Teredo, ORCHID, benchmarking …), RFC 2928
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4: carries any IPv4 address inside, RFC 3056
        "2620:4f:8000::/48",  # direct delegation AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)


def is_public(address: Address) -> bool:
    """Whether `address` is on the public internet.

    IPv4-mapped, NAT64 and every other embedded form lies outside `2000::/3` or is listed, so none passes.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


class AddressPolicy:
    """Judges addresses for a process: public ones, plus the operator's exceptions (none by default)."""

    def __init__(self, exceptions: Sequence[Network] = ()) -> None:
        self._exceptions = tuple(exceptions)

    @classmethod
    def of(cls, cidrs: Sequence[str]) -> AddressPolicy:
        """Build from CIDR texts; a malformed text raises `ValueError`."""
        return cls([ip_network(cidr) for cidr in cidrs])

    def allows(self, address: Address | str) -> bool:
        """Whether a connection may be made to `address`; a text other than an address is refused."""
        if isinstance(address, str):
            try:
                # A scope id (fe80::1%eth0) marks a link-local address; none is ever allowed.
                address = ip_address(address)
            except ValueError:
                return False
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        return is_public(address) or any(address in network for network in self._exceptions)
