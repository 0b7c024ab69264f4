"""A real Vault (or OpenBao) on a free loopback port: TLS, raft storage, audited, set up as in production."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import hvac
import trustme

from tests.support.servers.process import (
    START_SECONDS,
    Server,
    ServerProcess,
    answers,
    free_port,
    short_folder,
)
from tests.support.servers.tools import BUILT_TOOLS, REPOSITORY, find_program, missing

MOUNT: Final = "aigw-test"
PREFIX: Final = "team/gateway"
SETUP_SECONDS: Final = 120
_ROLE_ID: Final = re.compile(r"^role: (\S+), role_id (\S+)$", re.MULTILINE)


KUBERNETES_PLUGIN: Final = "vault-plugin-auth-kubernetes"


def _program() -> Path:
    return find_program("vault", "bao", beside=[BUILT_TOOLS / "vault"]) or missing("Vault")


def kubernetes_plugin() -> Path:
    """Give the program of Vault's Kubernetes auth, or skip the test; its folder holds nothing else to run."""
    folder = (BUILT_TOOLS / "vault-kubernetes").resolve()  # Vault accepts no plug-in behind a link
    return find_program(KUBERNETES_PLUGIN, beside=[folder]) or missing(
        "the plug-in of Vault's Kubernetes auth"
    )


def register_kubernetes_plugin(client: Any, plugin: Path) -> None:
    """Let `vault auth enable kubernetes` run `plugin`, which lies in the Vault's plug-in folder.

    `client` is an administrator's `hvac.Client`. A full build of Vault has the method already; the registered
    program then takes its place.
    """
    digest = hashlib.sha256(plugin.read_bytes()).hexdigest()
    client.write("sys/plugins/catalog/auth/kubernetes", command=plugin.name, sha256=digest)


class VaultServer(Server):
    """`with VaultServer() as server` starts a Vault; `start` and `unseal` bring the server back.

    `plugin` is the program of its Kubernetes auth, registered at the first start.

    Attributes:
        port: by TLS.
        program: the server and the command line in a single file.
        ca_file: verifies its certificate.
        audit_file: where every request is logged.
        role_ids: of the AppRoles `aigw-control-plane` and `aigw-data-plane`.
    """

    def __init__(self, plugin: Path | None = None) -> None:
        self.program = _program()
        self._plugin = plugin
        super().__init__(ServerProcess(short_folder("vault"), signal.SIGINT))
        self._cluster_port = free_port()
        self.ca_file = self.folder / "ca.pem"
        self.audit_file = self.folder / "audit.log"
        self.role_ids: dict[str, str] = {}
        self._root_token = ""
        self._unseal_key = ""

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def url(self, auth: str, role: str, prefix: str = PREFIX, **options: str) -> str:
        """The Vault's URL for the gateway, with a plane's login, e.g. `url("approle", "aigw-data-plane")`."""
        named = {"auth": auth, "ca_file": str(self.ca_file), **options}
        if role:
            named["role"] = self.role_ids[role] if auth == "approle" else role
        query = "&".join(f"{name}={value}" for name, value in named.items())
        return f"vault://127.0.0.1:{self.port}/{MOUNT}/{prefix}?{query}"

    def root(self) -> Any:
        """A client with all rights (`hvac.Client`)."""
        return hvac.Client(self.address, token=self._root_token, verify=str(self.ca_file), timeout=20)

    def secret_id(self, role: str, **options: Any) -> str:
        """Make a secret id of an AppRole."""
        made = self.root().auth.approle.generate_secret_id(role, **options)
        return str(made["data"]["secret_id"])

    def token(self, policy: str, **options: Any) -> str:
        """Make a token with `policy` only."""
        made = self.root().auth.token.create(policies=[policy], no_parent=True, **options)
        return str(made["auth"]["client_token"])

    def start(self) -> None:
        """See `Server`; the Vault is sealed afterwards."""
        if not (self.folder / "config.hcl").exists():
            self._configure()
        command = [self.program, "server", f"-config={self.folder / 'config.hcl'}"]
        self._process.start(command, lambda: answers(self.port))

    def unseal(self) -> None:
        """Unseal the Vault and wait until the server is active."""
        client = self.root()
        client.sys.submit_unseal_key(self._unseal_key)
        deadline = time.monotonic() + START_SECONDS
        # hvac gives the document of an active server, and the bare response of any other.
        while not isinstance(client.sys.read_health_status(method="GET"), dict):
            assert time.monotonic() < deadline, f"Vault did not become active:\n{self._process.log}"
            time.sleep(0.05)

    def seal(self) -> None:
        self.root().sys.seal()

    def set_up(self, **settings: str) -> str:
        """Run the project's own set-up script; give its output."""
        done = subprocess.run(
            [REPOSITORY / "deploy/vault/setup.sh"],
            env={
                "PATH": os.defpath,
                "VAULT_CLI": str(self.program),
                "VAULT_ADDR": self.address,
                "VAULT_CACERT": str(self.ca_file),
                "VAULT_TOKEN": self._root_token,
                "SETUP_MOUNT": MOUNT,
                "SETUP_PREFIX": PREFIX,
                "SETUP_AUDIT_FILE": str(self.audit_file),
                **settings,
            },
            capture_output=True,
            text=True,
            timeout=SETUP_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _configure(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        for number, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(str(self.folder / "cert.pem"), append=number > 0)
        (self.folder / "raft").mkdir()
        plugins = f'plugin_directory = "{self._plugin.parent}"' if self._plugin else ""
        (self.folder / "config.hcl").write_text(f"""
            disable_mlock = true
            {plugins}
            api_addr = "{self.address}"
            cluster_addr = "https://127.0.0.1:{self._cluster_port}"
            storage "raft" {{
              path = "{self.folder}/raft"
              node_id = "only"
            }}
            listener "tcp" {{
              address = "127.0.0.1:{self.port}"
              cluster_address = "127.0.0.1:{self._cluster_port}"
              tls_cert_file = "{self.folder}/cert.pem"
              tls_key_file = "{self.folder}/key.pem"
            }}
        """)

    def _begin(self) -> None:
        super()._begin()
        made = self.root().sys.initialize(secret_shares=1, secret_threshold=1)
        self._root_token, self._unseal_key = made["root_token"], made["keys"][0]
        self.unseal()
        self.role_ids = dict(_ROLE_ID.findall(self.set_up()))
        if self._plugin is not None:
            register_kubernetes_plugin(self.root(), self._plugin)
