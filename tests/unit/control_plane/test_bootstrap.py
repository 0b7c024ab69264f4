"""The control plane as a whole, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.control_plane.bootstrap import ControlPlane
from services.control_plane.rules.problems import ProblemError
from services.control_plane.settings import ControlPlaneSettings
from shared.config_feed import decode_event, decode_snapshot
from shared.listener import ListenError
from shared.memory_stream import MemoryStream
from shared.secret import Secret
from tests.unit.control_plane.world import (
    AUDIENCE,
    INTERNAL_TOKEN,
    ISSUER,
    KEY,
    OPENAI,
    OWNER,
    PLATFORM_TOKEN,
    Issuer,
)

DEADLINE_SECONDS = 30


def settings(folder: Path, issuer: Issuer, **values: object) -> ControlPlaneSettings:
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps({"keys": [issuer.jwk]}))
    return ControlPlaneSettings.model_validate(
        {
            "environment": "embedded",
            "database_url": f"sqlite:///{folder / 'data' / 'gateway.db'}",
            "secret_store_url": f"local://{folder / 'data' / 'secrets'}",
            "control_plane_port": 0,
            "internal_port": 0,
            "drain_seconds": 1,
            "internal_token": Secret(INTERNAL_TOKEN),
            "platform_token": Secret(PLATFORM_TOKEN),
            "issuers": [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": jwks}],
            **values,
        }
    )


@contextlib.asynccontextmanager
async def running(plane: ControlPlane) -> AsyncIterator[None]:
    started, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(plane.run(started=started.set, stop=stop))
        await started.wait()
        try:
            yield
        finally:
            stop.set()


async def set_up(plane: ControlPlane, issuer: Issuer) -> httpx.Response:
    base = f"http://127.0.0.1:{plane.public_port}"
    platform = {"authorization": f"Bearer {PLATFORM_TOKEN}"}
    owner = {"authorization": f"Bearer {issuer.token()}", "if-match": "*"}
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        await client.put("/api/v1/orgs/acme", json={"name": "Acme"}, headers=platform)
        await client.put(f"/api/v1/orgs/acme/members/{OWNER}", json={"role": "owner"}, headers=platform)
        return await client.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers=owner)


async def test_a_change_travels_from_the_socket_to_the_stream_and_the_snapshot(tmp_path: Path) -> None:
    issuer, stream = Issuer(), MemoryStream()
    plane = ControlPlane.build(settings(tmp_path, issuer), stream=stream)
    async with running(plane):
        answer = await set_up(plane, issuer)
        assert answer.status_code == 200
        revision = answer.json()["revision"]
        entries = await stream.read(revision - 1, DEADLINE_SECONDS)
        assert [entry for entry, _ in entries] == [revision]
        event = decode_event(entries[0][1])
        url = f"http://127.0.0.1:{plane.internal_port}/internal/v1/snapshot"
        async with httpx.AsyncClient(trust_env=False) as client:
            taken = await client.get(url, headers={"authorization": f"Bearer {INTERNAL_TOKEN}"})
        snapshot = decode_snapshot(taken.content)
    assert event.integration in snapshot.integrations
    assert (event.epoch, event.revision) == (snapshot.epoch, snapshot.revision)


async def test_what_was_committed_is_there_after_a_restart_with_the_same_fingerprint(tmp_path: Path) -> None:
    issuer = Issuer()
    plane = ControlPlane.build(settings(tmp_path, issuer))
    async with running(plane):
        before = (await set_up(plane, issuer)).json()
    plane = ControlPlane.build(settings(tmp_path, issuer))
    async with running(plane):
        after = (await set_up(plane, issuer)).json()
    assert after["revision"] == before["revision"] + 1, "only the key was typed again"
    assert after["key"]["fingerprint"] == before["key"]["fingerprint"]


async def test_a_taken_port_is_told_and_nothing_stays_bound(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        plane = ControlPlane.build(settings(tmp_path, Issuer(), internal_port=taken))
        with pytest.raises(ListenError, match="AIGW_INTERNAL_PORT"):
            await plane.run(started=lambda: None, stop=asyncio.Event())
        plane.close()


async def test_a_typed_fingerprint_key_is_used(tmp_path: Path) -> None:
    issuer = Issuer()
    prints = []
    for number, key in enumerate(("a" * 16, "b" * 16, "a" * 16)):
        folder = tmp_path / str(number)
        folder.mkdir()
        plane = ControlPlane.build(settings(folder, issuer, fingerprint_key=Secret(key)))
        async with running(plane):
            prints.append((await set_up(plane, issuer)).json()["key"]["fingerprint"])
    assert prints[0] == prints[2] != prints[1]


@pytest.mark.parametrize("vouches", [True, False])
def test_an_operator_vouches_for_an_issuer_that_never_says_email_verified(
    tmp_path: Path, *, vouches: bool
) -> None:
    issuer = Issuer()
    sign_in = {
        "oidc_issuer": "http://login.test",
        "oidc_client_id": "portal",
        "portal_origin": "http://portal.test",
        "oidc_assume_email_verified": vouches,
    }
    chosen = settings(tmp_path, issuer, **sign_in)
    entry = chosen.issuers[0].model_copy(update={"assume_email_verified": vouches})
    plane = ControlPlane.build(chosen.model_copy(update={"issuers": (entry,)}))
    silent = f"Bearer {issuer.token(email_verified=None)}"
    if vouches:
        assert plane.context.sign_in.person(silent).email == OWNER
    else:
        with pytest.raises(ProblemError):
            plane.context.sign_in.person(silent)
    assert plane.context.oidc is not None
    assert plane.context.oidc._client.assume_email_verified is vouches
    plane.close()
