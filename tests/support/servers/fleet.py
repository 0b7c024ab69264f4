"""A fleet as in production: control planes and data planes as processes, on Postgres, Redis and Vault.

The processes are started by the commands of the images, and configured by the environment alone.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import httpx

from aigw.embedded.banner import OWNER
from aigw.embedded.data_dir import DataDir
from aigw.embedded.local_issuer import AUDIENCE, ISSUER, LocalIssuer
from aigw.node_key import NodeKey
from shared.box_token import MAX_LIFE_SECONDS
from shared.clock import unix_now
from tests.support.commands import AIGW
from tests.support.control_plane import ControlPlane
from tests.support.gateway import UNLIMITED, clean_environment
from tests.support.polling import eventually
from tests.support.servers.process import ServerProcess, short_folder
from tests.support.servers.vault_store import VaultStore

PlaneKind = Literal["control-plane", "data-plane"]
NODE: Final = "node-1"
KID: Final = "node-1-key"
_PORTS: Final = re.compile(
    r"^(?:Control|Data) plane .*?[ :](\d+)[,;] (?:fleet on|admin on port) (\d+)$", re.MULTILINE
)


@dataclass(slots=True)
class Plane:
    """A process. `outer_port`: the REST or box listener; `inner_port`: the fleet's or the admin listener."""

    kind: PlaneKind
    environment: dict[str, str]
    process: ServerProcess
    outer_port: int = 0
    inner_port: int = 0
    prefix: Sequence[str] = ()

    def start(self) -> None:
        """Start the process and learn its ports; again after `process.stop` or `process.kill`."""
        (self.process.folder / "log").unlink(missing_ok=True)
        command = [*self.prefix, *AIGW, self.kind]
        self.process.start(command, lambda: bool(_PORTS.search(self.process.log)), self.environment)
        found = _PORTS.search(self.process.log)
        assert found is not None
        self.outer_port, self.inner_port = int(found[1]), int(found[2])


@dataclass(slots=True)
class Fleet:
    """The common parts of the processes. `database_url`, `redis_url`: the backends; `vault`: keys."""

    folder: Path
    database_url: str
    redis_url: str
    vault: VaultStore
    planes: list[Plane] = field(default_factory=list)
    internal_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    platform_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    fingerprint_key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    feed_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @contextmanager
    def running(self) -> Iterator[None]:
        """End every process started inside."""
        try:
            yield
        finally:
            for plane in reversed(self.planes):
                plane.process.close()

    def control_plane(self, *, prefix: Sequence[str] = (), **environment: str) -> Plane:
        """Start another control plane, with further settings; `prefix` runs the command."""
        issuers = [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(self._issuer.jwks_file)}]
        return self._start(
            "control-plane",
            AIGW_DATABASE_URL=self.database_url,
            AIGW_PLATFORM_TOKEN=self.platform_token,
            AIGW_FINGERPRINT_KEY=self.fingerprint_key,
            AIGW_ISSUERS=json.dumps(issuers),
            AIGW_CONTROL_PLANE_PORT="0",
            AIGW_INTERNAL_PORT="0",
            prefix=prefix,
            **UNLIMITED | environment,
        )

    def data_plane(self, control_plane: Plane, **environment: str) -> Plane:
        """Start another data plane, with its snapshots from `control_plane`, and further settings."""
        return self._start(
            "data-plane",
            AIGW_CONTROL_PLANE_INTERNAL_URL=f"http://127.0.0.1:{control_plane.inner_port}",
            **{"AIGW_IDENTITY_MODE": "header", "AIGW_BOX_PORT": "0", "AIGW_ADMIN_PORT": "0"} | environment,
        )

    def _start(self, kind: PlaneKind, *, prefix: Sequence[str] = (), **environment: str) -> Plane:
        role = f"aigw-{kind}"
        values = {
            "AIGW_ENVIRONMENT": "development",  # the scripted provider speaks plain http
            "AIGW_INTERNAL_TOKEN": self.internal_token,
            "AIGW_SECRET_STORE_URL": self.vault.url(kind),
            "AIGW_VAULT_CREDENTIAL": self.vault.server.secret_id(role),
            "AIGW_EVENT_BUS_URL": self.redis_url,
            "AIGW_FEED_KEY": self.feed_key,
            "AIGW_ENDPOINT_ADDRESS_EXCEPTIONS": "127.0.0.0/8",
            "AIGW_ALLOW_PLAIN_HTTP_ENDPOINTS": "true",
        }
        process = ServerProcess(short_folder(kind))
        plane = Plane(kind, clean_environment(**values | environment), process, prefix=prefix)
        self.planes.append(plane)
        plane.start()
        return plane

    @property
    def _issuer(self) -> LocalIssuer:
        data = DataDir.open(self.folder / "issuer")
        try:
            return LocalIssuer.open(data)
        finally:
            data.close()

    @property
    def _node_key(self) -> NodeKey:
        path = self.folder / "node-key.pem"
        return NodeKey.read(path) if path.exists() else NodeKey.create(path)

    @asynccontextmanager
    async def client(self, plane: Plane) -> AsyncIterator[ControlPlane]:
        """The REST interface of a control plane, with a node known to the control plane."""
        owner = self._issuer.mint(OWNER, "Owner", unix_now()).reveal()
        url = f"http://127.0.0.1:{plane.outer_port}/api/v1"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            head = {"authorization": f"Bearer {self.platform_token}"}
            body = {"kid": KID, "public_key": self._node_key.public_text}
            (await client.put(f"/nodes/{NODE}", json=body, headers=head)).raise_for_status()
            yield ControlPlane(client, owner, self.platform_token)

    def box_headers(self, org: str) -> dict[str, str]:
        """The headers of a trusted proxy about a box of `org`."""
        token = self._node_key.mint(
            KID, box="box-1", org=org, lifecycle="1", now=unix_now(), life_seconds=MAX_LIFE_SECONDS
        )
        return {"x-run9-box-token": token}

    async def ready(self, plane: Plane) -> None:
        """Wait until a data plane reports to be ready."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:

            async def is_ready() -> bool:
                return (await client.get(f"http://127.0.0.1:{plane.inner_port}/readyz")).is_success

            await eventually(is_ready, f"a data plane is ready:\n{plane.process.log}")

    def check_logs(self, *canaries: str) -> None:
        """Raise `AssertionError` when a log shows a crash or a secret."""
        secrets_ = (self.internal_token, self.platform_token, self.fingerprint_key, self.feed_key, *canaries)
        for plane in self.planes:
            log = plane.process.log
            assert "Traceback" not in log, log
            credential = plane.environment["AIGW_VAULT_CREDENTIAL"]
            assert not any(secret in log for secret in (*secrets_, credential)), f"a secret is in:\n{log}"
