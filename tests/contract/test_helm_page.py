"""docs/helm.md and the chart's notes: the lines for Vault's JWT auth let each plane in, and nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.vault_session import VaultDenied, VaultSession
from tests.support.chart import notes
from tests.support.documented import block_with, run_script, vault_commands
from tests.support.servers.vault import VaultServer
from tests.support.servers.vault_store import Plane, VaultStore, session_of

PAGE: Final = "docs/helm.md"
LIFE_SECONDS: Final = 3_600
"""Of a token, by the roles of page and notes."""
NOTES_MOUNT: Final = "jwt-by-the-notes"
_OF_A_CLUSTER: Final = "oidc_discovery_url="
"""In the one line that asks a cluster for its issuer; the page's other configuration is for keys as PEM."""


@pytest.fixture
def vault() -> Iterator[VaultStore]:
    """A Vault of this test: its auth methods belong to the whole server."""
    with VaultServer() as server:
        yield VaultStore.new(server)


@pytest.fixture
def cluster_key() -> rsa.RSAPrivateKey:
    """The key by which a cluster signs its pods' tokens."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def run(lines: str, server: VaultServer, folder: Path, key: rsa.RSAPrivateKey) -> None:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "cluster-keys.pem").write_bytes(public)
    run_script(
        lines,
        folder,
        {"vault": server.program},
        VAULT_ADDR=server.address,
        VAULT_CACERT=str(server.ca_file),
        VAULT_TOKEN=str(server.root().token),
    )


def of_the_page() -> str:
    """The page's lines for keys as PEM."""
    lines = block_with(PAGE, "vault auth enable jwt").splitlines()
    kept = [line for line in lines if _OF_A_CLUSTER not in line]
    assert len(kept) == len(lines) - 1
    return "\n".join(kept)


def of_the_notes() -> str:
    """The lines of the chart's notes, with the page's configuration by keys as PEM."""
    (by_keys,) = [command for command in vault_commands(of_the_page()) if "auth/jwt/config" in command]
    told = notes({"vault": {"auth": "jwt", "authMount": NOTES_MOUNT}}, namespace="ai-gateway")
    typed = [by_keys if _OF_A_CLUSTER in command else command for command in vault_commands(told)]
    return "\n".join(typed).replace("auth/jwt/config", f"auth/{NOTES_MOUNT}/config")


def session(vault: VaultStore, plane: Plane, mount: str, file: Path) -> VaultSession:
    target = vault.target(plane, "jwt", auth_mount=mount, credential_file=str(file))
    return session_of(target, None)


@pytest.mark.parametrize(
    ("lines", "mount"), [(of_the_page, "jwt"), (of_the_notes, NOTES_MOUNT)], ids=["page", "notes"]
)
def test_the_lines_for_jwt_auth_let_each_plane_in_by_its_own_account(
    tmp_path: Path,
    vault: VaultStore,
    cluster_key: rsa.RSAPrivateKey,
    lines: Callable[[], str],
    mount: str,
) -> None:
    run(lines(), vault.server, tmp_path, cluster_key)
    file, now = tmp_path / "token", int(time.time())  # noqa: TID251  # Vault reads the real clock
    planes: tuple[Plane, Plane] = ("control-plane", "data-plane")
    for account in planes:
        subject = f"system:serviceaccount:ai-gateway:aigw-ai-gateway-{account}"
        issuer = "https://kubernetes.default.svc"
        claims = {"sub": subject, "aud": "vault", "iss": issuer, "iat": now, "exp": now + 300}
        file.write_text(jwt.encode(claims, cluster_key, algorithm="RS256"))
        for plane in planes:
            opened = session(vault, plane, mount, file)
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
