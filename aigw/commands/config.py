"""`aigw config`: the settings of both planes."""

from __future__ import annotations

import typer

from aigw.commands.invocation import warn_of_unknown_names
from aigw.failures import EXIT_USAGE

commands = typer.Typer(help="Look at the settings.", no_args_is_help=True)


@commands.command("show")
def config_show() -> None:
    """Print every setting of both planes: its value and its source. Secrets stay hidden."""
    from aigw.config_show import table  # noqa: PLC0415  # loaded by this command alone

    warn_of_unknown_names()
    text, good = table()
    typer.echo(text)
    if not good:
        raise typer.Exit(EXIT_USAGE)
