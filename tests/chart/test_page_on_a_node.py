"""docs/helm.md on a real Kubernetes node: its lines lead to an answer, by Vault's Kubernetes auth.

`make chart` runs these tests (marker `full_chart`). Vault runs in a pod and asks the cluster by its account.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.support.documented import behind_a_forward, block_with, blocks, section
from tests.support.kubernetes.backends import Backends
from tests.support.kubernetes.release import Release
from tests.support.kubernetes.walk import provision, streams
from tests.support.servers.tools import REPOSITORY

pytestmark = [
    pytest.mark.full_chart,
    pytest.mark.xdist_group("kubernetes"),
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Kubernetes node needs root"),
]
PAGE: Final = "docs/helm.md"
OPERATING: Final = "docs/operating.md"
NAMESPACE: Final = "ai-gateway"
DATABASE: Final = "aigw"
PLANES: Final = ("control-plane", "data-plane")


class Walk:
    """An administrator in a checkout, who types the page's lines with the addresses of this site."""

    def __init__(self, backends: Backends, folder: Path) -> None:
        self.backends = backends
        self.folder = folder
        (folder / "deploy").symlink_to(REPOSITORY / "deploy")
        password = backends.passwords["database"]
        self._site = {
            "aigw:PASSWORD@postgres.data.svc/aigw?sslmode=require": (
                f"aigw:{password}@postgres.backends.svc/{DATABASE}"
            ),
            "registry: registry.example": "registry: localhost, pullPolicy: Never",
            "redis.data.svc": "redis.backends.svc",
            "vault.vault.svc": "vault.backends.svc",
            "vault:vault": "backends:default",
            "--values values.yaml": "--values values.yaml --values site.yaml",
        }

    def type(self, script: str) -> str:
        """Run lines of the page."""
        return self.backends.type(self.of_the_site(script), self.folder)

    def of_the_site(self, text: str) -> str:
        """Put the names of this site in place of the page's."""
        for there, here in self._site.items():
            text = text.replace(there, here)
        return text

    def release(self) -> Release:
        """Give the installation that the page's lines make."""
        scratch = tempfile.TemporaryDirectory(prefix="aigw-release-")
        chart, values = self.folder / "deploy/helm/ai-gateway", self.folder / "values.yaml"
        return Release(self.backends, NAMESPACE, chart, values, scratch, "", "aigw-ai-gateway")


@pytest.fixture(scope="module")
def walk(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Walk, Release]]:
    """The page's ten minutes, and the installation at their end."""
    walk = Walk(backends, tmp_path_factory.mktemp("checkout"))
    text = section(PAGE, "In ten minutes")
    make_secrets, set_up_vault, install = blocks(text)
    (values,) = blocks(text, "yaml")
    backends.sql(f"CREATE DATABASE {DATABASE}", database="postgres")
    walk.type(make_secrets)
    users = (walk.folder / "secrets" / "users.acl").read_text()
    for plane in PLANES:
        password = (walk.folder / "secrets" / f"{plane}-password").read_text()
        assert f"user aigw-{plane} on >{password} " in users
        backends.add_redis_password(f"aigw-{plane}", password)
    walk.type(set_up_vault)
    walk.type(block_with(PAGE, "kubernetes_host=https://kubernetes.default.svc"))
    backends.add_configuration(NAMESPACE)
    (walk.folder / "values.yaml").write_text(walk.of_the_site(values))
    site = backends.values()
    assert yaml.safe_load(values)["vault"].keys() == {"address"}, "Kubernetes auth is the chart's own default"
    for setting in ("auth", "authMount", "prefix", "address"):
        del site["vault"][setting]
    (walk.folder / "site.yaml").write_text(yaml.safe_dump(site))
    release = walk.release()
    with contextlib.closing(release):
        walk.type(install)
        yield walk, release


def test_the_ten_minutes_end_with_ready_planes_and_a_streamed_answer(walk: tuple[Walk, Release]) -> None:
    typed, release = walk
    release.is_ready()
    token = (typed.folder / "secrets" / "platform-token").read_text()
    streams(typed.backends, release, platform_token=token)


def test_the_lines_for_operators_look_into_running_planes(walk: tuple[Walk, Release]) -> None:
    typed, _ = walk
    said = typed.type(block_with(OPERATING, "aigw doctor --plane data"))
    assert "FAIL" not in said, said
    assert "data plane: snapshot" in said
    seen = json.loads(typed.type(block_with(OPERATING, "/debug/config")))
    assert seen["revision"] > 0, seen


def test_the_notes_lines_make_the_first_org_and_its_owner(walk: tuple[Walk, Release]) -> None:
    typed, _ = walk
    told = typed.type("helm get notes aigw --namespace ai-gateway").partition("\n2. The first org")[2]
    shown = typed.type(behind_a_forward(told.partition("\n3. ")[0]))
    assert '"org":"acme"' in shown, shown
    assert '"email":"owner@acme.example"' in shown, shown


def test_the_lines_to_upgrade_and_to_go_back_leave_the_planes_ready(walk: tuple[Walk, Release]) -> None:
    typed, release = walk
    typed.type(block_with(PAGE, "helm rollback"))
    release.is_ready()
    assert typed.type("helm history aigw -n ai-gateway -o json").count('"revision"') == 3


def test_the_lines_after_a_restore_begin_a_new_epoch(walk: tuple[Walk, Release]) -> None:
    typed, release = walk
    epoch = "SELECT epoch FROM counter"
    before = typed.backends.sql(epoch, database=DATABASE)
    typed.type(block_with(PAGE, "aigw-restored"))
    assert typed.backends.sql(epoch, database=DATABASE) != before
    token = (typed.folder / "secrets" / "platform-token").read_text()
    provision(typed.backends, release, platform_token=token)
