"""Tests of the name look-up: by the machine's own resolver, and under a silent name server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from services.control_plane.key_test.resolve import (
    MAX_LOOKUPS,
    MAX_LOOKUPS_EACH,
    NOT_PUBLIC,
    NoAddressError,
    Requester,
    ResolveError,
    SystemResolver,
    TooManyLookUps,
)

ACME = Requester("acme", "owner@acme.test")
SOON_SECONDS = 0.05
COLLUDING = 24
FOUND = [(2, 1, 6, "", ("93.184.216.34", 443))]


class NameServer:
    """Answers at once, but to names that begin with `silent` only after its release."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __call__(self, host: str, *_: Any, **__: Any) -> list[Any]:
        if host.startswith("silent"):
            self.released.wait()
        return FOUND


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.released.set()


async def test_the_systems_resolver_knows_this_machine_and_no_invented_name() -> None:
    resolver = SystemResolver()
    assert "127.0.0.1" in await resolver.resolve(ACME, "localhost", 80)
    with pytest.raises(ResolveError):
        await resolver.resolve(ACME, "does-not-exist.invalid", 80)
    with pytest.raises(NoAddressError, match=NOT_PUBLIC):
        await resolver.resolve(ACME, "x" * 64 + ".test", 80)
    resolver.close()


async def test_threads_that_a_silent_name_server_holds_count_until_they_end(name_server: NameServer) -> None:
    resolver = SystemResolver(look_up=name_server, timeout_seconds=SOON_SECONDS)
    for number in range(MAX_LOOKUPS_EACH):
        with pytest.raises(ResolveError, match="in time"):
            await resolver.resolve(ACME, f"silent-{number}", 443)
    for requester in (ACME, Requester("acme", "another@acme.test"), Requester("other", ACME.person)):
        with pytest.raises(TooManyLookUps) as refusal:
            await resolver.resolve(requester, "good", 443)
        assert not refusal.value.for_everybody
    assert await resolver.resolve(Requester("other", "o@other.test"), "good", 443) == ["93.184.216.34"]
    name_server.released.set()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await resolver.resolve(ACME, "good", 443) == ["93.184.216.34"]
            except TooManyLookUps:
                await asyncio.sleep(0.01)
            else:
                break
    resolver.close()


async def test_one_look_up_more_than_there_are_turns_waits_and_is_refused_at_its_deadline(
    name_server: NameServer,
) -> None:
    resolver = SystemResolver(look_up=name_server, timeout_seconds=60, wait_seconds=SOON_SECONDS)
    async with asyncio.TaskGroup() as group:
        for number in range(MAX_LOOKUPS):
            requester = Requester(f"org-{number}", f"{number}@orgs.test")
            group.create_task(resolver.resolve(requester, f"silent-{number}", 443))
        await asyncio.sleep(0)
        with pytest.raises(TooManyLookUps) as refusal:
            await resolver.resolve(ACME, "good", 443)
        assert refusal.value.for_everybody
        name_server.released.set()
    assert await resolver.resolve(ACME, "good", 443) == ["93.184.216.34"]
    resolver.close()


async def test_colluding_orgs_with_a_silent_name_server_leave_turns_to_every_other_org(
    name_server: NameServer,
) -> None:
    resolver = SystemResolver(look_up=name_server, timeout_seconds=SOON_SECONDS, wait_seconds=60)

    async def attack(org: str) -> None:
        for number in range(3):
            with contextlib.suppress(ResolveError, TooManyLookUps):
                await resolver.resolve(Requester(org, f"owner@{org}.test"), f"silent-{number}", 443)

    async with asyncio.TaskGroup() as group:
        for number in range(COLLUDING * MAX_LOOKUPS_EACH):
            group.create_task(attack(f"org-{number % COLLUDING}"))
        await asyncio.sleep(0)
        for number in range(10):
            honest = Requester(f"honest-{number}", f"owner@honest-{number}.test")
            assert await resolver.resolve(honest, "good", 443) == ["93.184.216.34"]
    assert await resolver.resolve(ACME, "good", 443) == ["93.184.216.34"]
    with pytest.raises(TooManyLookUps) as refusal:
        await resolver.resolve(Requester("org-0", "owner@org-0.test"), "good", 443)
    assert not refusal.value.for_everybody
    resolver.close()


async def test_the_look_up_of_a_caller_that_went_away_frees_its_turn(name_server: NameServer) -> None:
    resolver = SystemResolver(look_up=name_server, timeout_seconds=60, wait_seconds=60)
    for number in range(MAX_LOOKUPS + 1):
        requester = Requester(f"org-{number}", f"{number}@orgs.test")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await resolver.resolve(requester, f"silent-{number}", 443)
    assert await resolver.resolve(ACME, "good", 443) == ["93.184.216.34"]
    resolver.close()
