"""The walk in docs/deploy.md, from an empty database, Vault and Redis to a streamed answer, line by line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from aigw.embedded.data_dir import DataDir
from aigw.embedded.local_issuer import AUDIENCE, ISSUER, LocalIssuer
from shared.clock import unix_now
from tests.support.gateway import Gateway, clean_environment
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import free_port
from tests.support.servers.valkey import ValkeyServer
from tests.support.servers.vault import VaultServer

pytestmark = pytest.mark.xdist_group("static gateway")

ROOT: Final = Path(__file__).resolve().parents[2]
OWNER: Final = "owner@acme.example"
SECTION: Final = re.compile(r"^## From nothing to the first answer\n(.*?)^## ", re.MULTILINE | re.DOTALL)
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WALK_SECONDS: Final = 300
PORTS: Final = {
    "9900": "AIGW_CONTROL_PLANE_PORT",
    "9901": "AIGW_ADMIN_PORT",
    "9902": "AIGW_INTERNAL_PORT",
    "1000": "AIGW_BOX_PORT",
}
"""The page's ports, and the settings by which the test moves them to free ports."""


def test_the_walk_of_the_page_ends_with_a_streamed_answer(
    tmp_path: Path, postgres_server: PostgresServer, static_gateway: Gateway
) -> None:
    site, prepare, *rest = blocks_of_the_walk()
    redis = ValkeyServer({"aclfile": str(tmp_path / "secrets" / "users.acl")})
    ports = {setting: str(free_port()) for setting in PORTS.values()}
    with VaultServer() as vault:
        names = values_of_the_site(tmp_path, static_gateway, vault) | {
            "DATABASE_URL": postgres_server.new_database(),
            "REDIS_URL": f"redis://PLANE@127.0.0.1:{redis.port}/0",
        }
        assert set(re.findall(r"\b([A-Z_]+)=", site)) == set(names), (
            "the page says what differs between sites"
        )
        environment = environment_of_a_person(tmp_path, vault) | names | ports
        run(prepare, tmp_path, environment)
        with redis:
            shown = run("\n".join(moved(block, ports) for block in rest), tmp_path, environment)
    assert "The stored key …" in shown
    assert "data: [DONE]" in shown
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert "Control plane" in logs
    assert "Data plane" in logs
    texts = [
        path.read_text().strip() for path in (tmp_path / "secrets").iterdir() if path.name != "users.acl"
    ]
    assert not [text for text in texts if text in logs + shown]


def test_git_ignores_every_file_that_the_walks_leave_in_a_checkout() -> None:
    text = "\n".join(blocks_of_the_walk()) + (ROOT / "docs/helm.md").read_text()
    written = re.findall(r"> ([a-z][\w/.-]*\.(?:env|log|acl))\b", text)
    read = re.findall(r"=\$PWD/([a-z][\w/.-]*)", text) + re.findall(r"--(?:key|from)-file[= ](\S+)", text)
    names = {*written, *read, "secrets/internal-token", "values.yaml"}
    assert {"control-plane.env", "data-plane.log", "owner.token", "openai.key", "secrets/users.acl"} <= names
    command = ["git", "check-ignore", "--no-index", *sorted(names)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert shown.stdout.split() == sorted(names)


def blocks_of_the_walk() -> list[str]:
    (section,) = SECTION.findall((ROOT / "docs/deploy.md").read_text())
    return BLOCK.findall(section)


def values_of_the_site(folder: Path, provider: Gateway, vault: VaultServer) -> dict[str, str]:
    """Give the site's values of the page's first block, for this test's servers; write the owner's files."""
    issuer = LocalIssuer.open(DataDir.open(folder / "issuer"))
    (folder / "owner.token").write_text(issuer.mint(OWNER, "Owner", unix_now()).reveal())
    (folder / "openai.key").write_text((provider.data_dir / "demo-openai-key").read_text())
    issuers = [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(issuer.jwks_file)}]
    return {
        "VAULT_ADDR": vault.address,
        "VAULT_OPTIONS": f"ca_file={vault.ca_file}",
        "ISSUERS": json.dumps(issuers),
        "OWNER": OWNER,
        "OPENAI_ENDPOINT": provider.demo_endpoint("openai"),
    }


def environment_of_a_person(folder: Path, vault: VaultServer) -> dict[str, str]:
    """Give `aigw`, `vault`, an administrator's token, and leave for plain http on loopback."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "vault").symlink_to(vault.program)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    return clean_environment(
        HOME=str(folder),
        PATH=f"{programs}:{Path(sys.prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        VAULT_CACERT=str(vault.ca_file),
        VAULT_TOKEN=str(vault.root().token),
        AIGW_ENVIRONMENT="development",
        AIGW_ENDPOINT_ADDRESS_EXCEPTIONS="127.0.0.0/8",
        AIGW_ALLOW_PLAIN_HTTP_ENDPOINTS="true",
    )


def moved(block: str, ports: Mapping[str, str]) -> str:
    for port, setting in PORTS.items():
        block = re.sub(rf":{port}\b", f":{ports[setting]}", block)
    return block


def run(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run a script as typed by a person, and give the output; ends the script's background processes."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        shown, _ = process.communicate(timeout=WALK_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    logs = "".join(path.read_text() for path in folder.glob("*.log"))
    assert process.returncode == 0, shown + logs
    return shown
