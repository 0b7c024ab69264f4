"""A whole Kubernetes node for tests, in a network and mount namespace of its own.

`with Node(folder) as node` starts the node; afterwards no process, link, route, mount or cgroup of the node
is left. The node needs root. Pods have no way off the machine, and the machine reaches pods and services over
a single link.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self, TextIO

from tests.support.kubernetes import programs
from tests.support.kubernetes.keys import make_keys
from tests.support.kubernetes.layout import (
    INNER_LINK,
    MACHINE_ADDRESS,
    NAME,
    NODE_ADDRESS,
    OUTER_LINK,
    POD_NETWORK,
    SERVICE_NETWORK,
    Layout,
)

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 20.0
CPU_SHARES: Final = 16_384
"""Of all pods together. Any other process has 1,024, and a busy machine has many processes."""
LOCK: Final = Path("/run") / f"{NAME}.lock"
"""Held by the only node of the machine: its link, its cgroup and its addresses have fixed names."""
_CGROUPS: Final = Path("/sys/fs/cgroup")
_KERNEL: Final = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Values required by the kubelet. Files with them lie over the machine's own, which the kubelet would set."""

_STRAYS: Final = ("/run/netns", "/var/lib/cni", "/var/log/containers")
"""Folders filled by programs in spite of their settings. Memory lies over each, and goes with the node."""


