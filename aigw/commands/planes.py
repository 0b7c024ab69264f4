"""`aigw control-plane` and `aigw data-plane`: one plane of a deployment, set up by `AIGW_*` variables."""

from __future__ import annotations

from typing import Annotated

import typer

from aigw.commands.invocation import warn_of_unknown_names

commands = typer.Typer()


@commands.command("control-plane")
def control_plane() -> None:
    """Run a control plane, set up by AIGW_* variables."""
    from aigw.planes.control_plane import run_control_plane  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same
    from services.control_plane.settings import ControlPlaneSettings  # noqa: PLC0415  # same

    warn_of_unknown_names(ControlPlaneSettings)
    run_until_signalled(run_control_plane)


@commands.command("data-plane")
def data_plane(
    *,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes on one port; in place of AIGW_WORKERS.")
    ] = None,
    box_descriptors: Annotated[str, typer.Option(hidden=True)] = "",
    admin_descriptor: Annotated[int, typer.Option(hidden=True)] = -1,
    main_process: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Run a data plane, set up by AIGW_* variables."""
    from aigw.planes.data_plane import run_data_plane, run_worker  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same
    from services.data_plane.inherited_sockets import InheritedSockets  # noqa: PLC0415  # same
    from services.data_plane.settings import DataPlaneSettings  # noqa: PLC0415  # same

    if box_descriptors:  # the main process has started this one as a worker
        inherited = InheritedSockets.parse(box_descriptors, admin_descriptor)
        run_until_signalled(lambda stop: run_worker(stop, inherited, main_process))
        return
    warn_of_unknown_names(DataPlaneSettings)
    run_until_signalled(lambda stop: run_data_plane(stop, workers))
