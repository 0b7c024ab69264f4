"""A key put into the query by a box never reaches the provider; every other byte of the query does."""

from __future__ import annotations

import pytest

from services.data_plane.core.query_parameters import MAX_PARAMETERS, split_parameters, without_parameters
from services.data_plane.core.refused import Refused

NAMES = frozenset({"key", "$key"})


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"?",
        b"?alt=sse",
        b"?a=1&&b=%2F",
        b"?monkey=1&keys=2",
        b"?a=key=1",
        b"?a[key]=1",
        b"?=key",
        b"?a=1;b=2",
    ],
)
def test_a_query_without_a_key_keeps_every_byte(query: bytes) -> None:
    assert without_parameters(query, NAMES) == query


@pytest.mark.parametrize(
    "name",
    [
        b"key",
        b"KEY",
        b"k%65y",
        b"%6b%65%79",
        b"%6B%65%79",
        b"%256bey",
        b"$key",
        b"%24key",
        b"+key",
        b"key%20",
        b"?key",
        b"x%26key",
        b"x%3Bkey",
        b"x%253D1%2526key",
        b"key%3D",
        b"key%00",
        b"key[]",
        b"key%5B0%5D",
    ],
)
@pytest.mark.parametrize(
    ("query", "sent"),
    [
        (b"?%s=AIza", b""),
        (b"?%s", b""),
        (b"?%s=AIza&alt=sse", b"?alt=sse"),
        (b"?alt=sse&%s=AIza", b"?alt=sse"),
        (b"?a=%%2F&%s=x&b=+&%s=", b"?a=%2F&b=+"),
        (b"?a=1;%s=x", b"?a=1"),
    ],
)
def test_a_key_falls_out_in_every_spelling_of_its_name(name: bytes, query: bytes, sent: bytes) -> None:
    filled = query % ((name,) * query.count(b"%s"))
    assert without_parameters(filled, NAMES) == sent


def test_the_values_that_fell_out_are_told_decoded() -> None:
    assert split_parameters(b"?key=AIza%41&alt=sse&$key=", NAMES) == (b"?alt=sse", [b"AIzaA", b""])
    assert split_parameters(b"?key%3DAIzaA", NAMES) == (b"", [b"AIzaA"])
    assert split_parameters(b"?alt=sse", NAMES) == (b"?alt=sse", [])


@pytest.mark.parametrize("separator", [b"&", b";"])
def test_more_parameters_than_can_be_read_quickly_are_refused(separator: bytes) -> None:
    most = b"?" + separator.join([b"a=1"] * MAX_PARAMETERS)
    assert without_parameters(most, NAMES) == most
    with pytest.raises(Refused, match="1024 parameters"):
        without_parameters(most + separator, NAMES)
