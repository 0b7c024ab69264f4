"""A box as its user has it: a home of its own, the gateway's few variables, nothing else of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.gateway import Gateway

RUN_SECONDS: Final = 60.0
_NOWHERE: Final = "http://127.0.0.1:9"
"""The discard port, where nothing listens: whoever wants another host than loopback by TLS fails at once."""

_QUIET: Final = {
    "HTTPS_PROXY": _NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""No client of a test calls home. None of these touches how a client calls its provider."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read the last line it printed; fails with its complaints when it did not end well."""
        assert self.code == 0, self.err
        return json.loads(self.out.splitlines()[-1])


class DidNotEndError(AssertionError):
    """A program was killed at its time limit; `so_far` is what it had printed by then."""

    def __init__(self, command: str, seconds: float, so_far: Finished) -> None:
        super().__init__(f"{command} did not end within {seconds} s")
        self.so_far = so_far


@dataclass(slots=True)
class Box:
    """One box.

    Attributes:
        gateway: what it can reach.
        home: its home folder, where programs are run too.
        variables: what its user has set.
    """

    gateway: Gateway
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        urls = self.gateway.ready["base_urls"]
        # The lines that every box has, whatever its org.
        self.variables = {
            "OPENAI_BASE_URL": urls["openai"],
            "OPENAI_API_KEY": "run9-placeholder",
            "ANTHROPIC_BASE_URL": urls["anthropic"],
            "ANTHROPIC_AUTH_TOKEN": "run9-placeholder",
            "GOOGLE_GEMINI_BASE_URL": f"{self.gateway.origin}/run9/ai/gemini",
            "GEMINI_API_KEY": "run9-placeholder",
        }

    @property
    def setup_command(self) -> str:
        """What its user types to be set up for every client."""
        return f'eval "$(curl -fsS {self.gateway.origin}/run9/ai/setup.sh)"'

    async def set_up(self) -> None:
        """Run the set-up script in a plain shell; the box then has what the script exports."""
        self.variables = {}
        done = await self.run("sh", "-c", f"{self.setup_command} && env")
        assert done.code == 0, done.err
        pairs = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
        own = ("OPENAI_", "ANTHROPIC_", "ENABLE_", "CLAUDE_CODE_", "GOOGLE_", "GEMINI_")
        names = (name for name in pairs if name.startswith(own))
        self.variables = {name: pairs[name] for name in names if name not in _QUIET}

    async def run(
        self, *command: str, stdin: str = "", seconds: float = RUN_SECONDS, **variables: str
    ) -> Finished:
        """Run a program to its end; one that does not end in time is killed with all its children."""
        path = os.environ["PATH"]  # noqa: TID251  # programs are found as the test itself finds them
        environment = {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8"} | _QUIET
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.home,
            env=environment | self.variables | variables,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        timer = loop.call_at(deadline, _kill_all, process)
        try:
            out, err = await process.communicate(stdin.encode())
        finally:
            timer.cancel()
            _kill_all(process)
        if loop.time() >= deadline:
            said = Finished(-1, out.decode(errors="replace"), err.decode(errors="replace"))
            raise DidNotEndError(command[0], seconds, said)
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def _kill_all(process: asyncio.subprocess.Process) -> None:
    """Kill what a program may have left running; its session is its own, so nobody else is met."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # all have ended
