"""Images of the test's Kubernetes node: built here and brought into its containerd, none from a registry."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.kubernetes.programs import PAUSE_IMAGE
from tests.support.servers.tools import BUILT_TOOLS, REPOSITORY

if TYPE_CHECKING:
    from tests.support.kubernetes.node import Node

GATEWAY_IMAGE: Final = "localhost/run9-ai-gateway:0.1.0"
BACKENDS_IMAGE: Final = "localhost/aigw-test-backends:1"
COREDNS_IMAGE: Final = "localhost/coredns:aigw"
PODMAN: Final = ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs")
BUILD_SECONDS: Final = 1_200


def build_images() -> None:
    """Build whatever is missing or was built from something else."""
    done = subprocess.run(
        [str(REPOSITORY / "tools/image/build.sh"), "all"],
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if not _is_there(PAUSE_IMAGE):
            source = Path(__file__).with_name("pause.c")
            _run("cc", "-static", "-Os", "-s", "-o", str(scratch / "pause"), str(source))
            _import(scratch, PAUSE_IMAGE, "/pause")
            (scratch / "pause").unlink()
        if not _is_there(COREDNS_IMAGE):
            shutil.copy(BUILT_TOOLS / "coredns" / "coredns", scratch / "coredns")
            _import(scratch, COREDNS_IMAGE, "/coredns")


def load_images(node: Node) -> None:
    """Bring every image into the node's containerd, unless exactly that image is there."""
    for image in (PAUSE_IMAGE, COREDNS_IMAGE, BACKENDS_IMAGE, GATEWAY_IMAGE):
        load_image(node, image)


def load_image(node: Node, image: str) -> None:
    """Bring an image into the node's containerd."""
    stamps = node.layout.images.parent / "loaded.json"
    loaded = json.loads(stamps.read_text()) if stamps.exists() else {}
    wanted = _run(*PODMAN, "image", "inspect", "--format", "{{.Id}}", image).strip()
    if loaded.get(image) == wanted:
        return
    ctr = node.inside("ctr", "-a", str(node.layout.socket), "-n", "k8s.io", "images", "import", "-")
    with subprocess.Popen([*PODMAN, "save", "-q", image], stdout=subprocess.PIPE) as saved:
        taken = subprocess.run(ctr, stdin=saved.stdout, capture_output=True, check=False, timeout=300)
    assert saved.returncode == 0
    assert taken.returncode == 0, taken.stderr.decode()
    stamps.write_text(json.dumps(loaded | {image: wanted}))


def _is_there(image: str) -> bool:
    return subprocess.run([*PODMAN, "image", "exists", image], check=False, timeout=60).returncode == 0


def _import(folder: Path, image: str, entry: str) -> None:
    with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as packed:
        command = [*PODMAN, "import", "-q", "-c", f'ENTRYPOINT ["{entry}"]', "-", image]
        subprocess.run(command, stdin=packed.stdout, check=True, capture_output=True, timeout=300)


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout}{done.stderr}"
    return done.stdout
