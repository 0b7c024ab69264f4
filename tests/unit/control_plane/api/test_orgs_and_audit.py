"""People's view of themselves, their orgs and the audit; pages and cursors."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from services.control_plane.store.changes import Author, changing
from services.control_plane.store.orgs import live_org, put_member, put_org
from tests.unit.control_plane.world import ANTHROPIC, KEY, MEMBER, OPENAI, OWNER, STRANGER, World


async def test_me_is_the_canonical_address_of_the_token(world: World) -> None:
    async with world.person("Owner@ACME.test") as client:
        assert (await client.get("/api/v1/me")).json() == {"email": OWNER}


async def test_the_list_of_orgs_holds_only_the_callers_own(world: World) -> None:
    async with world.person(MEMBER) as client:
        body = (await client.get("/api/v1/orgs")).json()
    org = {"org": "acme", "name": "Acme", "role": "member", "owners": [OWNER], "enabled": []}
    assert body == {"items": [org], "next_cursor": None}
    async with world.person(STRANGER) as client:
        assert (await client.get("/api/v1/orgs")).json()["items"] == []


async def test_an_org_is_shown_to_its_people_only(world: World) -> None:
    async with world.person(OWNER) as client:
        assert (await client.get("/api/v1/orgs/acme")).json()["role"] == "owner"
        assert (await client.get("/api/v1/orgs/other")).status_code == 404
    async with world.person(STRANGER) as client:
        assert (await client.get("/api/v1/orgs/acme")).status_code == 404


async def test_orgs_are_paged_by_cursor_without_loss_or_repeat(world: World) -> None:
    names = [f"org-{number}" for number in range(7)]
    for name in names:
        with changing(world.database) as session:
            put_org(session, Author("platform", 1.0), name, name)
            org = live_org(session, name)
            assert org is not None
            put_member(session, Author("platform", 1.0), org, OWNER, "member")
    seen: list[str] = []
    cursor: str | None = None
    async with world.person(OWNER) as client:
        while True:
            params = {"limit": "3"} | ({} if cursor is None else {"cursor": cursor})
            page = (await client.get("/api/v1/orgs", params=params)).json()
            seen += [item["org"] for item in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                break
    assert seen == ["acme", *names]


async def test_a_list_of_orgs_takes_as_many_statements_as_a_list_of_one(world: World) -> None:
    statements: list[str] = []
    event.listen(
        world.database.engine, "before_cursor_execute", lambda *execution: statements.append(execution[2])
    )

    async def count() -> int:
        statements.clear()
        async with world.person(OWNER) as client:
            assert (await client.get("/api/v1/orgs")).status_code == 200
        return sum(statement.startswith("SELECT") for statement in statements)

    of_one = await count()
    for number in range(5):
        with changing(world.database) as session:
            put_org(session, Author("platform", 1.0), f"org-{number}", "Org")
            org = live_org(session, f"org-{number}")
            assert org is not None
            put_member(session, Author("platform", 1.0), org, OWNER, "owner")
    assert await count() == of_one


async def test_a_page_of_the_audit_is_read_off_its_index(world: World) -> None:
    if world.database.engine.dialect.name == "postgresql":
        explain, found = "EXPLAIN", "ix_audit_org_id"
    else:
        explain, found = "EXPLAIN QUERY PLAN", "USING INDEX ix_audit_org_id"
    statement = f"{explain} SELECT * FROM audit WHERE org = 'acme' AND id < 99 ORDER BY id DESC LIMIT 50"
    with world.database.connection() as connection:
        if explain == "EXPLAIN":  # of three rows, PostgreSQL would read all
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_sort = off")
        plan = " ".join(str(row) for row in connection.exec_driver_sql(statement))
    assert found in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


async def test_the_audit_tells_who_did_what_newest_first_and_never_a_key(world: World) -> None:
    async with world.person(OWNER) as client:
        await client.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
        await client.patch(OPENAI, json={"enabled": False}, headers={"if-match": "*"})
        await client.delete(OPENAI, headers={"if-match": "*"})
    async with world.person(MEMBER) as client:
        answer = await client.get("/api/v1/orgs/acme/audit")
    entries = answer.json()["items"]
    assert [(entry["action"], entry["actor"], entry["target"]) for entry in entries] == [
        ("integration.cleared", OWNER, "openai"),
        ("integration.put", OWNER, "openai"),
        ("integration.put", OWNER, "openai"),
        ("member.put", "platform", MEMBER),
        ("member.put", "platform", OWNER),
        ("org.put", "platform", "acme"),
    ]
    assert entries[1]["details"]["changed"] == ["enabled"]
    assert entries[2]["details"]["changed"] == ["api_key", "enabled"]
    assert entries[2]["details"]["key_last4"] == "WXYZ"
    assert KEY[:12] not in answer.text


async def test_the_audit_is_paged_by_cursor_and_stays_put_while_rows_arrive(world: World) -> None:
    async with world.person(OWNER) as client:
        first = (await client.get("/api/v1/orgs/acme/audit", params={"limit": 2})).json()
        await client.put(ANTHROPIC, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
        params = {"limit": "2", "cursor": first["next_cursor"]}
        second = (await client.get("/api/v1/orgs/acme/audit", params=params)).json()
    assert [entry["id"] for entry in first["items"] + second["items"]] == ["3", "2", "1"]
    assert second["next_cursor"] is None


async def test_another_orgs_audit_is_404(world: World) -> None:
    async with world.person(STRANGER) as client:
        assert (await client.get("/api/v1/orgs/acme/audit")).status_code == 404


@pytest.mark.parametrize(
    "cursor", ["", "!", "MQ==", "LTE", "MHgx", "YQ", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk", "4p-T"]
)
async def test_a_cursor_of_somebodys_own_making_is_400(world: World, cursor: str) -> None:
    async with world.person(OWNER) as client:
        answer = await client.get("/api/v1/orgs/acme/audit", params={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["parameter"] == "query cursor"


async def test_a_mistyped_query_is_422_without_echo(world: World) -> None:
    async with world.person(OWNER) as client:
        for path in ("/api/v1/orgs", "/api/v1/orgs/acme/audit"):
            answer = await client.get(path, params={"limt": "5"})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["parameter"] == "query"
            assert "limt" not in answer.text


@pytest.mark.parametrize("limit", ["0", "201", "x", "-1"])
async def test_a_limit_out_of_bounds_is_422(world: World, limit: str) -> None:
    async with world.person(OWNER) as client:
        answer = await client.get("/api/v1/orgs/acme/audit", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "query limit"
