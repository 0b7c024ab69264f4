"""The commands and configuration files of the programs of the test's Kubernetes node."""

from __future__ import annotations

import json
from typing import Final

from tests.support.kubernetes.layout import (
    API_PORT,
    DNS_ADDRESS,
    ETCD_PORT,
    MACHINE_ADDRESS,
    MAX_OPEN_FILES,
    NAME,
    NODE_ADDRESS,
    POD_NETWORK,
    SERVICE_NETWORK,
    Layout,
)
from tests.support.servers.tools import BUILT_TOOLS

PAUSE_IMAGE: Final = "localhost/pause:aigw"
_CONTAINERD: Final = """\
version = 2
root = "{images}"
state = "{run}/containerd"
oom_score = 0
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{configs}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def write_configs(layout: Layout) -> None:
    """Write every configuration file below `layout.configs`."""
    folder = layout.configs
    (folder / "cni").mkdir(parents=True)
    (folder / "containerd.toml").write_text(
        _CONTAINERD.format(
            images=layout.images, run=layout.run, socket=layout.socket, pause=PAUSE_IMAGE, configs=folder
        )
    )
    (folder / "resolv.conf").write_text(f"nameserver {MACHINE_ADDRESS}\n")
    (folder / "cni" / "pods.conflist").write_text(json.dumps(_pod_network(layout)))
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(layout)))
    (folder / "kube-proxy.json").write_text(json.dumps(_kube_proxy(layout)))


def _pod_network(layout: Layout) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": "aigwpods",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(layout.run / "addresses"),
            "ranges": [[{"subnet": POD_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "1.0.0", "name": NAME, "plugins": [bridge]}


def _kubelet(layout: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}",
        "enforceNodeAllocatable": ["pods"],
        "oomScoreAdj": 0,
        "maxOpenFiles": MAX_OPEN_FILES,
        # Files stand in for the kernel's settings that the kubelet insists on: see node.py.
        "protectKernelDefaults": False,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.configs / "resolv.conf"),
        "podLogsDir": str(layout.root / "pod-logs"),
        "volumePluginDir": str(layout.root / "volume-plugins"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.keys / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
    }


def _kube_proxy(layout: Layout) -> dict[str, object]:
    untouched = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": NAME,
        "nodeIPOverride": [NODE_ADDRESS],
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("kube-proxy"))},
        "conntrack": untouched,
        "oomScoreAdj": 0,
    }


def containerd(layout: Layout) -> list[str]:
    """Give the command of containerd."""
    return ["containerd", "-c", str(layout.configs / "containerd.toml")]


def etcd(layout: Layout) -> list[str]:
    """Give the command of etcd: nothing is synchronized, because nothing outlives the node."""
    here, peer = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PORT + 1}"
    urls = [f"--listen-client-urls={here}", f"--advertise-client-urls={here}", f"--listen-peer-urls={peer}"]
    return ["etcd", f"--data-dir={layout.root / 'etcd'}", *urls, "--unsafe-no-fsync"]


def api_server(layout: Layout) -> list[str]:
    """Give the command of the API server."""
    keys = layout.keys
    return [
        built("kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
        "--bind-address=0.0.0.0",
        f"--secure-port={API_PORT}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        f"--client-ca-file={keys}/ca.crt",
        f"--kubelet-client-certificate={keys}/kubelet-client.crt",
        f"--kubelet-client-key={keys}/kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys}/sa.key",
        f"--service-account-signing-key-file={keys}/sa.key",
        f"--token-auth-file={keys}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--enable-admission-plugins=NodeRestriction,PodSecurity",
    ]


def controller_manager(layout: Layout) -> list[str]:
    """Give the command of the controller manager."""
    kubeconfig = layout.kubeconfig("controller-manager")
    return [
        built("kube-controller-manager"),
        *(f"--{use}kubeconfig={kubeconfig}" for use in ("", "authentication-", "authorization-")),
        f"--root-ca-file={layout.keys}/ca.crt",
        f"--service-account-private-key-file={layout.keys}/sa.key",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={POD_NETWORK}",
        "--node-cidr-mask-size=24",
    ]


def scheduler(layout: Layout) -> list[str]:
    """Give the command of the scheduler."""
    kubeconfig = layout.kubeconfig("scheduler")
    uses = (f"--{use}kubeconfig={kubeconfig}" for use in ("", "authentication-", "authorization-"))
    return [built("kube-scheduler"), *uses, "--leader-elect=false"]


def kubelet(layout: Layout) -> list[str]:
    """Give the command of the kubelet."""
    return [
        built("kubelet"),
        f"--config={layout.configs}/kubelet.json",
        f"--kubeconfig={layout.kubeconfig('kubelet')}",
        f"--root-dir={layout.root}/kubelet",
        f"--cert-dir={layout.root}/kubelet/pki",
        f"--hostname-override={NAME}",
        f"--node-ip={NODE_ADDRESS}",
    ]


def kube_proxy(layout: Layout) -> list[str]:
    """Give the command of kube-proxy."""
    return [built("kube-proxy"), f"--config={layout.configs}/kube-proxy.json"]


def kube_router(layout: Layout) -> list[str]:
    """Give the command of kube-router, which enforces NetworkPolicies and does nothing else here."""
    return [
        str(BUILT_TOOLS / "kube-router" / "kube-router"),
        f"--kubeconfig={layout.kubeconfig('admin')}",
        f"--hostname-override={NAME}",
        "--run-router=false",
        "--run-firewall=true",
        "--run-service-proxy=false",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--iptables-sync-period=30s",
    ]


def built(program: str) -> str:
    """Give the path of a program of Kubernetes."""
    return str(BUILT_TOOLS / "kubernetes" / program)
