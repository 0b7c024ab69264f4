"""docs/helm.md and the chart's notes: the lines for Vault's Kubernetes auth let each plane in, no one else.

A real Vault runs the method as an external plug-in, and asks a real Kubernetes API about each token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from shared.vault_session import VaultDenied, VaultSession
from tests.support.chart import notes
from tests.support.documented import block_with, run_script, vault_commands
from tests.support.kubernetes.api import KubernetesApi
from tests.support.kubernetes.programs import built
from tests.support.servers.vault import VaultServer, kubernetes_plugin
from tests.support.servers.vault_store import Plane, VaultStore, session_of

PAGE: Final = "docs/helm.md"
NAMESPACE: Final = "ai-gateway"
PLANES: Final[tuple[Plane, Plane]] = ("control-plane", "data-plane")
LIFE_SECONDS: Final = 3_600
"""Of a token, by the roles of page and notes."""
NOTES_MOUNT: Final = "kubernetes-by-the-notes"
LET_IN: Final = "let in"
REFUSED: Final = "Vault refused the login"
pytestmark = pytest.mark.xdist_group("kubernetes auth")


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster's API and a Vault that trusts the API by the page's lines."""

    api: KubernetesApi
    vault: VaultStore
    folder: Path

    @property
    def page(self) -> str:
        """The page's lines, with the address of this API."""
        lines = block_with(PAGE, "vault auth enable kubernetes")
        return lines.replace("https://API_OF_THE_CLUSTER:6443", self.api.address)

    def type(self, script: str) -> None:
        """Run lines as the administrator of both."""
        server = self.vault.server
        run_script(
            script,
            self.folder,
            {"vault": server.program, "kubectl": Path(built("kubectl"))},
            KUBECONFIG=str(self.api.kubeconfig),
            VAULT_ADDR=server.address,
            VAULT_CACERT=str(server.ca_file),
            VAULT_TOKEN=str(server.root().token),
        )

    def session(self, plane: Plane, token: str, auth_mount: str = "kubernetes") -> VaultSession:
        """Log in lazily as a plane whose projected token is `token`."""
        file = self.folder / "token"
        file.write_text(token)
        options = {"credential_file": str(file), "auth_mount": auth_mount}
        return session_of(self.vault.target(plane, "kubernetes", **options), None)

    def answer(self, plane: Plane, token: str, auth_mount: str = "kubernetes") -> str:
        """Log in and use the plane's rights; give `let in`, or the sentence of the refusal."""
        opened = self.session(plane, token, auth_mount)
        target = self.vault.target(plane)
        try:
            assert opened.rights(f"{target.mount}/data/{target.path('acme', 'openai')}")
            assert opened.token_left_seconds is not None
            assert opened.token_left_seconds <= LIFE_SECONDS
        except VaultDenied as denied:
            return str(denied)
        finally:
            opened.close()
        return LET_IN

    def each_by_its_own_account_alone(self, plane: Plane, auth_mount: str = "kubernetes") -> bool:
        """Whether the plane's role takes a token of the plane's account, and none of the other plane's."""
        token = {other: self.api.token(NAMESPACE, account(other), "vault") for other in PLANES}
        answers = {other: self.answer(plane, token[other], auth_mount) for other in PLANES}
        return answers == {other: LET_IN if other == plane else REFUSED for other in PLANES}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    plugin = kubernetes_plugin()
    with KubernetesApi(tmp_path_factory.mktemp("api")) as api, VaultServer(plugin) as server:
        for namespace in ("vault", NAMESPACE, "elsewhere"):
            api.kubectl("create", "namespace", namespace)
        for plane in PLANES:
            for namespace in (NAMESPACE, "elsewhere"):
                api.kubectl("-n", namespace, "create", "serviceaccount", account(plane))
        made = Site(api, VaultStore.new(server), tmp_path_factory.mktemp("operator"))
        made.type(made.page)
        yield made


def account(plane: Plane) -> str:
    return f"aigw-ai-gateway-{plane}"


@pytest.mark.parametrize("plane", PLANES)
def test_the_pages_lines_let_each_plane_in_by_its_own_account_alone(site: Site, plane: Plane) -> None:
    assert site.each_by_its_own_account_alone(plane)


@pytest.mark.parametrize(
    ("namespace", "audience"),
    [("elsewhere", "vault"), (NAMESPACE, "https://kubernetes.default.svc"), (NAMESPACE, "redis")],
    ids=["of another namespace", "for the API", "for another audience"],
)
def test_a_token_of_the_right_name_is_refused(site: Site, namespace: str, audience: str) -> None:
    token = site.api.token(namespace, account("data-plane"), audience)
    assert site.answer("data-plane", token) == REFUSED


def test_a_token_of_a_deleted_account_is_refused(site: Site) -> None:
    token = site.api.token(NAMESPACE, account("data-plane"), "vault")
    # Not shown before: the API remembers its own good answer about a token for ten seconds.
    site.api.kubectl("-n", NAMESPACE, "delete", "serviceaccount", account("data-plane"))
    try:
        assert site.answer("data-plane", token) == REFUSED, "Vault asks the API, which knows"
    finally:
        site.api.kubectl("-n", NAMESPACE, "create", "serviceaccount", account("data-plane"))


def test_the_set_up_script_makes_roles_that_let_the_same_accounts_in(site: Site) -> None:
    site.vault.server.set_up(
        SETUP_AUTH="kubernetes",
        SETUP_NAMESPACE=NAMESPACE,
        SETUP_AUDIENCE="vault",
        SETUP_ACCOUNTS="aigw-ai-gateway-",
    )
    for plane in PLANES:
        assert site.each_by_its_own_account_alone(plane)


def test_the_roles_in_the_charts_notes_let_each_plane_in(site: Site) -> None:
    typed = vault_commands(notes({"vault": {"authMount": NOTES_MOUNT}}, namespace=NAMESPACE))
    # The notes configure a Vault in the cluster, by its own pod: tests/chart runs that line there.
    (there,) = [number for number, command in enumerate(typed) if "/config " in command]
    (reviewed,) = [command for command in vault_commands(site.page) if "auth/kubernetes/config" in command]
    typed[there] = reviewed.replace("auth/kubernetes", f"auth/{NOTES_MOUNT}")
    site.type("\n".join(typed))
    for plane in PLANES:
        assert site.each_by_its_own_account_alone(plane, NOTES_MOUNT)