class Node:
    """A running node.

    Attributes:
        layout: where its files are.
    """

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self._holder: subprocess.Popen[bytes] | None = None
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._lock: TextIO | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def kubectl(self, *words: str, stdin: str | None = None, seconds: float = 120, check: bool = True) -> str:
        """Run kubectl as administrator; give its output."""
        command = [programs.built("kubectl"), f"--kubeconfig={self.layout.kubeconfig('admin')}", *words]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=_environment(),
        )
        assert done.returncode == 0 or not check, f"kubectl {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def environment(self, user: str) -> dict[str, str]:
        """Give the environment of a program using the API as `user`."""
        return _environment() | {"KUBECONFIG": str(self.layout.kubeconfig(user))}

    def install_names(self) -> None:
        """Give the cluster its names (CoreDNS), the kinds used by the examples, and the node its label."""
        folder = Path(__file__).parent / "manifests"
        for manifest in ("coredns.yaml", "kinds.yaml"):
            self.kubectl("apply", "-f", str(folder / manifest))
        self.kubectl("label", "node", NAME, "run9.ai/boxes=true")
        self.kubectl(
            "-n", "kube-system", "rollout", "status", "deploy/coredns", "--timeout=150s", seconds=160
        )

    def inside(self, *words: str) -> list[str]:
        """Give the command to run `words` in the node's namespaces."""
        assert self._holder is not None
        return ["nsenter", "-t", str(self._holder.pid), "-n", "-m", *words]

    def logs(self) -> str:
        """Give the last lines of every program."""
        files = sorted(self.layout.logs.glob("*.log"))
        return "\n".join(f"--- {file.stem}\n" + "\n".join(_tail(file)) for file in files)

    def _start(self) -> None:
        layout = self.layout
        self._lock = LOCK.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        for folder in (layout.logs, layout.run, layout.images):
            folder.mkdir(parents=True, exist_ok=True)
        make_keys(layout)
        programs.write_configs(layout)
        self._make_namespaces()
        _make_cgroups()
        self._run("containerd", programs.containerd(layout))
        self._run("etcd", programs.etcd(layout))
        self._until("containerd", layout.socket.exists)
        self._run("kube-apiserver", programs.api_server(layout))
        self._until("kube-apiserver", lambda: self.kubectl("get", "--raw", "/readyz", check=False) == "ok")
        self._run("kube-controller-manager", programs.controller_manager(layout))
        self._run("kube-scheduler", programs.scheduler(layout))
        self._run("kubelet", programs.kubelet(layout))
        self._run("kube-proxy", programs.kube_proxy(layout))
        asked = ("get", "node", NAME, "-o", "jsonpath={.spec.podCIDR}")
        self._until("kubelet", lambda: bool(self.kubectl(*asked, check=False)))
        self._run("kube-router", programs.kube_router(layout))
        for network in (SERVICE_NETWORK, POD_NETWORK):
            _do("ip", "route", "add", network, "via", NODE_ADDRESS, "dev", OUTER_LINK)

    def _make_namespaces(self) -> None:
        command = ["unshare", "--net", "--mount", "--propagation", "private", "sleep", "infinity"]
        self._holder = subprocess.Popen(command, start_new_session=True)
        own = Path("/proc/self/ns/net").readlink()
        self._until("unshare", lambda: Path(f"/proc/{self._pid}/ns/net").readlink() != own)
        _do(
            "ip",
            "link",
            "add",
            OUTER_LINK,
            "type",
            "veth",
            "peer",
            "name",
            INNER_LINK,
            "netns",
            str(self._pid),
        )
        _do("ip", "addr", "add", f"{MACHINE_ADDRESS}/24", "dev", OUTER_LINK)
        _do("ip", "link", "set", OUTER_LINK, "up")
        lines = [
            "ip link set lo up",
            f"ip addr add {NODE_ADDRESS}/24 dev {INNER_LINK}",
            f"ip link set {INNER_LINK} up",
            f"ip route add default via {MACHINE_ADDRESS}",
            *(f"mkdir -p {folder} && mount -t tmpfs {NAME} {folder}" for folder in _STRAYS),
            "mount --make-rshared /",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
            "f=/proc/sys/net/bridge/bridge-nf-call-iptables; [ ! -e $f ] || echo 1 > $f",
        ]
        for name, value in _KERNEL.items():
            file = self.layout.run / name.replace("/", "_")
            file.write_text(f"{value}\n")
            lines.append(f"mount --bind {file} /proc/sys/{name}")
        _do(*self.inside("bash", "-ec", "\n".join(lines)))

    @property
    def _pid(self) -> int:
        assert self._holder is not None
        return self._holder.pid

    def _run(self, name: str, command: list[str]) -> None:
        with (self.layout.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.inside(*command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
            )
        self._running.append((name, process))

    def _until(self, name: str, good: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not good():
            ended = [other for other, process in self._running if process.poll() is not None]
            assert not ended, f"{ended} ended:\n{self.logs()}"
            assert time.monotonic() < deadline, f"{name} was not ready in time:\n{self.logs()}"
            time.sleep(0.2)

    def stop(self) -> None:
        """End every process of the node by its id, then take away the node's remains on the machine."""
        if self._lock is None:
            return
        processes = dict(self._running)
        for name in ("kube-router", "kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager"):
            _end(processes.get(name))
        if "containerd" in processes:
            self._kill_pods()
        for name in ("kube-apiserver", "etcd", "containerd"):  # the store last: the API server waits for it
            _end(processes.get(name))
        if self._holder is not None:
            _kill_all_in(f"/proc/{self._holder.pid}/ns/mnt", but=self._holder.pid)
            self._holder.kill()
            self._holder.wait()
        self._running, self._holder = [], None
        subprocess.run(["ip", "link", "del", OUTER_LINK], check=False, capture_output=True)
        _remove_cgroups()
        shutil.rmtree(self.layout.run, ignore_errors=True)
        shutil.rmtree(self.layout.root, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def _kill_pods(self) -> None:
        ctr = self.inside("ctr", "-a", str(self.layout.socket), "-n", "k8s.io")

        def listed(*words: str) -> list[str]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = subprocess.run([*ctr, *words], capture_output=True, text=True, check=False, timeout=20)
                return done.stdout.split()
            return []

        for task in listed("tasks", "ls", "-q"):
            listed("tasks", "kill", "-s", "KILL", task)
        for task in listed("tasks", "ls", "-q"):
            listed("tasks", "rm", "-f", task)
        if containers := listed("containers", "ls", "-q"):
            listed("containers", "rm", *containers)


def _environment() -> dict[str, str]:
    """No proxy stands between the machine and the node, whatever the machine's own settings are."""
    return {
        "PATH": f"{os.defpath}:/usr/sbin:/sbin:/usr/local/bin",
        "HOME": "/root",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def _do(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout}{done.stderr}"


def _tail(file: Path) -> list[str]:
    return [line[:300] for line in file.read_text(errors="replace").splitlines()[-8:]]


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _kill_all_in(namespace: str, *, but: int) -> None:
    """Kill the processes left in the node's mount namespace, such as the shims of containers."""
    wanted = Path(namespace).readlink()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != but:
            with contextlib.suppress(OSError):
                if (entry / "ns" / "mnt").readlink() == wanted:
                    os.kill(int(entry.name), signal.SIGKILL)


def _make_cgroups() -> None:
    if (_CGROUPS / "cgroup.controllers").exists():
        (_CGROUPS / NAME).mkdir(exist_ok=True)
        return
    for controller in _CGROUPS.iterdir():
        if controller.is_dir() and controller.name != "unified":
            (controller / NAME).mkdir(exist_ok=True)
    (_CGROUPS / "cpu" / NAME / "cpu.shares").write_text(f"{CPU_SHARES}\n")
    for file in ("cpuset.cpus", "cpuset.mems"):
        (_CGROUPS / "cpuset" / NAME / file).write_text((_CGROUPS / "cpuset" / file).read_text())


def _remove_cgroups() -> None:
    for _ in range(20):
        for found in [*_CGROUPS.glob(f"*/{NAME}"), _CGROUPS / NAME]:
            for folder, _folders, _files in os.walk(found, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        if not [*_CGROUPS.glob(f"*/{NAME}")]:
            return
        time.sleep(0.2)
