"""Names are looked up by the system, and a name without an answer holds up no other."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from services.data_plane.relay.upstream.resolver import AddressInfo, Resolver, SystemLookUp
from shared.addresses import AddressPolicy
from shared.tasks import TaskSet

HERE: list[AddressInfo] = [
    (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("192.0.2.1", 443)),
]
SILENT_NAMES = 32
"""Of 16 organizations with two providers each; libuv looks up two names at a time."""


@pytest.fixture
def answers() -> Iterator[threading.Event]:
    """Set at the end, so no thread is left waiting."""
    event = threading.Event()
    yield event
    event.set()


async def test_names_that_do_not_answer_hold_up_no_other(answers: threading.Event) -> None:
    def get_address_info(host: str, *_: int, **__: int) -> list[AddressInfo]:
        if host.startswith("silent"):
            answers.wait()
        return HERE

    resolver = Resolver(
        AddressPolicy.of(["192.0.2.0/24"]), look_up=SystemLookUp(get_address_info=get_address_info)
    )
    tasks = TaskSet()
    silent = [tasks.start(resolver.resolve(f"silent-{n}", 443), "silent") for n in range(SILENT_NAMES)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert await resolver.resolve("provider.example", 443) == tuple(HERE)
    assert not any(one.done() for one in silent)
    answers.set()
    assert await asyncio.gather(*silent) == [tuple(HERE)] * SILENT_NAMES


async def test_the_system_is_asked_for_streams_and_its_error_is_passed_on() -> None:
    asked: list[tuple[str, int, dict[str, Any]]] = []

    def get_address_info(host: str, port: int, **options: Any) -> list[AddressInfo]:
        asked.append((host, port, options))
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with pytest.raises(socket.gaierror):
        await SystemLookUp(get_address_info=get_address_info)("nowhere.example", 8443)
    tcp = {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}
    assert asked == [("nowhere.example", 8443, tcp)]
