"""The platform provisions orgs, people and nodes, and only with its token."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.control_plane.rules.problems import TYPE_PREFIX
from shared.box_token import public_key_text
from shared.config_feed import NodeKeyRow, NodeRow, OrgRow
from tests.unit.control_plane.world import KEY, OPENAI, OWNER, PLATFORM_TOKEN, World

NODE_KEY = public_key_text(Ed25519PrivateKey.generate().public_key())
WRITES = [
    ("PUT", "/api/v1/orgs/new", {"name": "New"}),
    ("DELETE", "/api/v1/orgs/acme", None),
    ("PUT", "/api/v1/orgs/acme/members/new@acme.test", {"role": "owner"}),
    ("DELETE", "/api/v1/orgs/acme/members/owner@acme.test", None),
    ("PUT", "/api/v1/nodes/node-1", {"kid": "kid-1", "public_key": NODE_KEY}),
    ("DELETE", "/api/v1/nodes/node-1", None),
    ("GET", "/api/v1/nodes", None),
    ("GET", "/api/v1/nodes/node-1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_only_the_platforms_token_provisions(
    world: World, method: str, path: str, body: dict[str, str] | None
) -> None:
    for bearer in (None, world.issuer.token(OWNER), PLATFORM_TOKEN + "x", PLATFORM_TOKEN[:-1]):
        async with world.client(bearer) as client:
            answer = await client.request(method, path, json=body)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert world.revision() == 3


async def test_an_org_is_made_renamed_and_removed(world: World) -> None:
    async with world.client(PLATFORM_TOKEN) as client:
        assert (await client.put("/api/v1/orgs/new", json={"name": " New "})).json() == {
            "org": "new",
            "name": "New",
        }
        assert world.events()[-1].org == OrgRow("new", "New", ())
        revision = world.revision()
        await client.put("/api/v1/orgs/new", json={"name": "New"})
        assert world.revision() == revision, "a repeat changes nothing"
        await client.put("/api/v1/orgs/new", json={"name": "Newer"})
        assert world.revision() == revision + 1
        assert (await client.delete("/api/v1/orgs/new")).status_code == 204
        assert (await client.delete("/api/v1/orgs/new")).status_code == 404
    assert [row.org for row in world.snapshot().orgs] == ["acme"]


async def test_a_removed_org_is_gone_for_its_owner_and_its_key_is_to_be_destroyed(world: World) -> None:
    async with world.person(OWNER) as client:
        await client.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
        async with world.client(PLATFORM_TOKEN) as platform:
            await platform.delete("/api/v1/orgs/acme")
        assert (await client.get(OPENAI)).status_code == 404
        write = await client.put(OPENAI, json={"enabled": True}, headers={"if-match": "*"})
        assert write.status_code == 404
    assert world.snapshot().integrations == ()


async def test_owners_are_told_to_the_fleet_and_members_are_not(world: World) -> None:
    async with world.client(PLATFORM_TOKEN) as client:
        answer = await client.put("/api/v1/orgs/acme/members/Second%40Acme.test", json={"role": "owner"})
        assert answer.json() == {"email": "second@acme.test", "role": "owner"}
        assert world.snapshot().orgs[0].owners == (OWNER, "second@acme.test")
        await client.put("/api/v1/orgs/acme/members/second@acme.test", json={"role": "member"})
        assert world.snapshot().orgs[0].owners == (OWNER,)
        assert (await client.delete("/api/v1/orgs/acme/members/second@acme.test")).status_code == 204
        assert (await client.delete("/api/v1/orgs/acme/members/second@acme.test")).status_code == 404
        missing = await client.put("/api/v1/orgs/nobody/members/a@b.test", json={"role": "owner"})
        assert missing.status_code == 404


async def test_a_role_takes_effect_at_the_next_request(world: World) -> None:
    async with world.person(OWNER) as owner, world.client(PLATFORM_TOKEN) as platform:
        await platform.put("/api/v1/orgs/acme/members/owner@acme.test", json={"role": "member"})
        answer = await owner.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
        assert answer.status_code == 403
        await platform.delete("/api/v1/orgs/acme/members/owner@acme.test")
        assert (await owner.get(OPENAI)).status_code == 404


async def test_a_nodes_keys_overlap_while_they_are_rotated_and_are_read_back(world: World) -> None:
    second = public_key_text(Ed25519PrivateKey.generate().public_key())
    old, new = {"kid": "kid-1", "public_key": NODE_KEY}, {"kid": "kid-2", "public_key": second}
    async with world.client(PLATFORM_TOKEN) as client:
        await client.put("/api/v1/nodes/node-1", json={"keys": [old]})
        revision = world.revision()
        await client.put("/api/v1/nodes/node-1", json=old)
        assert world.revision() == revision, "both forms say the same"
        await client.put("/api/v1/nodes/node-1", json={"keys": [new, old]})
        both = NodeRow("node-1", "kid-2", second, (NodeKeyRow("kid-1", NODE_KEY),))
        assert world.snapshot().nodes == (both,)
        assert world.events()[-1].node == both
        shown = {"node": "node-1", **new, "keys": [new, old]}
        assert (await client.get("/api/v1/nodes/node-1")).json() == shown
        assert (await client.get("/api/v1/nodes")).json() == {"nodes": [shown]}
        taken = await client.put("/api/v1/nodes/node-2", json={"keys": [old]})
        assert taken.status_code == 409
        await client.put("/api/v1/nodes/node-1", json={"keys": [new]})
        assert world.snapshot().nodes == (NodeRow("node-1", "kid-2", second),)
        assert (await client.put("/api/v1/nodes/node-2", json={"keys": [old]})).status_code == 200
        assert (await client.get("/api/v1/nodes/node-3")).status_code == 404


async def test_a_node_is_registered_changed_and_forgotten(world: World) -> None:
    other = public_key_text(Ed25519PrivateKey.generate().public_key())
    async with world.client(PLATFORM_TOKEN) as client:
        made = await client.put("/api/v1/nodes/node-1", json={"kid": "kid-1", "public_key": NODE_KEY})
        key = {"kid": "kid-1", "public_key": NODE_KEY}
        assert made.json() == {"node": "node-1", **key, "keys": [key]}
        assert world.snapshot().nodes == (NodeRow("node-1", "kid-1", NODE_KEY),)
        assert world.events()[-1].node == NodeRow("node-1", "kid-1", NODE_KEY)
        await client.put("/api/v1/nodes/node-1", json={"kid": "kid-2", "public_key": other})
        assert world.snapshot().nodes == (NodeRow("node-1", "kid-2", other),)
        taken = await client.put("/api/v1/nodes/node-2", json={"kid": "kid-2", "public_key": NODE_KEY})
        assert taken.status_code == 409
        assert taken.json()["type"] == TYPE_PREFIX + "node-key-taken"
        assert (await client.delete("/api/v1/nodes/node-1")).status_code == 204
        assert (await client.delete("/api/v1/nodes/node-1")).status_code == 404
    assert world.snapshot().nodes == ()
    assert world.events()[-1].op == "remove_node"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/orgs/-bad", {"name": "x"}),
        ("/api/v1/orgs/..%2e", {"name": "x"}),
        ("/api/v1/orgs/new", {"name": " "}),
        ("/api/v1/orgs/new", {"name": "two\nlines"}),
        ("/api/v1/orgs/new", {"name": "x", "extra": 1}),
        ("/api/v1/orgs/acme/members/nobody", {"role": "owner"}),
        ("/api/v1/orgs/acme/members/a@b.test", {"role": "admin"}),
        ("/api/v1/nodes/node-1", {"kid": "a b", "public_key": NODE_KEY}),
        ("/api/v1/nodes/node-1", {}),
        ("/api/v1/nodes/node-1", {"kid": "kid"}),
        ("/api/v1/nodes/node-1", {"keys": []}),
        ("/api/v1/nodes/node-1", {"keys": [{"kid": "kid", "public_key": NODE_KEY}] * 2}),
        ("/api/v1/nodes/node-1", {"keys": [{"kid": f"k{n}", "public_key": NODE_KEY} for n in range(9)]}),
        ("/api/v1/nodes/node-1", {"kid": "kid", "public_key": NODE_KEY, "keys": []}),
        ("/api/v1/nodes/node-1", {"keys": [{"kid": "kid", "public_key": "!" * 43}]}),
        ("/api/v1/nodes/node-1", {"kid": "kid", "public_key": "A" * 42}),
        ("/api/v1/nodes/node-1", {"kid": "kid", "public_key": "!" * 43}),
        ("/api/v1/nodes/node-1", {"kid": "kid", "public_key": NODE_KEY[:-1] + "~"}),
    ],
)
async def test_what_could_not_be_used_is_refused(world: World, path: str, body: dict[str, object]) -> None:
    async with world.client(PLATFORM_TOKEN) as client:
        answer = await client.put(path, json=body)
    assert answer.status_code == 422
    assert world.revision() == 3
