"""The services of docker-compose.yml, without containers: commands and variables, scripts, real servers.

Only where things are differs: host names become ports of this machine, mounted folders one of the test's.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml

from tests.support.commands import AIGW
from tests.support.gateway import clean_environment
from tests.support.polling import eventually
from tests.support.servers.process import ServerProcess, free_port, short_folder
from tests.support.servers.tools import REPOSITORY
from tests.support.servers.valkey import ValkeyServer
from tests.support.servers.vault import VaultServer

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())[
    "services"
]
SECONDS = 120


@dataclass
class Composed:
    """The services of the file on this machine. `run`: where credentials lie."""

    run: Path
    database_url: str
    vault: VaultServer
    redis_port: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    processes: list[ServerProcess] = field(default_factory=list)

    def port(self, name: str) -> int:
        return self.ports.setdefault(name, free_port())

    def here(self, text: str) -> str:
        """Say the same for this machine."""
        places = {
            "/run/aigw": str(self.run),
            "tls=off": f"ca_file={self.vault.ca_file}",
            "vault:8200": f"127.0.0.1:{self.vault.port}",
            "redis:6379": f"127.0.0.1:{self.redis_port}",
            "control-plane:9902": f"127.0.0.1:{self.port('AIGW_INTERNAL_PORT')}",
            "control-plane:9900": f"127.0.0.1:{self.port('AIGW_CONTROL_PLANE_PORT')}",
            "demo-provider:8080": f"127.0.0.1:{self.port('demo')}",
            "0.0.0.0": "127.0.0.1",
            "172.29.99.0/24": "127.0.0.0/8",
        }
        for there, place in places.items():
            text = text.replace(there, place)
        return str(self.port("demo")) if text == "8080" else text

    def command(self, name: str) -> list[str]:
        words = [*AIGW, *map(self.here, SERVICES[name]["command"])]
        if SERVICES[name]["command"][0] == "demo":
            words += ["--folder", str(self.run)]
        return words

    def environment(self, name: str) -> dict[str, str]:
        values = {key: self.here(value) for key, value in SERVICES[name].get("environment", {}).items()}
        if values.pop("AIGW_DATABASE_URL_FILE", None):
            values["AIGW_DATABASE_URL"] = self.database_url
        kind = "data" if name.startswith("data-plane") else "control"
        if kind == "data":
            box = self.port(f"{name} box")
            values |= {"AIGW_BOX_PORT": str(box), "AIGW_BOX_AUTHORITIES": f"127.0.0.1:{box}"}
            values["AIGW_ADMIN_PORT"] = str(self.port(f"{name} admin"))
        elif values:
            for option in ("AIGW_CONTROL_PLANE_PORT", "AIGW_INTERNAL_PORT"):
                values[option] = str(self.port(option))
        return clean_environment(**values)

    def once(self, name: str) -> str:
        """Run a service to its end."""
        done = subprocess.run(
            self.command(name),
            env=self.environment(name),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name: str, said: str) -> ServerProcess:
        """Start a lasting service, and wait until its start is printed."""
        process = ServerProcess(short_folder(name))
        self.processes.append(process)
        process.start(self.command(name), lambda: said in process.log, self.environment(name))
        return process

    def set_vault_up(self) -> str:
        done = subprocess.run(
            ["sh", REPOSITORY / "deploy/compose/vault.sh"],
            env={
                "PATH": os.defpath,
                "HOME": str(self.run),
                "VAULT_CLI": str(self.vault.program),
                "VAULT_ADDR": self.vault.address,
                "VAULT_CACERT": str(self.vault.ca_file),
                "RUN_FOLDER": str(self.run),
                "SETUP_SCRIPT": str(REPOSITORY / "deploy/vault/setup.sh"),
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def composed(tmp_path: Path, postgres_url: str) -> Iterator[Composed]:
    vault = VaultServer()
    made = Composed(tmp_path / "run", postgres_url, vault)
    try:
        vault.start()
        yield made
    finally:
        for process in reversed(made.processes):
            process.close()
        vault.process.close()


async def test_the_services_of_the_file_come_up_in_its_order_and_stream_an_answer(composed: Composed) -> None:
    composed.run.mkdir()
    composed.once("prepare")
    assert "Vault is ready" in composed.set_vault_up()
    with ValkeyServer(acl=(composed.run / "redis/users.acl").read_text()) as server:
        health = redis.Redis(port=server.port, username="health", password="any")
        assert health.ping()
        health.close()
        composed.redis_port = server.port
        composed.once("migrate")
        composed.start("demo-provider", "Demo provider on port")
        composed.start("control-plane", "Control plane on port")
        link = composed.once("seed")
        assert "http://127.0.0.1:9900/sign-in#" in link
        for name in ("data-plane", "data-plane-2"):
            composed.start(name, "Data plane for boxes")
            await streams_an_answer(composed, name)
        composed.once("seed")

        # A stopped Vault comes back sealed; the same one-shot opens it again and changes no credential.
        before = (composed.run / "data-plane/vault/secret-id").read_text()
        composed.vault.process.stop()
        composed.vault.start()
        composed.set_vault_up()
        assert (composed.run / "data-plane/vault/secret-id").read_text() == before
        await streams_an_answer(composed, "data-plane")
    keys = [
        *composed.run.rglob("*-token"),
        *composed.run.rglob("secret-id"),
        *composed.run.rglob("*password"),
    ]
    for process in composed.processes:
        assert "Traceback" not in process.log, process.log
        assert not [path for path in keys if path.read_text().strip() in process.log]


async def streams_an_answer(composed: Composed, name: str) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:

        async def is_ready() -> bool:
            admin = composed.port(f"{name} admin")
            return (await client.get(f"http://127.0.0.1:{admin}/readyz")).is_success

        await eventually(is_ready, f"{name} is ready")
        answer = await client.post(
            f"http://127.0.0.1:{composed.port(f'{name} box')}/run9/ai/openai/v1/chat/completions",
            json={"model": "demo", "stream": True, "messages": [{"role": "user", "content": "Hello"}]},
        )
    assert answer.status_code == 200, answer.text
    assert "data: [DONE]" in answer.text
