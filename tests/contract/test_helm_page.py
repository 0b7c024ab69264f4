"""docs/helm.md: the lines for Vault's JWT auth let each plane in by its ServiceAccount, and nobody else."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.vault_session import VaultDenied, VaultSession
from tests.support.servers.vault import VaultServer
from tests.support.servers.vault_store import Plane, VaultStore, session_of

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "helm.md"
COMMAND_SECONDS: Final = 60
LIFE_SECONDS: Final = 3_600
"""Of a token, by the page's roles."""
_BLOCK: Final = re.compile(r"^```sh\n(vault auth enable jwt\n.*?)^```$", re.MULTILINE | re.DOTALL)
_OF_A_CLUSTER: Final = "vault write auth/jwt/config oidc_discovery_url="
"""The one line that asks a cluster for its issuer; the block's other configuration is for keys as PEM."""


@pytest.fixture
def vault() -> Iterator[VaultStore]:
    """A Vault of this test: its auth methods belong to the whole server."""
    with VaultServer() as server:
        yield VaultStore.new(server)


@pytest.fixture
def cluster_key() -> rsa.RSAPrivateKey:
    """The key by which a cluster signs its pods' tokens."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def run_the_block(server: VaultServer, folder: Path, key: rsa.RSAPrivateKey) -> None:
    (block,) = _BLOCK.findall(PAGE.read_text())
    lines = [line for line in block.splitlines() if not line.startswith(_OF_A_CLUSTER)]
    assert len(lines) == len(block.splitlines()) - 1
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "cluster-keys.pem").write_bytes(public)
    (folder / "vault").symlink_to(server.program)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
        cwd=folder,
        env={
            "HOME": str(folder),
            "PATH": f"{folder}:{os.defpath}",
            "VAULT_ADDR": server.address,
            "VAULT_CACERT": str(server.ca_file),
            "VAULT_TOKEN": str(server.root().token),
        },
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def session(vault: VaultStore, plane: Plane, file: Path) -> VaultSession:
    return session_of(vault.target(plane, "jwt", credential_file=str(file)), None)


def test_the_lines_for_jwt_auth_let_each_plane_in_by_its_own_account(
    tmp_path: Path, vault: VaultStore, cluster_key: rsa.RSAPrivateKey
) -> None:
    run_the_block(vault.server, tmp_path, cluster_key)
    file, now = tmp_path / "token", int(time.time())  # noqa: TID251  # Vault reads the real clock
    planes: tuple[Plane, Plane] = ("control-plane", "data-plane")
    for account in planes:
        subject = f"system:serviceaccount:ai-gateway:aigw-ai-gateway-{account}"
        issuer = "https://kubernetes.default.svc"
        claims = {"sub": subject, "aud": "vault", "iss": issuer, "iat": now, "exp": now + 300}
        file.write_text(jwt.encode(claims, cluster_key, algorithm="RS256"))
        for plane in planes:
            opened = session(vault, plane, file)
            try:
                if plane == account:
                    target = vault.target(plane)
                    assert opened.rights(f"{target.mount}/data/{target.path('acme', 'openai')}")
                    assert opened.token_left_seconds is not None
                    assert opened.token_left_seconds <= LIFE_SECONDS
                else:
                    with pytest.raises(VaultDenied, match="refused the login"):
                        opened.rights("any")
            finally:
                opened.close()
