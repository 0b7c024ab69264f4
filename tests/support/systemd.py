"""A real systemd as process 1 of its own namespaces, with `/etc`, `/run`, `/tmp` and `/var` of its own.

This machine's files are read-only for the manager and for its services, and its units are unknown to the
manager. The network is this machine's, so a service's loopback ports can be reached. Works with both versions
of control groups. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from tests.support.servers.tools import find_program, missing

SYSTEMD: Final = Path("/usr/lib/systemd/systemd")
START_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 60.0
_GROUPS: Final = Path("/sys/fs/cgroup")
_SHOWN: Final = "/run/shown"
_SETUP: Final = r"""
set -euo pipefail
mount --make-rprivate /
mount --rbind /run /mnt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/shown /run/layers/upper /run/layers/work /run/systemd/system
if [ -d /mnt/netns ]; then mount --rbind /mnt/netns /run/netns; fi
umount -R -l /mnt
number=0
for folder in "$@"; do
  mkdir "/run/shown/$number"
  mount --bind "$folder" "/run/shown/$number"
  mount -o remount,bind,ro "/run/shown/$number"
  number=$((number + 1))
done
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/layers/upper,workdir=/run/layers/work /etc
for folder in /etc/systemd/system /var/lib /var/log /var/tmp /tmp; do
  mount -t tmpfs -o mode=755 tmpfs "$folder"
done
chmod 1777 /tmp /var/tmp
# Every other folder of this machine is read-only from here on, and no unit of this machine is known: its own
# units would empty /tmp, set kernel variables and mount file systems.
mount -o remount,bind,ro /
if mkdir /aigw-probe 2>/dev/null; then rmdir /aigw-probe; echo "the root folder is writable" >&2; exit 1; fi
[ -z "$(ls -A /tmp)$(ls -A /var/tmp)" ] || { echo "/tmp is shared" >&2; exit 1; }
export SYSTEMD_UNIT_PATH=/etc/systemd/system
for target in default sysinit basic sockets network-online multi-user shutdown umount; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$target" >"/etc/systemd/system/$target.target"
done
umount -R -l /sys/fs/cgroup
if [ "$VERSION" = 2 ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
mount -t proc proc /proc
mount --make-rshared /  # among the manager and its services alone, for the mounts that it makes for a service
export container=test
exec "$SYSTEMD" --system --unit=default.target --log-target=null
"""


def need_systemd() -> None:
    """Skip a test where no systemd can be run; under CI=true, fail the test."""
    if os.geteuid() != 0:
        missing("root", "run the tests as root: systemd in namespaces needs it")
    if not SYSTEMD.exists():
        missing("systemd")
    for program in ("unshare", "nsenter"):
        if find_program(program, beside=[Path("/usr/bin")]) is None:
            missing(program)


class Systemd:
    """`with Systemd(folder, shown) as manager` starts systemd; `systemctl` and `write` work inside.

    Args:
        folder: for the log of its start.
        shown: folders of this machine for the services' use, anywhere; see `binds`.

    Attributes:
        group: its control group, as seen from here.
    """

    def __init__(self, folder: Path, shown: Sequence[Path] = ()) -> None:
        self._shown = tuple(shown)
        self._log = folder / "systemd.log"
        self._version = "2" if (_GROUPS / "cgroup.controllers").exists() else "1"
        home = _GROUPS if self._version == "2" else _GROUPS / "systemd"
        self.group = home / f"aigw-test-{os.getpid()}-{time.monotonic_ns()}"
        self._outer: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @property
    def root(self) -> Path:
        """The root folder of its services, as seen from here."""
        return Path(f"/proc/{self._pid}/root")

    @property
    def binds(self) -> str:
        """The value of `BindReadOnlyPaths=` by which a service sees the shown folders at their places."""
        return " ".join(f"{_SHOWN}/{number}:{path}" for number, path in enumerate(self._shown))

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside; give its output. With `check` the command must succeed."""
        enter = ["nsenter", "-t", str(self._pid), "-m", "-p", "-u", "-i", "-C"]
        done = subprocess.run(
            [*enter, *command], check=False, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def systemctl(self, *arguments: str) -> str:
        """Run `systemctl`, which must succeed."""
        return self.run("systemctl", *arguments)

    def properties(self, unit: str, *names: str) -> Mapping[str, str]:
        """Give properties of a unit."""
        lines = self.systemctl("show", unit, *(f"--property={name}" for name in names)).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def __enter__(self) -> Self:
        self.group.mkdir()
        # The shell enters the control group before its namespaces are made, and so becomes their root.
        script = 'echo $$ >"$1/cgroup.procs"; exec unshare -m -p -f -C -u -i --kill-child bash -c "${@:2}"'
        environment = {"PATH": os.defpath, "VERSION": self._version, "SYSTEMD": str(SYSTEMD)}
        with self._log.open("wb") as log:
            self._outer = subprocess.Popen(
                ["bash", "-c", script, "enter", str(self.group), _SETUP, "setup", *map(str, self._shown)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        try:
            self._wait_until_it_runs()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _wait_until_it_runs(self) -> None:
        assert self._outer is not None
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        deadline = time.monotonic() + START_SECONDS
        state = ""
        while state not in {"running", "degraded"}:
            assert self._outer.poll() is None, f"systemd ended:\n{self._log.read_text()}"
            assert time.monotonic() < deadline, f"systemd is {state}:\n{self._log.read_text()}"
            time.sleep(0.1)
            self._pid = int((children.read_text().split() or ["0"])[0])
            if self._pid and Path(f"/proc/{self._pid}/comm").read_text().strip() == "systemd":
                state = self.run("systemctl", "is-system-running", check=False).strip()

    def _end(self) -> None:
        """End systemd's processes by the holder of their namespace, and remove the control groups."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)  # the kernel ends everything in its namespace
        if self._outer is not None:
            self._outer.kill()
            self._outer.wait()
        deadline = time.monotonic() + START_SECONDS
        while self.group.exists() and time.monotonic() < deadline:
            for group in sorted(self.group.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):
                    group.rmdir()
            with contextlib.suppress(OSError):
                self.group.rmdir()
            time.sleep(0.05)
