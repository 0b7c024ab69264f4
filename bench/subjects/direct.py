"""No proxy: the limits of load and upstream alone, and the base of every other subject's latency."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bench.subjects.subject import Running, Subject, Surroundings
from bench.workload import UPSTREAM_PREFIX


@contextmanager
def _start(around: Surroundings) -> Iterator[Running]:
    yield Running(port=around.upstream_port, pid=None, prefix=UPSTREAM_PREFIX, key=around.key())


DIRECT: Final = Subject("direct", "direct", lambda: None, _start, lambda: "", does_tls=False)
