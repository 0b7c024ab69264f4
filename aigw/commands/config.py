"""`aigw config`: the settings of both planes."""

from __future__ import annotations

import typer

from aigw.commands.command_group import CommandGroup
from aigw.commands.invocation import warn_of_unknown_names
from aigw.commands.rest import AsJson
from aigw.failures import EXIT_USAGE

commands = typer.Typer(cls=CommandGroup, help="Look at the settings.", no_args_is_help=True)


@commands.command("show")
def config_show(*, as_json: AsJson = False) -> None:
    """Print every setting of both planes: its value and its source. Secrets stay hidden."""
    from aigw.config_show import settings_of_planes, table  # noqa: PLC0415  # loaded by this command alone
    from aigw.rest_client.output import show  # noqa: PLC0415  # same

    warn_of_unknown_names()
    planes = settings_of_planes()
    if as_json:
        show([plane.as_json() for plane in planes], as_json=True)
    else:
        typer.echo(table(planes))
    if any(plane.faults for plane in planes):
        raise typer.Exit(EXIT_USAGE)
