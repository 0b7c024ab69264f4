"""Rules for every request: sign-in, validation without echo, limits, headers, failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.control_plane.api.limits import MAX_BODY_BYTES
from services.control_plane.readiness import KEPT_SECONDS
from services.control_plane.rules.problems import TYPE_PREFIX
from tests.unit.control_plane.world import (
    INTERNAL_TOKEN,
    KEY,
    OPENAI,
    OWNER,
    PLATFORM_TOKEN,
    World,
)

CANARY = "sk-canary-8d1f6a2b9c"


async def test_without_a_token_the_answer_says_how_to_show_one(world: World) -> None:
    async with world.client() as client:
        for path in ("/api/v1/me", "/api/v1/orgs", "/api/v1/orgs/acme", OPENAI, "/api/v1/orgs/acme/audit"):
            answer = await client.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer ")
            assert answer.json()["type"] == TYPE_PREFIX + "sign-in-required"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic b3duZXI6eA==", "Bearer a.b.c", "x" * 9000]
)
async def test_a_malformed_authorization_is_401(world: World, authorization: str) -> None:
    async with world.client() as client:
        answer = await client.get("/api/v1/me", headers={"authorization": authorization})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("bearer", [PLATFORM_TOKEN, INTERNAL_TOKEN])
async def test_a_token_of_a_machine_is_no_person(world: World, bearer: str) -> None:
    async with world.client(bearer) as client:
        assert (await client.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"enabled": CANARY, "api_key": KEY}, {"#/enabled"}),
        ({"enabled": 1, "api_key": KEY}, {"#/enabled"}),
        ({"api_key": KEY}, {"#/enabled"}),
        ({"enabled": True, "api_key": [CANARY]}, {"#/api_key"}),
        ({"enabled": True, "api_key": {"x": CANARY}}, {"#/api_key"}),
        ({"enabled": True, "endpoint": {CANARY: 1}}, {"#/endpoint"}),
        ({"enabled": True, CANARY: 1}, {"#"}),
        ({"enabled": True, "apikey": CANARY}, {"#"}),
        ({"enabled": True, "endpoint": CANARY * 200}, {"#/endpoint"}),
        ([CANARY], {"#"}),
        (CANARY, {"#"}),
        (None, {"#"}),
    ],
)
async def test_a_mistyped_body_is_422_with_pointers_and_no_echo(
    world: World, body: Any, pointers: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with world.person(OWNER) as client:
            answer = await client.put(OPENAI, json=body, headers={"if-match": "*"})
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == pointers
    assert CANARY not in answer.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize("content", [b"{", b'{"api_key": "' + CANARY.encode(), b"\xff\xfe", b"[" * 5000])
async def test_a_body_that_is_not_json_is_refused_without_echo(world: World, content: bytes) -> None:
    headers = {"if-match": "*", "content-type": "application/json"}
    async with world.person(OWNER) as client:
        answer = await client.put(OPENAI, content=content, headers=headers)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text


async def test_a_body_of_another_type_is_refused(world: World) -> None:
    headers = {"if-match": "*", "content-type": "text/plain"}
    async with world.person(OWNER) as client:
        answer = await client.put(OPENAI, content=b'{"enabled": true}', headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_the_limit_is_413(world: World, chunked: bool) -> None:  # noqa: FBT001  # a table's column
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b" " * 1024

    content = parts() if chunked else b" " * (MAX_BODY_BYTES + 1)
    async with world.person(OWNER) as client:
        answer = await client.put(OPENAI, content=content, headers={"if-match": "*"})
    assert answer.status_code == 413
    assert answer.json()["type"] == TYPE_PREFIX + "body-too-large"


async def test_unknown_paths_and_methods_are_problems_too(world: World) -> None:
    async with world.person(OWNER) as client:
        for answer, status in (
            (await client.get("/api/v1/"), 404),
            (await client.get("/api/v1/orgs/acme/"), 404),
            (await client.get("/docs"), 404),
            (await client.get("/internal/v1/snapshot"), 404),
            (await client.post("/api/v1/me"), 405),
        ):
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.post("/api/v1/me")).headers["allow"] == "GET"
        assert (await client.options(OPENAI)).headers["allow"] == "GET, PUT, PATCH, DELETE"


async def test_every_answer_is_kept_by_nobody_and_framed_by_nobody(world: World) -> None:
    async with world.person(OWNER) as client:
        for path in ("/api/v1/me", "/nope", "/livez", "/readyz"):
            answer = await client.get(path)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "set-cookie" not in answer.headers
            assert not any(name.startswith("access-control-") for name in answer.headers)


async def test_a_failure_is_a_500_that_says_nothing_and_a_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.database.engine.dispose()
    with world.database.connection() as connection:
        connection.exec_driver_sql("DROP TABLE audit")
    with caplog.at_level(logging.ERROR):
        async with world.person(OWNER) as client:
            body = {"api_key": CANARY, "enabled": True}
            answer = await client.put(OPENAI, json=body, headers={"if-match": "*"})
    assert answer.status_code == 500
    assert answer.json()["type"] == TYPE_PREFIX + "internal"
    assert answer.headers["cache-control"] == "no-store"
    assert "audit" not in answer.text
    assert "audit" in caplog.text
    assert CANARY not in answer.text + caplog.text


async def test_ready_means_that_the_database_answers(world: World) -> None:
    async with world.client() as client:
        assert (await client.get("/livez")).json() == {"status": "alive"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        with world.database.connection() as connection:
            connection.exec_driver_sql("DROP TABLE counter")
        await asyncio.sleep(KEPT_SECONDS)
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["type"] == TYPE_PREFIX + "not-ready"
        assert (await client.get("/livez")).status_code == 200


async def test_readiness_is_served_on_the_internal_listener_too(world: World) -> None:
    async with world.fleet(None) as client:
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/orgs/%00", 404),
        ("/api/v1/orgs/a%00b/ai-integrations", 404),
        ("/api/v1/orgs?cursor=AA", 400),
        ("/api/v1/orgs/acme/members?cursor=AA", 400),
        ("/api/v1/orgs/acme/audit?actor=%00", 422),
        ("/api/v1/orgs/acme/audit?target=a%00", 422),
    ],
)
async def test_a_control_character_in_a_name_reaches_no_database(
    world: World, path: str, status: int
) -> None:
    async with world.person(OWNER) as client:
        assert (await client.get(path)).status_code == status
