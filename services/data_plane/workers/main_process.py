"""The main process of a data plane with workers: opens the sockets, supervises, answers for all of them.

No byte of a box passes through this process. Each worker has a listening socket of its own on the same port
(SO_REUSEPORT), so the kernel spreads connections; a unix socket is shared, because a path has a single
socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.data_plane.workers.admin_app import WorkersAdminParts, workers_admin_app
from services.data_plane.workers.exposition import WorkersExposition
from services.data_plane.workers.process import LocalWorker, start_worker
from services.data_plane.workers.supervisor import Supervisor
from shared.listener import LISTEN_BACKLOG, bind, bind_unix, port_of, serve
from shared.tasks import TaskSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.data_plane.identity.box_listener import BoxListener

ADMIN_STOP_SECONDS: Final = 1


class MainProcess:
    """A data plane of `count` workers. `box_port` and `admin_port` are known once `started` was called.

    Args:
        command: the words for starting a worker, without its options.
        count: how many workers run.
        listeners: where boxes are served.
        option: the setting by which an operator moves those listeners.
        admin: host and port of the admin listener for all workers.
        drain_seconds: how long a worker may take to end by itself.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        listeners: Sequence[BoxListener],
        *,
        option: str,
        admin: tuple[str, int],
        drain_seconds: float,
    ) -> None:
        self._command = command
        self._listeners = listeners
        self._option = option
        self._admin = admin
        self._exposition = WorkersExposition()
        self._box_sockets: list[list[socket.socket]] = [[] for _ in range(count)]
        self._admin_sockets: list[tuple[Path, socket.socket]] = []
        self._supervisor = Supervisor(
            self._launch, count, drain_seconds=drain_seconds, on_end=self._exposition.forget
        )
        self.box_port = self.admin_port = 0

    async def run(self, *, started: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set, then drain; `started` is called once the admin listener serves.

        Raises:
            ListenError: a port cannot be had.
            WorkerUnusableError: a worker cannot start.
        """
        with contextlib.ExitStack() as stack:
            self._open(stack)
            admin_socket = bind(*self._admin, option="AIGW_ADMIN_PORT")
            stack.callback(admin_socket.close)
            self.admin_port = port_of(admin_socket)
            tasks, stop_admin = TaskSet(), asyncio.Event()
            parts = WorkersAdminParts(self._supervisor, self._processes, self._exposition)
            admin = tasks.start(
                serve(
                    workers_admin_app(parts),
                    admin_socket,
                    stop=stop_admin,
                    started=started,
                    grace_seconds=ADMIN_STOP_SECONDS,
                ),
                "admin listener",
            )
            try:
                await self._supervisor.run(stop=stop, stopping=self._close_box_sockets)
                stop_admin.set()
                await admin
            finally:
                await tasks.aclose()

    def _open(self, stack: contextlib.ExitStack) -> None:
        """Open the box sockets of every worker and a unix socket for the admin listener of each."""
        for listener in self._listeners:
            port, shared = listener.port, None
            for sockets in self._box_sockets:
                if listener.transport == "unix":
                    shared = shared or bind_unix(listener.path, listener.permissions, option=self._option)
                    opened = shared
                else:
                    opened = bind(listener.host, port, option=self._option, share_port=True)
                    port = port_of(opened)  # where 0 stands, the first socket picks the port for all
                    self.box_port = self.box_port or port
                stack.callback(opened.close)
                sockets.append(opened)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aigw-workers-")))
        for number in range(len(self._box_sockets)):
            path = folder / f"{number}.sock"
            admin = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stack.callback(admin.close)
            admin.bind(str(path))
            admin.listen(LISTEN_BACKLOG)
            self._admin_sockets.append((path, admin))

    def _close_box_sockets(self) -> None:
        for sockets in self._box_sockets:
            for opened in sockets:
                opened.close()

    async def _launch(self, number: int) -> LocalWorker:
        path, admin = self._admin_sockets[number]
        boxes = [opened.fileno() for opened in self._box_sockets[number]]
        options = [f"--box-descriptors={','.join(map(str, boxes))}", f"--admin-descriptor={admin.fileno()}"]
        return await start_worker([*self._command, *options], [*boxes, admin.fileno()], path)

    def _processes(self) -> dict[int, LocalWorker]:
        workers = self._supervisor.workers
        return {one.identity: one.process for one in workers if isinstance(one.process, LocalWorker)}
