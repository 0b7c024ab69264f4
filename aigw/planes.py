"""One plane as a process of its own, as `aigw control-plane` and `aigw data-plane` run it."""

from __future__ import annotations

import asyncio
import sys

from services.control_plane.bootstrap import ControlPlane
from services.control_plane.settings import ControlPlaneSettings
from services.data_plane.bootstrap import DataPlane
from services.data_plane.settings import DataPlaneSettings


async def run_control_plane(stop: asyncio.Event) -> None:
    """Run a control plane from the environment until `stop`."""
    plane = ControlPlane.build(ControlPlaneSettings(), stream=None)

    def started() -> None:
        sys.stderr.write(f"Control plane on port {plane.public_port}, fleet on {plane.internal_port}\n")

    await plane.run(started=started, stop=stop)


async def run_data_plane(stop: asyncio.Event) -> None:
    """Run a data plane from the environment until `stop`."""
    plane = DataPlane.build(DataPlaneSettings(), stream=None)

    def started() -> None:
        sys.stderr.write(f"Data plane for boxes on port {plane.box_port}, admin on {plane.admin_port}\n")

    await plane.run(started=started, stop=stop)
