"""A box as its user has it: a home of its own, the gateway's few variables, nothing else of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.clock import unix_now
from tests.support.gateway import Gateway

RUN_SECONDS: Final = 60.0
READ_BYTES: Final = 65_536
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
    """The results of a program.

    Attributes:
        code: the exit code.
        out, err: the whole text of both pipes.
        heard: each piece of text with its Unix time of arrival, of both pipes, in order of arrival.
    """

    code: int
    out: str
    err: str
    heard: tuple[tuple[float, str], ...] = ()

    def moment_of(self, sentence: str) -> float | None:
        """Give the Unix time at which `sentence` was printed whole, or nothing; a line break is a blank."""
        said = ""
        for moment, piece in self.heard:
            said += piece
            if sentence in " ".join(said.split()):
                return moment
        return None

    def json(self) -> Any:
        """Read the program's last line of output; fails with its complaints when the exit code is not 0."""
        assert self.code == 0, self.err
        return json.loads(self.out.splitlines()[-1])


class DidNotEndError(AssertionError):
    """A program was killed at its time limit; `so_far` is its output until then."""

    def __init__(self, command: str, seconds: float, so_far: Finished) -> None:
        super().__init__(f"{command} did not end within {seconds} s")
        self.so_far = so_far


@dataclass(slots=True)
class Box:
    """A box.

    Attributes:
        gateway: the gateway in the box's reach.
        home: the box's home folder, where programs are run too.
        variables: the variables set by the box's user.
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
        """The command typed by the box's user to be set up for every client."""
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
        """Run a program to its end; at the time limit the program is killed with all its children."""
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
            out, err = await _heard(process, stdin.encode())
        finally:
            timer.cancel()
            _kill_all(process)
        heard = tuple((moment, piece.decode(errors="replace")) for moment, piece in sorted(out + err))
        out_text, err_text = (
            b"".join(piece for _, piece in pipe).decode(errors="replace") for pipe in (out, err)
        )
        if loop.time() >= deadline:
            raise DidNotEndError(command[0], seconds, Finished(-1, out_text, err_text, heard))
        assert process.returncode is not None
        return Finished(process.returncode, out_text, err_text, heard)


_Pieces = list[tuple[float, bytes]]


async def _heard(process: asyncio.subprocess.Process, stdin: bytes) -> tuple[_Pieces, _Pieces]:
    """Listen to both pipes of a program until its end; gives each piece with its time."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with contextlib.suppress(ConnectionError):  # a program may end without a look at its input
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()
    out, err, _ = await asyncio.gather(_listen(process.stdout), _listen(process.stderr), process.wait())
    return out, err


async def _listen(pipe: asyncio.StreamReader) -> _Pieces:
    pieces: _Pieces = []
    while piece := await pipe.read(READ_BYTES):
        pieces.append((unix_now(), piece))
    return pieces


def _kill_all(process: asyncio.subprocess.Process) -> None:
    """Kill the processes left by a program; its session is its own, so no other process is met."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # all have ended


def _text(pieces: _Pieces) -> str:
    return b"".join(piece for _, piece in pieces).decode(errors="replace")
