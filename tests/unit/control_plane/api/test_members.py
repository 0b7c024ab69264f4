"""The people of an org, and the filters of its history."""

from __future__ import annotations

from tests.unit.control_plane.world import KEY, MEMBER, OPENAI, OWNER, STRANGER, World

MEMBERS = "/api/v1/orgs/acme/members"
AUDIT = "/api/v1/orgs/acme/audit"


async def test_members_see_each_other_page_by_page(world: World) -> None:
    async with world.person(MEMBER) as client:
        first = (await client.get(MEMBERS, params={"limit": 1})).json()
        second = (await client.get(MEMBERS, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [(one["email"], one["role"]) for one in first["items"] + second["items"]] == [
        (MEMBER, "member"),
        (OWNER, "owner"),
    ]
    assert second["next_cursor"] is None


async def test_to_a_stranger_there_are_no_members(world: World) -> None:
    async with world.person(STRANGER) as client:
        assert (await client.get(MEMBERS)).status_code == 404


async def test_history_is_filtered_by_person_and_target(world: World) -> None:
    async with world.person(OWNER) as client:
        await client.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
        by_owner = (await client.get(AUDIT, params={"actor": OWNER})).json()["items"]
        of_openai = (await client.get(AUDIT, params={"target": "openai"})).json()["items"]
        of_both = (await client.get(AUDIT, params={"target": "openai", "actor": "platform"})).json()["items"]
        everything = (await client.get(AUDIT)).json()["items"]
    assert by_owner == of_openai
    assert [entry["action"] for entry in by_owner] == ["integration.put"]
    assert of_both == []
    assert len(everything) == 4
