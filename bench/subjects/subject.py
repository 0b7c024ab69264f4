"""The bench's notion of a subject: a server on a port, passing requests on to the upstream."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.workload import BOX_PREFIX, PLACEHOLDER

WARM_UP_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The place of a subject's run.

    Attributes:
        folder: the subject's own scratch folder; exists and is empty.
        core: the core of the subject, which is pinned there.
        upstream_port: on loopback; TLS when `tls`.
        tls: whether the upstream speaks TLS, with a certificate for 127.0.0.1 and localhost.
        ca_file: the certificate's authority, PEM; None without TLS.
        key_file: holds the key accepted by the upstream.
    """

    folder: Path
    core: int
    upstream_port: int
    tls: bool
    ca_file: Path | None
    key_file: Path

    @property
    def endpoint(self) -> str:
        """The upstream as an OpenAI base URL."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.upstream_port}/v1"

    def key(self) -> str:
        """The key accepted by the upstream."""
        return self.key_file.read_text().strip()


@dataclass(frozen=True, slots=True)
class Running:
    """A serving subject.

    Attributes:
        port: on loopback, plain HTTP.
        pid: root of the process tree whose CPU and memory count; None for no proxy at all.
        prefix: the beginning of the box's path.
        key: the credential sent by the box.
        path: the whole path to ask for; None is the prefix and the work's own path.
        headers: sent by the box beside its own, or instead of those of the same name.
        warm_up_seconds: for how long the subject is asked before anything is measured.
        preface_file: holds the bytes with which each of the box's connections begins; None without such.
        renew: writes `preface_file` anew, as parts of the file go stale; None where nothing does.
        rewrites: answers are written anew, so only status, length and the model's words can be checked.
    """

    port: int
    pid: int | None
    prefix: str = BOX_PREFIX
    key: str = PLACEHOLDER
    path: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    preface_file: Path | None = None
    renew: Callable[[], None] | None = None
    rewrites: bool = False
    warm_up_seconds: float = WARM_UP_SECONDS


@dataclass(frozen=True, slots=True)
class Subject:
    """A column of the table.

    Attributes:
        name: for `--subjects` and the raw rows.
        title: for people.
        missing: gives why the subject cannot run here, or None.
        start: serve for as long as the context lasts.
        does_tls: whether the subject can have a TLS upstream.
        version: the exact version of the subject.
        in_quick: part of a quick run unless others are asked for.
        variables: environment lines making the gateway this subject, for trials with a gateway of their own.
        only: the subject's only rows; such a subject is played last and told of below the table; None: all.
        least_times_ours: budget: at least how many times our CPU per JSON request is taken; None: no budget.
    """

    name: str
    title: str
    missing: Callable[[], str | None]
    start: Callable[[Surroundings], AbstractContextManager[Running]]
    version: Callable[[], str]
    does_tls: bool = True
    in_quick: bool = True
    variables: tuple[str, ...] = ()
    only: frozenset[str] | None = None
    least_times_ours: int | None = None
