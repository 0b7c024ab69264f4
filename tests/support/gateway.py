"""A whole gateway as a user starts it: `aigw up` in a process and folder of its own, on free ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from aigw.node_key import NodeKey
from shared.box_token import MAX_LIFE_SECONDS
from shared.clock import unix_now
from tests.support.commands import AIGW

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_LIMITS: Final = (
    "PERSON_CHANGES",
    "ORG_CHANGES",
    "PLATFORM_CHANGES",
    "PERSON_KEY_TESTS",
    "ORG_KEY_TESTS",
    "PERSON_READS",
    "ORG_READS",
)
UNLIMITED: Final = {f"AIGW_{name}_PER_MINUTE": "1000000" for name in _LIMITS}
"""For tests of something else: tests change more in a minute, as a single person, than people do."""


def clean_environment(**more: str) -> dict[str, str]:
    """Give this process's environment without the variables of a gateway, an SDK or a proxy."""
    banned = (
        "AIGW_",
        "OPENAI_",
        "ANTHROPIC_",
        "GOOGLE_",
        "GEMINI_",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    )
    inherited = os.environ.items()  # noqa: TID251  # what a child process inherits is this file's business
    return {name: value for name, value in inherited if not name.upper().startswith(banned)} | more


@dataclass(slots=True)
class Gateway:
    """An `aigw up`. `with Gateway(folder) as gateway` starts the process, waits until ready, and stops it.

    Attributes:
        folder: holds the data folder, the ready file and the logs.
        options: further options of `aigw up`.
        descriptors: its hard limit on open descriptors, where different from this process's.
        ready: the content of the ready file, once the gateway serves.
    """

    folder: Path
    options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    descriptors: int | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def printed(self) -> str:
        """The process's stdout so far."""
        return self._read("stdout")

    @property
    def log(self) -> str:
        """The process's stderr so far."""
        return self._read("stderr")

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def origin(self) -> str:
        """The gateway's origin for boxes, e.g. `http://127.0.0.1:40123`."""
        base_url: str = self.ready["base_urls"]["anthropic"]
        return base_url.removesuffix("/run9/ai/anthropic")

    @property
    def box_port(self) -> int:
        """The port of the box listener."""
        return int(self.origin.rpartition(":")[2])

    def demo_endpoint(self, provider: str) -> str:
        """Where the demo provider stands in for a provider."""
        endpoint: str = json.loads((self.data_dir / "seeded.json").read_text())[provider]
        return endpoint

    def start(self) -> None:
        """Start the process; `wait_until_ready` tells when the gateway serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ready_file.unlink(missing_ok=True)
        command = [*AIGW, "up", "--data-dir", str(self.data_dir)]
        command += ["--ready-file", str(self._ready_file), "--port-base", "0", *self.options]
        if self.descriptors is not None:
            soft = f'ulimit -Sn 1024 && ulimit -Hn {self.descriptors} && exec "$@"'
            command = ["bash", "-c", soft, "bash", *command]
        with (self.folder / "stdout").open("ab") as out, (self.folder / "stderr").open("ab") as err:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=err, env=clean_environment(**UNLIMITED | self.environment)
            )

    @property
    def _ready_file(self) -> Path:
        return self.folder / "ready.json"

    def wait_until_ready(self) -> None:
        """Wait for the ready file; fails with the log when the process ends before."""
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready_file.exists():
            code = self._process.poll()
            assert code is None, f"aigw up ended with {code}:\n{self.log}"
            assert time.monotonic() < deadline, f"aigw up was not ready in time:\n{self.log}"
            time.sleep(_POLL_SECONDS)
        self.ready = json.loads(self._ready_file.read_text())

    def signal(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send the process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait_until_ended(self) -> int:
        """Give the exit code; a process still running after the time is killed and fails the test."""
        assert self._process is not None
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"aigw up did not stop within {STOP_SECONDS} s:\n{self.log}") from None

    def box_token(self, org: str, *, box: str = "box-1", age_seconds: float = 0.0) -> str:
        """Mint a box token by the local node's key; a token of an age above 300 s has expired."""
        key = NodeKey.read(Path(self.ready["node_key_file"]))
        now = unix_now() - age_seconds
        return key.mint(
            self.ready["node_kid"], box=box, org=org, lifecycle="1", now=now, life_seconds=MAX_LIFE_SECONDS
        )

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.signal()
            code = self.wait_until_ended()
        finally:
            self._kill()
        if kind is None:
            assert code == 0, f"aigw up ended with {code}:\n{self.log}"
            self.check_log()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def check_log(self) -> None:
        """Raise `AssertionError` when the log shows a crash or a token."""
        assert "Traceback" not in self.log, self.log
        for name in ("owner_token", "member_token", "platform_token"):
            assert self.ready[name] not in self.log, f"{name} is in the log"
