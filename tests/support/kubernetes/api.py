"""A real Kubernetes API on loopback without a node: accounts, their tokens and reviews, but no pods.

`with KubernetesApi(folder) as api` needs no root. The controller manager runs for the one controller that
fills Secrets with the tokens of accounts.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from tests.support.kubernetes.keys import make_keys
from tests.support.kubernetes.layout import NODE_ADDRESS, SERVICE_NETWORK, Layout
from tests.support.kubernetes.programs import built
from tests.support.servers.process import ServerProcess, answers, free_port, short_folder
from tests.support.servers.tools import BUILT_TOOLS, find_program, missing

PROGRAMS: Final = {"kube-apiserver": "kubernetes", "kubectl": "kubernetes", "etcd": ""}
COMMAND_SECONDS: Final = 60


class KubernetesApi:
    """The API server, its store and its controller of tokens.

    Attributes:
        address: `https://127.0.0.1:PORT`.
        kubeconfig: of an administrator.
    """

    def __init__(self, folder: Path) -> None:
        for program, built_in in PROGRAMS.items():
            if find_program(program, beside=[BUILT_TOOLS / built_in]) is None:
                missing(f"{program}, a part of Kubernetes,")
        self._layout = Layout(folder)
        self._port, self._store, self._peer = free_port(), free_port(), free_port()
        self._running = ExitStack()
        self.address = f"https://127.0.0.1:{self._port}"
        self.kubeconfig = self._layout.kubeconfig("admin")

    def __enter__(self) -> Self:
        make_keys(self._layout, self.address)
        try:
            self._start(self._etcd(), lambda: answers(self._store))
            self._start(self._api_server(), self._is_ready)
            self._start(self._controller_manager(), lambda: True)
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def kubectl(self, *words: str, check: bool = True) -> str:
        """Run kubectl as administrator; give its output."""
        done = subprocess.run(
            [built("kubectl"), f"--kubeconfig={self.kubeconfig}", *words],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            env={"PATH": os.defpath, "HOME": str(self._layout.root)},
        )
        assert done.returncode == 0 or not check, f"kubectl {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def token(self, namespace: str, account: str, audience: str) -> str:
        """Have the API sign a token for an account, as the kubelet does for a projected volume."""
        return self.kubectl("-n", namespace, "create", "token", account, f"--audience={audience}")

    def _start(self, command: list[str], ready: Callable[[], bool]) -> None:
        process = ServerProcess(short_folder("kube"), signal.SIGTERM)
        self._running.callback(process.close)
        process.start(command, ready)

    def _is_ready(self) -> bool:
        return self.kubectl("get", "--raw", "/readyz", check=False) == "ok"

    def _etcd(self) -> list[str]:
        here, peer = f"http://127.0.0.1:{self._store}", f"http://127.0.0.1:{self._peer}"
        urls = [f"--listen-client-urls={here}", f"--advertise-client-urls={here}"]
        peers = [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
        members = ["--name=only", f"--initial-cluster=only={peer}"]
        return [
            "etcd",
            f"--data-dir={self._layout.root / 'etcd'}",
            *urls,
            *peers,
            *members,
            "--unsafe-no-fsync",
        ]

    def _api_server(self) -> list[str]:
        keys = self._layout.keys
        return [
            built("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self._store}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--advertise-address={NODE_ADDRESS}",  # never loopback's; and nobody is told the address:
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={keys}/apiserver.crt",
            f"--tls-private-key-file={keys}/apiserver.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={keys}/sa.key",
            f"--service-account-signing-key-file={keys}/sa.key",
            f"--token-auth-file={keys}/tokens.csv",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
        ]

    def _controller_manager(self) -> list[str]:
        kubeconfig, keys = self._layout.kubeconfig("controller-manager"), self._layout.keys
        return [
            built("kube-controller-manager"),
            *(f"--{use}kubeconfig={kubeconfig}" for use in ("", "authentication-", "authorization-")),
            f"--root-ca-file={keys}/ca.crt",
            f"--service-account-private-key-file={keys}/sa.key",
            "--controllers=serviceaccount-token-controller",
            "--leader-elect=false",
            f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self._layout.root}/controller-manager",
        ]
