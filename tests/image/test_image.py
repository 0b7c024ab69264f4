"""Files in the built image and files left out: `make image` runs these tests (marker `full_image`)."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.image.conftest import Build
from tests.support.compose import LIMITS
from tests.support.kubernetes.images import GATEWAY_IMAGE, PODMAN

pytestmark = [
    pytest.mark.full_image,
    pytest.mark.xdist_group("containers"),
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]
UNWANTED = (
    *("*.h", "*.a", "*.c", "*.pyx", "*.pyi", "*.deb", "*.whl", ".mypy_cache", ".git", "gcc", "cc", "pip"),
    *("pip3*", "setuptools", "ensurepip", "idlelib", "rich", "pygments"),
)
INSTALLED = (
    "import importlib.metadata as m, json; "
    "print(json.dumps(sorted({d.name.lower().replace('_', '-') for d in m.distributions()})))"
)


@pytest.fixture(scope="module", autouse=True)
def _built(build: Build) -> None:
    build("gateway")


def in_container(*words: str) -> str:
    """Run a program in a container as hardened as the chart's: no capability, nothing to write."""
    hardened = (
        "--read-only",
        "--cap-drop",
        "all",
        "--security-opt",
        "no-new-privileges",
        "--network",
        "none",
    )
    command = [*PODMAN, "run", "--rm", *hardened, *LIMITS.split(), "--entrypoint", words[0], GATEWAY_IMAGE]
    done = subprocess.run([*command, *words[1:]], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_relay_is_compiled_and_runs_without_a_right() -> None:
    assert "compiled relay" in in_container("aigw", "version")
    assert in_container("id", "-u").strip() == "10001"


def test_nothing_is_in_it_that_only_builds() -> None:
    names = " -o ".join(f"-name '{name}'" for name in UNWANTED)
    # Debian's own package database keeps the names of its packages' files.
    found = in_container("sh", "-c", f"find / -xdev \\( {names} \\) 2>/dev/null || true").splitlines()
    assert [path for path in found if not path.startswith("/var/lib/dpkg/")] == []
    assert in_container("find", "/var/cache", "/var/lib/apt/lists", "/tmp", "-type", "f").split() == []


def test_the_bill_of_materials_names_exactly_what_is_installed() -> None:
    sbom = json.loads(in_container("cat", "/opt/aigw/share/sbom.cdx.json"))
    assert sbom["bomFormat"] == "CycloneDX"
    assert sbom["metadata"]["component"]["name"] == "run9-ai-gateway"
    listed = {one["name"].lower().replace("_", "-") for one in sbom["components"]}
    installed = set(json.loads(in_container("/opt/aigw/bin/python", "-c", INSTALLED)))
    assert installed - {"run9-ai-gateway"} == listed - {"run9-ai-gateway"}
    assert all(one["version"] for one in sbom["components"])


def test_its_labels_say_what_it_is() -> None:
    done = subprocess.run(
        [*PODMAN, "image", "inspect", GATEWAY_IMAGE], capture_output=True, text=True, check=True, timeout=60
    )
    labels = json.loads(done.stdout)[0]["Config"]["Labels"]
    for name in ("title", "description", "licenses", "version", "base.name"):
        assert labels[f"org.opencontainers.image.{name}"]
