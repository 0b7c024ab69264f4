"""Building a data plane with readable failures, and running the plane: a single process, or workers.

No import of the control plane: the import would cost each worker start-up time and memory.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from aigw.failures import UserError
from aigw.process import settle_memory, settle_tables
from services.data_plane.settings import DataPlaneSettings
from shared.process_limits import end_with_parent
from shared.tasks import TaskSet

if TYPE_CHECKING:
    from services.data_plane.bootstrap import DataPlane
    from services.data_plane.inherited_sockets import InheritedSockets
    from shared.memory_stream import MemoryStream


def build_data_plane(
    settings: DataPlaneSettings, stream: MemoryStream | None, inherited: InheritedSockets | None = None
) -> DataPlane:
    """Build a data plane; raises `UserError` for faults in its operator's hands."""
    from services.data_plane.bootstrap import DataPlane  # noqa: PLC0415  # the main process needs none of it

    try:
        return DataPlane.build(settings, stream=stream, inherited=inherited)
    except OSError as error:
        raise UserError(f"AIGW_UPSTREAM_CA_FILE: it cannot be used ({error.strerror}).") from None


async def run_data_plane(stop: asyncio.Event, workers: int | None = None) -> None:
    """Run a data plane from the environment until `stop`; `workers` in place of the setting."""
    settings = DataPlaneSettings()
    count = settings.workers if workers is None else workers
    if count == 1:
        await _run_one(settings, None, stop)
    else:
        await _run_workers(settings, count, stop)


async def run_worker(stop: asyncio.Event, inherited: InheritedSockets, main_process: int) -> None:
    """Run a worker of a data plane on the sockets of the process `main_process` until `stop`."""
    end_with_parent(main_process)
    await _run_one(DataPlaneSettings(), inherited, stop)


async def _run_one(
    settings: DataPlaneSettings, inherited: InheritedSockets | None, stop: asyncio.Event
) -> None:
    plane = build_data_plane(settings, None, inherited)
    tasks = TaskSet()

    async def settle() -> None:
        await plane.ready.wait()
        settle_tables()

    def started() -> None:
        if inherited is None:
            sys.stderr.write(
                f"Data plane for boxes on {plane.box_addresses}; admin on port {plane.admin_port}\n"
            )
        settle_memory()
        tasks.start(settle(), "settle tables")

    try:
        await plane.run(started=started, stop=stop)
    finally:
        await tasks.aclose()


async def _run_workers(settings: DataPlaneSettings, count: int, stop: asyncio.Event) -> None:
    from services.data_plane.workers.main_process import MainProcess  # noqa: PLC0415  # a worker needs none of it
    from services.data_plane.workers.supervisor import WorkerUnusableError  # noqa: PLC0415  # same

    # -P: without it `-m` imports from the working folder first, which may hold a package of the same name.
    main_process = MainProcess(
        [sys.executable, "-P", "-m", "aigw", "data-plane", f"--main-process={os.getpid()}"],
        count,
        settings.listeners(),
        option=settings.box_option,
        admin=(settings.admin_host, settings.admin_port),
        drain_seconds=settings.stop_delay_seconds + settings.drain_seconds,
    )

    def started() -> None:
        sys.stderr.write(
            f"Data plane for boxes on port {main_process.box_port}; admin on port {main_process.admin_port}; "
            f"{count} workers\n"
        )

    try:
        await main_process.run(started=started, stop=stop)
    except WorkerUnusableError as error:
        raise UserError(f"{error}".capitalize() + ".") from None
