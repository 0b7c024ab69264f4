"""The backends of an installation, as pods of the test: Postgres, Redis and Vault, set up for a release."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final

import hvac
import trustme

from aigw.embedded.banner import OWNER
from aigw.embedded.data_dir import DataDir
from aigw.embedded.local_issuer import AUDIENCE, ISSUER, LocalIssuer
from aigw.node_key import NodeKey
from shared.clock import unix_now
from tests.support.chart import helm
from tests.support.documented import run_script
from tests.support.kubernetes.programs import built
from tests.support.servers.tools import BUILT_TOOLS, REPOSITORY, find_program, missing
from tests.support.servers.vault import kubernetes_plugin, register_kubernetes_plugin

if TYPE_CHECKING:
    from tests.support.kubernetes.node import Node

HERE: Final = Path(__file__).parent
VAULT_ADDRESS: Final = "10.98.0.200"
REDIS_ADMINISTRATOR: Final = "administrator"
OPENAI_KEY: Final = "sk-demo-of-the-test"
VAULT_PORT: Final = 8200
UNSEAL_SECONDS: Final = 60.0
REACHABLE_SECONDS: Final = 120.0
VAULT_HCL: Final = f"""\
api_addr = "https://{VAULT_ADDRESS}:{VAULT_PORT}"
plugin_directory = "/plugins"
storage "inmem" {{}}
listener "tcp" {{
  address = "0.0.0.0:{VAULT_PORT}"
  tls_cert_file = "/tls/vault.crt"
  tls_key_file = "/tls/vault.key"
}}
disable_mlock = true
"""


@dataclass
class Backends:
    """The servers in the namespace `backends`, and their credentials.

    Attributes:
        node: the Kubernetes node.
        folder: of keys and certificates.
        passwords: of `database`, `redis` (its administrator), `control-plane` and `data-plane`.
        tokens: `internal-token`, `platform-token`, `fingerprint-key`, `feed-key`.
    """

    node: Node
    folder: Path
    passwords: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("database", "redis", "control-plane", "data-plane")
        self.passwords = {name: secrets.token_hex(16) for name in names}
        tokens = ("internal-token", "platform-token", "fingerprint-key", "feed-key")
        self.tokens = {name: secrets.token_hex(20) for name in tokens}
        self.data = DataDir.open(self.folder / "data")
        self.issuer = LocalIssuer.open(self.data)
        self.node_key = NodeKey.create(self.folder / "node.pem")
        self._root_token = ""

    def start(self) -> None:
        """Start all pods and set Vault up; every pod is ready afterwards."""
        self._make_certificates()
        manifest = Template((HERE / "manifests" / "backends.yaml").read_text()).safe_substitute(
            password=self.passwords["database"],
            vault_address=VAULT_ADDRESS,
            plugins=kubernetes_plugin().parent,
        )
        self.node.kubectl("create", "namespace", "backends")
        files = [f"--from-file={path}" for path in sorted((self.folder / "tls").iterdir())]
        self.node.kubectl("-n", "backends", "create", "secret", "generic", "tls", *files)
        self.node.kubectl("apply", "-f", "-", stdin=manifest)
        ready = ("wait", "--for=condition=Ready", "pod", "--all", "--timeout=170s")
        for namespace in ("backends", "boxes", "strangers"):
            self.node.kubectl("-n", namespace, *ready, seconds=180)
        self._set_up_vault()

    def prepare(self, namespace: str, accounts: str) -> None:
        """Make a namespace enforcing the restricted standard, its Secrets and its roles."""
        kubectl = self.node.kubectl
        kubectl("create", "namespace", namespace)
        kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        database = f"aigw_{namespace.replace('-', '_')}"
        self.sql(f"CREATE DATABASE {database}", database="postgres")
        url = f"postgresql+psycopg://aigw:{self.passwords['database']}@postgres.backends.svc/{database}"
        redis = {f"{plane}-password": self.passwords[plane] for plane in ("control-plane", "data-plane")}
        for name, values in (
            ("aigw-tokens", self.tokens),
            ("aigw-redis", redis),
            ("aigw-database", {"database-url": url}),
            ("aigw-oidc", {"client-secret": secrets.token_hex(16)}),
        ):
            literals = [f"--from-literal={key}={value}" for key, value in values.items()]
            kubectl("-n", namespace, "create", "secret", "generic", name, *literals)
        self.add_configuration(namespace)
        self._set_up_roles(namespace, accounts)

    def add_configuration(self, namespace: str) -> None:
        """Make the ConfigMaps that `values` name."""
        kubectl = self.node.kubectl
        authority = f"--from-file=ca.crt={self.folder / 'tls' / 'ca.crt'}"
        kubectl("-n", namespace, "create", "configmap", "internal-authority", authority)
        jwks = f"--from-file=jwks.json={self.issuer.jwks_file}"
        kubectl("-n", namespace, "create", "configmap", "test-issuer", jwks)

    def values(self) -> dict[str, Any]:
        """Give the values leading an example to these backends."""
        everything = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "backends"}}}]
        provider = [everything[0] | {"podSelector": {"matchLabels": {"app": "provider"}}}]
        boxes = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "boxes"}}}]
        authority = {"configMap": "internal-authority"}
        issuer = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": "/etc/aigw/issuer/jwks.json"}
        small = {"requests": {"cpu": "150m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
        return {
            "global": {"imageRegistry": ""},
            "image": {"registry": "localhost", "pullPolicy": "Never", "pullSecrets": []},
            "redis": {"address": "redis.backends.svc:6379", "ca": authority},
            "vault": {
                "address": "vault.backends.svc:8200",
                "auth": "jwt",
                "authMount": "jwt",
                "prefix": "",
                "ca": authority,
            },
            "providers": {"ca": authority, "addressExceptions": ["10.98.0.0/16", "10.247.0.0/16"]},
            "controlPlane": {
                "replicas": 1,
                "issuers": [issuer],
                "resources": small,
                "priorityClassName": "",
                "extraVolumes": [{"name": "issuer", "configMap": {"name": "test-issuer"}}],
                "extraVolumeMounts": [{"name": "issuer", "mountPath": "/etc/aigw/issuer", "readOnly": True}],
            },
            "dataPlane": {
                "identity": {"mode": "header"},
                "replicas": 2,
                "resources": small,
                "priorityClassName": "",
                "drainSeconds": 20,
                "preStopSeconds": 5,
            },
            "networkPolicy": {
                "boxes": boxes,
                "portal": boxes,
                "database": {"to": everything},
                "redis": {"to": everything},
                "vault": {"to": everything},
                "providers": {"to": provider},
            },
        }

    def sql(self, statement: str, *, database: str) -> str:
        """Run a statement as the database's owner; give the output of psql."""
        command = f'PGPASSWORD=$PASSWORD psql -h 127.0.0.1 -U aigw -d {database} -Atc "{statement}"'
        return self.node.kubectl("-n", "backends", "exec", "postgres", "--", "bash", "-c", command).strip()

    def as_box(self, wanted: dict[str, Any], *, pod: str = "box", seconds: float = 120) -> Any:
        """Run `box.py` in a pod; give its result. The pod is `box`, or `stranger`."""
        namespace = {"box": "boxes", "stranger": "strangers"}[pod]
        program = (HERE / "box.py").read_text()
        said = self.node.kubectl(
            *("-n", namespace, "exec", pod, "--", "python", "-c", program, json.dumps(wanted)),
            seconds=seconds,
        )
        return json.loads(said.splitlines()[-1])

    def type(self, script: str, folder: Path) -> str:
        """Run lines as the administrator of the cluster and of Vault, in a folder; give their output."""
        return run_script(
            script,
            folder,
            {"vault": _vault_program(), "kubectl": Path(built("kubectl")), "helm": helm()},
            KUBECONFIG=str(self.node.layout.kubeconfig("admin")),
            VAULT_ADDR=f"https://{VAULT_ADDRESS}:{VAULT_PORT}",
            VAULT_CACERT=str(self.folder / "tls" / "ca.crt"),
            VAULT_TOKEN=self._root_token,
        )

    def add_redis_password(self, user: str, password: str) -> None:
        """Let one of the two users of Redis in by a further password."""
        redis = f"redis-cli --tls --cacert /tls/ca.crt -h redis.backends.svc --user {REDIS_ADMINISTRATOR}"
        added = f"REDISCLI_AUTH={self.passwords['redis']} {redis} ACL SETUSER {user} '>{password}'"
        said = self.node.kubectl("-n", "backends", "exec", "redis", "--", "bash", "-c", added)
        assert said.strip() == "OK", said

    def owner_token(self) -> str:
        """Sign the owner in."""
        return self.issuer.mint(OWNER, "Owner", unix_now()).reveal()

    def box_token(self, org: str) -> str:
        """Mint a token of a box of an org."""
        return self.node_key.mint("n1", box="b", org=org, lifecycle="1", now=unix_now(), life_seconds=300)

    def _make_certificates(self) -> None:
        tls = self.folder / "tls"
        tls.mkdir()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tls / "ca.crt"))
        for name in ("redis", "vault", "provider"):
            names = [name, f"{name}.backends", f"{name}.backends.svc", f"{name}.backends.svc.cluster.local"]
            certificate = authority.issue_cert(*names, *([VAULT_ADDRESS] if name == "vault" else []))
            certificate.private_key_pem.write_to_path(str(tls / f"{name}.key"))
            for number, part in enumerate(certificate.cert_chain_pems):
                part.write_to_path(str(tls / f"{name}.crt"), append=number > 0)
        (tls / "vault.hcl").write_text(VAULT_HCL)
        (tls / "provider.py").write_text((HERE / "provider.py").read_text())
        users = (REPOSITORY / "deploy/redis/users.acl").read_text()
        for plane in ("control-plane", "data-plane"):
            users = users.replace(f"{plane.replace('-', '_').upper()}_PASSWORD", self.passwords[plane])
        administrator = f"user {REDIS_ADMINISTRATOR} on >{self.passwords['redis']} ~* &* +@all\n"
        (tls / "users.acl").write_text(users + administrator)

    def _vault(self) -> Any:
        authority = str(self.folder / "tls" / "ca.crt")
        return hvac.Client(
            f"https://{VAULT_ADDRESS}:8200", token=self._root_token, verify=authority, timeout=20, proxies={}
        )

    def _set_up_vault(self) -> None:
        _until_reachable(VAULT_ADDRESS, VAULT_PORT)
        made = self._vault().sys.initialize(secret_shares=1, secret_threshold=1)
        self._root_token = made["root_token"]
        vault = self._vault()
        vault.sys.submit_unseal_key(made["keys"][0])
        deadline = time.monotonic() + UNSEAL_SECONDS
        # hvac gives the document of an active server, and the bare response of any other.
        while not isinstance(vault.sys.read_health_status(method="GET"), dict):
            assert time.monotonic() < deadline, "Vault did not become active"
            time.sleep(0.2)
        register_kubernetes_plugin(vault, kubernetes_plugin())
        vault.sys.enable_auth_method("jwt", path="jwt")
        keys = [(self.node.layout.keys / "sa.pub").read_text()]
        vault.auth.jwt.configure(
            jwt_validation_pubkeys=keys, bound_issuer="https://kubernetes.default.svc", path="jwt"
        )

    def _set_up_roles(self, namespace: str, accounts: str) -> None:
        """Run the project's own script, which mounts engine, policies and roles."""
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                ["sh", str(REPOSITORY / "deploy/vault/setup.sh")],
                env={
                    "PATH": "/usr/bin:/bin",
                    "HOME": home,
                    "NO_PROXY": "*",
                    "VAULT_CLI": str(_vault_program()),
                    "VAULT_ADDR": f"https://{VAULT_ADDRESS}:8200",
                    "VAULT_CACERT": str(self.folder / "tls" / "ca.crt"),
                    "VAULT_TOKEN": self._root_token,
                    "SETUP_AUTH": "jwt",
                    "SETUP_AUDIENCE": "vault",
                    "SETUP_ACCOUNTS": f"system:serviceaccount:{namespace}:{accounts}-",
                },
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        assert done.returncode == 0, done.stdout + done.stderr


def _vault_program() -> Path:
    return find_program("vault", "bao", beside=[BUILT_TOOLS / "vault"]) or missing("Vault")


def _until_reachable(address: str, port: int) -> None:
    """Wait until the node leads a Service's address to its pod.

    Each attempt is a new connection: the node remembers a connection begun too early without the Service's
    rule, and would send its repeated packets nowhere.
    """
    deadline = time.monotonic() + REACHABLE_SECONDS
    while True:
        try:
            socket.create_connection((address, port), timeout=2).close()
        except OSError:
            assert time.monotonic() < deadline, f"{address}:{port} cannot be reached"
            time.sleep(0.2)
        else:
            return
