"""Asking a data plane for the test of a stored key: every answer, every failure, and every wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from services.control_plane.key_test.stored_key import NotTried, StoredKeyTester
from shared.key_test import (
    MAX_KEY_TEST_BYTES,
    STEPS,
    KeyTestRequest,
    KeyTestResponse,
    KeyTestStep,
    decode_key_test_request,
    encode_key_test_response,
)
from shared.secret import Secret

TOKEN = "the-token-of-the-fleet"
REQUEST = KeyTestRequest("acme", "openai", "epoch-1", 7)
TRIED = KeyTestResponse(
    "tried", endpoint="https://x.test", steps=tuple(KeyTestStep(s, "ok", "Fine.") for s in STEPS)
)
Say = Callable[[httpx.Request], httpx.Response]


def says(answer: KeyTestResponse) -> Say:
    return lambda _: httpx.Response(200, content=encode_key_test_response(answer))


@dataclass
class DataPlane:
    """Gives its answers in order, the last for ever, and keeps the requests."""

    answers: Sequence[Say]
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answers[min(len(self.asked), len(self.answers)) - 1](request)


async def ask(
    *answers: Say, url: str = "http://data-plane.test:9901/", not_yet_seconds: float = 5
) -> tuple[KeyTestResponse | NotTried, DataPlane]:
    data_plane = DataPlane(answers)
    probe = StoredKeyTester(
        url, Secret(TOKEN), transport=httpx.MockTransport(data_plane), not_yet_seconds=not_yet_seconds
    )
    try:
        return await probe.probe(REQUEST), data_plane
    except NotTried as error:
        return error, data_plane
    finally:
        await probe.aclose()


async def reason(*answers: Say, **options: float) -> str:
    found, _ = await ask(*answers, **options)  # type: ignore[arg-type]  # the one option is a float
    assert isinstance(found, NotTried)
    assert str(found).endswith(".")
    assert len(str(found)) < 300
    assert TOKEN not in str(found)
    return found.reason


async def test_the_steps_come_back_as_the_data_plane_found_them() -> None:
    found, data_plane = await ask(says(TRIED))
    assert found == TRIED
    (request,) = data_plane.asked
    assert str(request.url) == "http://data-plane.test:9901/internal/v1/key-tests"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert decode_key_test_request(request.content) == REQUEST


async def test_what_is_not_set_up_there_is_an_answer() -> None:
    found, _ = await ask(says(KeyTestResponse("not_set_up")))
    assert found == KeyTestResponse("not_set_up")


async def test_a_change_on_its_way_is_waited_for() -> None:
    found, data_plane = await ask(
        says(KeyTestResponse("not_yet")), says(KeyTestResponse("not_yet")), says(TRIED)
    )
    assert (found, len(data_plane.asked)) == (TRIED, 3)


async def test_a_change_that_does_not_arrive_is_named() -> None:
    assert await reason(says(KeyTestResponse("not_yet")), not_yet_seconds=0.3) == "not_yet"


async def test_without_an_address_nobody_is_asked() -> None:
    found, data_plane = await ask(says(TRIED), url="")
    assert isinstance(found, NotTried)
    assert (found.reason, data_plane.asked) == ("not_configured", [])
    assert "AIGW_DATA_PLANE_ADMIN_URL" in str(found)


async def test_an_address_may_become_known_later() -> None:
    probe = StoredKeyTester("", Secret(TOKEN), transport=httpx.MockTransport(says(TRIED)))
    probe.reach("http://127.0.0.1:9901")
    assert await probe.probe(REQUEST) == TRIED
    await probe.aclose()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (KeyTestResponse("busy"), "busy"),
        (KeyTestResponse("key_unavailable", detail="there is no such version"), "key_unavailable"),
    ],
)
async def test_what_stops_a_data_plane_is_told(answer: KeyTestResponse, expected: str) -> None:
    assert await reason(says(answer)) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "token_refused"), (403, "token_refused"), (302, "no_answer"), (404, "no_answer"),
        (500, "no_answer"), (503, "no_answer"),
    ],
)  # fmt: skip
async def test_a_data_plane_that_does_not_answer_properly_is_named(status: int, expected: str) -> None:
    assert await reason(lambda _: httpx.Response(status, headers={"location": "http://x.test"})) == expected


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    found, data_plane = await ask(
        lambda _: httpx.Response(307, headers={"location": "http://elsewhere.test/"}), says(TRIED)
    )
    assert isinstance(found, NotTried)
    assert (found.reason, len(data_plane.asked)) == ("no_answer", 1)


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"x" * (2 * MAX_KEY_TEST_BYTES)])
async def test_an_answer_of_another_shape_is_none(body: bytes) -> None:
    assert await reason(lambda _: httpx.Response(200, content=body)) == "no_answer"


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_data_plane_that_is_away_is_named_and_not_its_address(
    error: type[httpx.HTTPError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def fail(_: httpx.Request) -> httpx.Response:
        raise error("http://data-plane.test:9901 said something")

    assert await reason(fail) == "no_answer"
    assert error.__name__ in caplog.text
    assert TOKEN not in caplog.text


async def test_a_data_plane_that_hangs_is_given_up() -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    left = asyncio.Event()
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        probe = StoredKeyTester(f"http://127.0.0.1:{port}", Secret(TOKEN), answer_seconds=0.2)
        with pytest.raises(NotTried) as found:
            await probe.probe(REQUEST)
        await probe.aclose()
        await left.wait()
    assert found.value.reason == "no_answer"
