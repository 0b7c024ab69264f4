"""The gateway on Postgres, Redis and Vault: a change at any control plane is live at every data plane."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.support.answers import json_answer
from tests.support.canary import Canary
from tests.support.commands import AIGW
from tests.support.polling import eventually
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.servers.fleet import Fleet, Plane
from tests.support.servers.valkey import ValkeyServer

GENEROUS_SECONDS = 30


@asynccontextmanager
async def box(fleet: Fleet, plane: Plane, org: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{plane.outer_port}/run9/ai",
        headers=fleet.box_headers(org),
        trust_env=False,
        timeout=GENEROUS_SECONDS,
    ) as client:
        yield client


async def error_of(client: httpx.AsyncClient) -> str:
    return str((await client.get("/openai/v1/models")).headers.get("x-run9-error", ""))


async def test_a_change_at_one_control_plane_is_live_at_every_data_plane(
    fleet: Fleet, valkey: ValkeyServer
) -> None:
    canary = Canary()
    one, other = fleet.control_plane(), fleet.control_plane()
    planes = [fleet.data_plane(one), fleet.data_plane(other)]
    async with (
        fleet.client(one) as first,
        fleet.client(other) as second,
        ScriptedUpstream(keys=frozenset({canary.text.encode()}), base_path=b"/v1/") as upstream,
    ):
        org = await first.new_org()
        for plane in planes:
            await fleet.ready(plane)
        await second.set_up(org, "openai", canary.text, f"{upstream.origin}/v1")
        for plane in planes:
            async with box(fleet, plane, org) as client:

                async def is_on(client: httpx.AsyncClient = client) -> bool:
                    status = await client.get("/", headers={"accept": "application/json"})
                    return any(card["state"] == "on" for card in status.json()["providers"])

                await eventually(is_on, "the integration is on")
                upstream.queue(json_answer({"through": plane.outer_port}))
                answer = await client.get("/openai/v1/models")
                assert answer.json() == {"through": plane.outer_port}, answer.headers
        upstream.respond = lambda _: json_answer({})  # for calls before the change has arrived
        await first.switch(org, "openai", enabled=False)
        for plane in planes:
            async with box(fleet, plane, org) as client:

                async def is_off(client: httpx.AsyncClient = client) -> bool:
                    return await error_of(client) == "integration_disabled"

                await eventually(is_off, "the integration is off")
        await first.clear(org, "openai")

        async def is_destroyed() -> bool:
            return fleet.vault.read(org, "openai", 1) is None

        await eventually(is_destroyed, "the key is destroyed in Vault")
    with valkey.client() as redis:
        dump = b"".join(redis.dump(key) or b"" for key in redis.keys("*"))
    assert canary.text.encode() not in dump
    assert canary.text not in fleet.vault.server.audit_file.read_text()
    fleet.check_logs(canary.text)


async def test_a_data_plane_starts_from_the_copy_when_no_control_plane_answers(fleet: Fleet) -> None:
    control_plane = fleet.control_plane()
    running = fleet.data_plane(control_plane)
    async with fleet.client(control_plane) as client:
        org = await client.new_org()
    await fleet.ready(running)
    control_plane.process.stop()
    late = fleet.data_plane(control_plane)
    await fleet.ready(late)
    async with box(fleet, late, org) as client:
        assert await error_of(client) in {"integration_missing", "box_identity_required"}
    fleet.check_logs()


def say_that_it_was_restored(control_plane: Plane) -> str:
    done = subprocess.run(
        [*AIGW, "db", "restored"],
        env=control_plane.environment,
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS * 2,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_database_that_was_restored_sends_a_running_data_plane_to_a_snapshot(fleet: Fleet) -> None:
    control_plane = fleet.control_plane()
    data_plane = fleet.data_plane(control_plane)
    await fleet.ready(data_plane)
    said = say_that_it_was_restored(control_plane)
    async with httpx.AsyncClient(trust_env=False, timeout=GENEROUS_SECONDS) as client:

        async def is_in_the_new_epoch() -> bool:
            shown = await client.get(f"http://127.0.0.1:{data_plane.inner_port}/debug/config")
            return str(shown.json()["epoch"]) in said

        await eventually(is_in_the_new_epoch, "the data plane has taken a snapshot of the new epoch")
    fleet.check_logs()
