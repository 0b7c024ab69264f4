"""The places of the test's Kubernetes node's files, and the names setting the node apart from all else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.servers.tools import BUILT_TOOLS

NAME: Final = "aigw-kube"
"""Of the cgroup, the node, the run folder and the cluster."""
OUTER_LINK: Final = "aigwkube0"
INNER_LINK: Final = "aigwkube1"
MACHINE_ADDRESS: Final = "10.251.77.1"
NODE_ADDRESS: Final = "10.251.77.2"
POD_NETWORK: Final = "10.247.0.0/24"
SERVICE_NETWORK: Final = "10.98.0.0/16"
API_SERVICE_ADDRESS: Final = "10.98.0.1"
DNS_ADDRESS: Final = "10.98.0.10"
API_PORT: Final = 6443
ETCD_PORT: Final = 2379
MAX_OPEN_FILES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of a node. `root` goes with the node; the image store beside the tools stays."""

    root: Path

    @property
    def run(self) -> Path:
        """Sockets and state, on a short path."""
        return Path("/run") / NAME

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def images(self) -> Path:
        """The store of containerd: image contents stay over runs."""
        return BUILT_TOOLS / "kubernetes-node" / "containerd"

    @property
    def keys(self) -> Path:
        """Certificates, tokens, kubeconfigs."""
        return self.root / "keys"

    @property
    def configs(self) -> Path:
        """Configuration files of the programs."""
        return self.root / "configs"

    @property
    def logs(self) -> Path:
        """The folder of logs, a file for each program."""
        return self.root / "logs"

    def kubeconfig(self, user: str) -> Path:
        """Give the kubeconfig of a user: admin, controller-manager, scheduler, kubelet, kube-proxy."""
        return self.keys / f"{user}.kubeconfig"
