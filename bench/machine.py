"""The description of this machine and the roles of its cores."""

from __future__ import annotations

import contextlib
import os
import platform
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_TOPOLOGY = "/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the measured proxy alone, and the core of load, upstream and bench."""

    proxy: int
    load: int

    @property
    def are_one(self) -> bool:
        """Whether the machine had a single core to give: ratios still mean something, throughput does not."""
        return self.proxy == self.load


def choose_cores() -> Cores:
    """Take two cores, physically different if possible; the first gets the load, as interrupts go there."""
    usable = sorted(os.sched_getaffinity(0))
    load = usable[0]
    taken = siblings_in(_text(Path(_TOPOLOGY.format(core=load)), default=str(load)))
    others = [core for core in usable if core not in taken] or usable[1:] or usable
    return Cores(proxy=others[-1], load=load)


def siblings_in(text: str) -> set[int]:
    """Read a kernel CPU list such as `0,4` or `0-1`."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


@contextlib.contextmanager
def pinned_to(core: int) -> Iterator[None]:
    """Run this process on a single core inside; programs started meanwhile stay on the core for ever."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe(cores: Cores) -> dict[str, str]:
    """Name the machine: processor, cores, kernel, Python and its build, load at the start."""
    model = model_in(_text(_CPUINFO, default=""))
    return {
        "cpu": model or platform.machine(),
        "cores": f"{os.cpu_count()} (proxy on {cores.proxy}, load and upstream on {cores.load})",
        "kernel": platform.release(),
        "python": f"{platform.python_version()} ({_build_of_python()})",
        "busy": f"{os.getloadavg()[0]:.1f}",
    }


def _build_of_python() -> str:
    """Tell how the interpreter was built: an unoptimised build costs the relay some 6 % of CPU."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    return "optimised build" if "--enable-optimizations" in options else "build without optimisations"


def model_in(cpuinfo: str) -> str:
    """Find the processor's name in the text of /proc/cpuinfo; empty if there is none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return ""


def _text(path: Path, *, default: str) -> str:
    try:
        return path.read_text()
    except OSError:
        return default
