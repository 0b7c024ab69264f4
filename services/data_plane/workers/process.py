"""A worker as an operating-system process, and its admin listener on a unix socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ADMIN_SECONDS: Final = 2.0
FORWARD_SECONDS: Final = 60.0
"""A key test asks a provider, so the answer may take this long."""


class LocalWorker:
    """A worker process. Its admin listener answers on `admin_path`."""

    def __init__(self, process: asyncio.subprocess.Process, admin_path: Path) -> None:
        self._process = process
        transport = httpx.AsyncHTTPTransport(uds=str(admin_path))
        self._admin = httpx.AsyncClient(
            transport=transport, base_url="http://worker", timeout=ADMIN_SECONDS, trust_env=False
        )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for the end; gives the exit code, negative for a signal."""
        exit_code = await self._process.wait()
        await self._admin.aclose()
        return exit_code

    async def is_ready(self) -> bool:
        """Ask the worker's readiness."""
        answer = await self.get("/readyz")
        return answer is not None and answer.status_code == httpx.codes.OK

    async def get(self, path: str) -> httpx.Response | None:
        """Ask the worker's admin listener; None when no answer came."""
        try:
            return await self._admin.get(path)
        except (httpx.HTTPError, RuntimeError):  # RuntimeError: the client was closed with the worker
            return None

    async def forward(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response | None:
        """Hand a request of the control plane on to the worker; None when no answer came."""
        try:
            return await self._admin.post(path, content=body, headers=dict(headers), timeout=FORWARD_SECONDS)
        except (httpx.HTTPError, RuntimeError):
            return None

    def terminate(self) -> None:
        """Ask the worker to drain and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End the worker at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


async def start_worker(command: Sequence[str], descriptors: Sequence[int], admin_path: Path) -> LocalWorker:
    """Start `command` with the listening sockets `descriptors`, found there under the same numbers."""
    process = await asyncio.create_subprocess_exec(
        *command,
        pass_fds=tuple(descriptors),
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the main process, which drains the workers in order
    )
    return LocalWorker(process, admin_path)
