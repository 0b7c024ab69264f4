"""A Kubernetes node with the backends of an installation, for the tests that install the chart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubernetes.backends import Backends
from tests.support.kubernetes.images import build_images, load_images
from tests.support.kubernetes.node import Node
from tests.support.servers.tools import BUILT_TOOLS, find_program, missing

PROGRAMS = {
    "kubelet": "kubernetes",
    "coredns": "coredns",
    "kube-router": "kube-router",
    "helm": "helm",
    **dict.fromkeys(("containerd", "runc", "etcd", "podman", "ipset", "debootstrap", "cc"), ""),
}


@pytest.fixture(scope="package")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    for program, folder in PROGRAMS.items():
        beside = [BUILT_TOOLS / folder, Path("/usr/sbin")] if folder else [Path("/usr/sbin")]
        if find_program(program, beside=beside) is None:
            missing(f"{program}, a part of the Kubernetes node,")
    build_images()
    with Node(tmp_path_factory.mktemp("node") / "root") as started:
        load_images(started)
        started.install_names()
        yield started


@pytest.fixture(scope="package")
def backends(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Backends:
    made = Backends(node, tmp_path_factory.mktemp("backends"))
    made.start()
    return made
