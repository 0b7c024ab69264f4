"""The planes as processes of their own, set up by `AIGW_*` variables alone, on free ports of this machine."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import httpx

from aigw.embedded.banner import MEMBER, OWNER
from aigw.embedded.data_dir import DataDir
from aigw.embedded.local_issuer import AUDIENCE, ISSUER, LocalIssuer
from aigw.node_key import NodeKey
from shared.clock import unix_now
from shared.listener import bind, port_of
from tests.support.commands import AIGW
from tests.support.control_plane import ControlPlane
from tests.support.gateway import STOP_SECONDS, clean_environment
from tests.support.polling import START_SECONDS, eventually

PLATFORM_TOKEN: Final = "a-platform-token-for-tests"
_NAMES: Final = ("control_plane_port", "internal_port", "box_port", "admin_port")


@dataclass
class PlanesApart:
    """An installation: a folder, its ports and the environment of both planes."""

    folder: Path
    ports: dict[str, int]
    environment: dict[str, str]
    data: DataDir
    node: NodeKey
    owner_token: str
    member_token: str
    logs: list[Path] = field(default_factory=list)
    descriptors: int | None = None
    """The limit on open descriptors of each plane, where different from this process's."""

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Lay an installation out; nothing runs yet."""
        data = DataDir.open(folder / "data")
        issuer = LocalIssuer.open(data)
        ports = _free_ports()
        issuers = [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(issuer.jwks_file)}]
        environment = {f"AIGW_{name.upper()}": str(port) for name, port in ports.items()} | {
            "AIGW_ENVIRONMENT": "development",
            "AIGW_INTERNAL_TOKEN": data.secret("internal-token").reveal(),
            "AIGW_PLATFORM_TOKEN": PLATFORM_TOKEN,
            "AIGW_ISSUERS": json.dumps(issuers),
            "AIGW_DATABASE_URL": data.database_url,
            "AIGW_SECRET_STORE_URL": data.secret_store_url,
            "AIGW_CONTROL_PLANE_INTERNAL_URL": f"http://127.0.0.1:{ports['internal_port']}",
            "AIGW_DATA_PLANE_ADMIN_URL": f"http://127.0.0.1:{ports['admin_port']}",
            "AIGW_ENDPOINT_ADDRESS_EXCEPTIONS": "127.0.0.0/8",
            "AIGW_ALLOW_PLAIN_HTTP_ENDPOINTS": "true",
            "AIGW_SNAPSHOT_POLL_SECONDS": "0.2",
            "AIGW_IDENTITY_MODE": "header",
        }
        return cls(
            folder,
            ports,
            environment,
            data,
            NodeKey.create(folder / "node.pem"),
            issuer.mint(OWNER, "Owner", unix_now()).reveal(),
            issuer.mint(MEMBER, "Member", unix_now()).reveal(),
        )

    @contextmanager
    def plane(self, name: str) -> Iterator[Path]:
        """Run a plane in `folder`; give its log file. An unclean stop fails the test."""
        log = self.folder / f"{name}.log"
        self.logs.append(log)
        with log.open("ab") as file:
            command = [*AIGW, name]
            if self.descriptors is not None:
                command = ["bash", "-c", f'ulimit -n {self.descriptors} && exec "$@"', "bash", *command]
            environment = clean_environment(**self.environment)
            process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=self.folder)
        try:
            yield log
            assert process.poll() is None, log.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()

    @asynccontextmanager
    async def rest(self) -> AsyncIterator[ControlPlane]:
        """Give the REST interface once the control plane answers, as the platform and an owner use it."""
        url = f"http://127.0.0.1:{self.ports['control_plane_port']}/api/v1"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            await _until(client, "/me", 401)
            yield ControlPlane(client, self.owner_token, PLATFORM_TOKEN)

    async def data_plane_is_ready(self) -> None:
        """Wait until the data plane has its configuration."""
        async with httpx.AsyncClient(trust_env=False) as client:
            await _until(client, f"http://127.0.0.1:{self.ports['admin_port']}/readyz", 200)

    async def register_node(self, control_plane: ControlPlane) -> None:
        """Let the node sign box tokens."""
        head = {"authorization": f"Bearer {PLATFORM_TOKEN}"}
        body = {"kid": "n1", "public_key": self.node.public_text}
        (await control_plane.client.put("/nodes/n1", json=body, headers=head)).raise_for_status()

    def box_token(self, org: str) -> str:
        """Mint a token of a box of an org."""
        return self.node.mint("n1", box="b", org=org, lifecycle="1", now=unix_now(), life_seconds=300)

    def box_url(self, path: str) -> str:
        """Give the URL of a path for a box to call, e.g. `openai/v1/models`."""
        return f"http://127.0.0.1:{self.ports['box_port']}/run9/ai/{path}"


async def _until(client: httpx.AsyncClient, url: str, status: int) -> None:
    async def answers() -> bool:
        try:
            return (await client.get(url)).status_code == status
        except httpx.TransportError:
            return False

    await eventually(answers, f"{url} answers", deadline_seconds=START_SECONDS)


def _free_ports() -> dict[str, int]:
    listeners = [bind("127.0.0.1", 0, option="test") for _ in _NAMES]
    ports = {name: port_of(listener) for name, listener in zip(_NAMES, listeners, strict=True)}
    for listener in listeners:
        listener.close()
    return ports
