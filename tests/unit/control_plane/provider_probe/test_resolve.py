"""Tests of the name look-up of key tests, by the machine's own resolver."""

from __future__ import annotations

import pytest

from services.control_plane.provider_probe.resolve import ResolveError, SystemResolver


def test_the_systems_resolver_knows_this_machine_and_no_invented_name() -> None:
    resolver = SystemResolver()
    assert "127.0.0.1" in resolver.resolve("localhost", 80)
    with pytest.raises(ResolveError):
        resolver.resolve("does-not-exist.invalid", 80)
    with pytest.raises(ResolveError):
        resolver.resolve("x" * 64 + ".test", 80)
    resolver.close()
