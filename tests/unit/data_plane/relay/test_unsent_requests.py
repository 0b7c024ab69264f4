"""Requests never made into an exchange are accounted for, whatever their head is."""

from __future__ import annotations

import pytest

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.refused import bad_request
from services.data_plane.relay.unsent_requests import account_for_refusal, answer_warm_up
from tests.unit.data_plane.relay.relay_world import RelayWorld


@pytest.mark.parametrize(
    ("raw", "provider", "method"),
    [
        (b"HEAD /run9/ai/openai/v1/x HTTP/1.1\r\n", "openai", "HEAD"),
        (b"GET /run9/ai/anthropic/v1/x", "anthropic", ""),
        (b"\x16\x03\x01", "", ""),
        (b"", "", ""),
    ],
)
async def test_a_refused_request_names_the_provider_that_its_head_hints_at(
    raw: bytes, provider: str, method: str
) -> None:
    world, record = RelayWorld(), ExchangeRecord(1.0)
    found = account_for_refusal(world.parts, bad_request("a line is malformed"), raw, record)
    assert (found.name if found else "", record.provider, record.method) == (provider, provider, method)
    assert (record.outcome, record.status) == ("rejected", 400)
    assert world.books.records == [record]


async def test_a_warm_up_is_an_answered_request() -> None:
    world, record = RelayWorld(), ExchangeRecord(1.0)
    assert answer_warm_up(world.parts, record, close=True).startswith(b"HTTP/1.1 200 ")
    assert (record.outcome, record.status) == ("answered", 200)
    assert world.books.records == [record]
