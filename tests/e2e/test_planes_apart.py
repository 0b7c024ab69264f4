"""The planes as processes of their own, set up by `AIGW_*` variables: they meet over HTTP alone."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from aigw.banner import OWNER
from aigw.data_dir import DataDir
from aigw.local_issuer import AUDIENCE, ISSUER, LocalIssuer
from aigw.node_key import NodeKey
from shared.clock import unix_now
from shared.listener import bind, port_of
from tests.support.answers import json_answer
from tests.support.control_plane import ControlPlane
from tests.support.gateway import STOP_SECONDS, clean_environment
from tests.support.polling import eventually
from tests.support.scripted_upstream import ScriptedUpstream

KEY = "sk-key-of-acme-000000001"
PLATFORM_TOKEN = "a-platform-token-for-tests"
NAMES = ("control_plane_port", "internal_port", "box_port", "admin_port")


def free_ports() -> dict[str, int]:
    listeners = [bind("127.0.0.1", 0, option="test") for _ in NAMES]
    ports = {name: port_of(listener) for name, listener in zip(NAMES, listeners, strict=True)}
    for listener in listeners:
        listener.close()
    return ports


@contextmanager
def plane(name: str, folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    """Run one plane; give its log file. A stop that is not clean fails the test."""
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "aigw", name]
        process = subprocess.Popen(command, stdout=file, stderr=file, env=clean_environment(**environment))
    try:
        yield log
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def rest(port: int, owner_token: str) -> AsyncIterator[ControlPlane]:
    url = f"http://127.0.0.1:{port}/api/v1"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/me")).status_code == 401
            except httpx.TransportError:
                return False

        await eventually(answers, "the control plane answers")
        yield ControlPlane(client, owner_token, PLATFORM_TOKEN)


async def test_a_key_saved_in_one_process_is_used_by_the_other(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path / "data")
    issuer = LocalIssuer.open(data)
    ports = free_ports()
    issuers = [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(issuer.jwks_file)}]
    environment = {f"AIGW_{name.upper()}": str(port) for name, port in ports.items()} | {
        "AIGW_ENVIRONMENT": "development",
        "AIGW_INTERNAL_TOKEN": data.secret("internal-token").reveal(),
        "AIGW_PLATFORM_TOKEN": PLATFORM_TOKEN,
        "AIGW_ISSUERS": json.dumps(issuers),
        "AIGW_DATABASE_URL": data.database_url,
        "AIGW_SECRET_STORE_URL": data.secret_store_url,
        "AIGW_CONTROL_PLANE_INTERNAL_URL": f"http://127.0.0.1:{ports['internal_port']}",
        "AIGW_ENDPOINT_ADDRESS_EXCEPTIONS": "127.0.0.0/8",
        "AIGW_ALLOW_PLAIN_HTTP_ENDPOINTS": "true",
        "AIGW_SNAPSHOT_POLL_SECONDS": "0.2",
        "AIGW_IDENTITY_MODE": "header",
    }
    token = issuer.mint(OWNER, "Owner", unix_now()).reveal()
    node = NodeKey.create(tmp_path / "node.pem")
    async with ScriptedUpstream(
        keys=frozenset({KEY.encode()}), respond=lambda _: json_answer({})
    ) as upstream:
        with (
            plane("data-plane", tmp_path, environment) as data_log,
            plane("control-plane", tmp_path, environment) as control_log,
        ):
            async with rest(ports["control_plane_port"], token) as control_plane:
                head = {"authorization": f"Bearer {PLATFORM_TOKEN}"}
                body = {"kid": "n1", "public_key": node.public_text}
                (await control_plane.client.put("/nodes/n1", json=body, headers=head)).raise_for_status()
                org = await control_plane.new_org()
                await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
                box = node.mint("n1", box="b", org=org, lifecycle="1", now=unix_now(), life_seconds=300)
                url = f"http://127.0.0.1:{ports['box_port']}/run9/ai/openai/v1/models"

                async def reaches_the_provider() -> bool:
                    answer = await control_plane.client.get(url, headers={"X-Run9-Box-Token": box})
                    return answer.status_code == 200

                await eventually(reaches_the_provider, "the call passes")
            await asyncio.to_thread(data.close)
        for log in (data_log, control_log):
            text = log.read_text()
            assert "Traceback" not in text
            assert KEY not in text
            assert str(ports["control_plane_port" if log is control_log else "box_port"]) in text
    assert upstream.requests[0].target == b"/v1/models"
