"""Tests of `shared/addresses.py`: each of the special ranges, and the operator's exceptions."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.addresses import AddressPolicy, is_public

NOT_PUBLIC_RANGES = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::/96",  # IPv4-compatible
    "::ffff:0:0/96",  # IPv4-mapped
    "::ffff:0:0:0/96",  # IPv4-translated (SIIT)
    "64:ff9b::/96",  # NAT64
    "64:ff9b:1::/48",  # local-use NAT64
    "100::/64",  # discard
    "100:0:0:1::/64",  # dummy prefix
    "2001::/32",  # Teredo
    "2001:1::/128",
    "2001:2::/48",  # benchmarking
    "2001:3::/32",  # AMT
    "2001:4:112::/48",  # AS112
    "2001:10::/28",  # ORCHID
    "2001:20::/28",  # ORCHIDv2
    "2001:30::/28",  # drone remote identification
    "2001:db8::/32",
    "2002::/16",  # 6to4
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",  # segment routing
    "fc00::/7",  # unique local
    "fe80::/10",  # link-local
    "fec0::/10",  # site-local
    "ff00::/8",  # multicast
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2001:200::",
    "2400:cb00::1",
    "2a00:1450:4001::1",
    "3ffe:ffff::1",
]

METADATA = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "192.0.0.192"]


@pytest.mark.parametrize("cidr", NOT_PUBLIC_RANGES)
def test_a_special_range_is_not_public_from_its_first_to_its_last_address(cidr: str) -> None:
    network = ip_network(cidr)
    for address in (network[0], network[network.num_addresses // 2], network[-1]):
        assert not is_public(address)
        assert not AddressPolicy().allows(address)
        assert not AddressPolicy().allows(str(address))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed_also_right_beside_a_special_range(text: str) -> None:
    assert is_public(ip_address(text))
    assert AddressPolicy().allows(text)


@pytest.mark.parametrize("text", METADATA)
def test_a_cloud_metadata_address_is_refused(text: str) -> None:
    assert not AddressPolicy().allows(text)


def _embedded(v4: IPv4Address) -> list[IPv6Address]:
    bits = int(v4)
    return [
        IPv6Address(bits),
        IPv6Address((0xFFFF << 32) | bits),
        IPv6Address((0xFFFF << 48) | bits),
        IPv6Address(int(IPv6Address("64:ff9b::")) | bits),
        IPv6Address(int(IPv6Address("64:ff9b:1::")) | bits),
        IPv6Address((0x2002 << 112) | (bits << 80)),
        IPv6Address((0x2001 << 112) | (bits ^ 0xFFFFFFFF)),
    ]


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_inside_an_ipv6_address_is_allowed(v4: IPv4Address) -> None:
    assert not any(map(AddressPolicy().allows, _embedded(v4)))


@given(st.ip_addresses(v=6).filter(lambda address: address not in IPv6Network("2000::/3")))
def test_nothing_outside_global_unicast_is_public(address: IPv6Address) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "text", ["fe80::1%eth0", "2606:4700::1%1", "::1%lo", "fe80::1%", "2606:4700::1111%eth0%x"]
)
def test_a_scope_id_is_refused_even_with_an_exception(text: str) -> None:
    assert not AddressPolicy().allows(text)
    assert not AddressPolicy.of(["::/0"]).allows(text)


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "0177.0.0.1", "2130706433", "0x7f.1", "127.1", "1.1.1.1 ", "1.1.1.1/32", "[::1]"],
)
def test_a_text_that_is_no_address_is_refused_even_with_an_exception(text: str) -> None:
    assert not AddressPolicy.of(["0.0.0.0/0", "::/0"]).allows(text)


def test_an_exception_opens_its_range_and_nothing_else() -> None:
    policy = AddressPolicy.of(["10.1.0.0/16", "fd00:1::/32"])
    assert policy.allows("10.1.2.3")
    assert policy.allows("fd00:1::5")
    assert policy.allows("1.1.1.1")
    assert not policy.allows("10.2.0.1")
    assert not policy.allows("fd00:2::5")
    assert not policy.allows("169.254.169.254")
    assert not policy.allows("::ffff:10.1.2.3")


@pytest.mark.parametrize("cidr", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "", "10.0.0.0/8,11.0.0.0/8"])
def test_a_malformed_exception_is_refused(cidr: str) -> None:
    with pytest.raises(ValueError, match=r"host bits|IPv4 or IPv6"):
        AddressPolicy.of([cidr])
