"""The permitted settings of the operator's egress proxy."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.egress_settings import EgressSettings


def test_without_a_proxy_connections_are_made_directly() -> None:
    assert EgressSettings().egress_proxy_address() is None


@pytest.mark.parametrize(
    ("text", "address"),
    [("proxy.internal:3128", ("proxy.internal", 3128)), ("[::1]:8080", ("::1", 8080))],
)
def test_a_proxy_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert EgressSettings(egress_proxy=text).egress_proxy_address() == address


@pytest.mark.parametrize(
    "text", ["", "proxy", "http://proxy:3128", "me@proxy:3128", "proxy:3128/x", "proxy:x"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="written as host:port"):
        EgressSettings(egress_proxy=text)
