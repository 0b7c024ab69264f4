"""`aigw control-plane` and `aigw data-plane`: one plane of a deployment, set up by `AIGW_*` variables."""

from __future__ import annotations

import typer

from aigw.commands.invocation import warn_of_unknown_names

commands = typer.Typer()


@commands.command("control-plane")
def control_plane() -> None:
    """Run a control plane, set up by AIGW_* variables."""
    from aigw.planes import run_control_plane  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same

    warn_of_unknown_names()
    run_until_signalled(run_control_plane)


@commands.command("data-plane")
def data_plane() -> None:
    """Run a data plane, set up by AIGW_* variables."""
    from aigw.planes import run_data_plane  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same

    warn_of_unknown_names()
    run_until_signalled(run_data_plane)
