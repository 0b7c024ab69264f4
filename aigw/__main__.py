"""The `aigw` command line: its groups of commands, and how an expected failure is told.

The commands and their options are in `aigw.commands`. A command imports its work when run, so `aigw version`
does not load a web framework.
"""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, ClassVar

import typer

from aigw.commands import (
    about,
    agent,
    boxes,
    config,
    database,
    demo,
    doctor,
    embedded,
    integrations,
    nodes,
    orgs,
    planes,
)
from aigw.commands.command_group import CommandGroup
from aigw.failures import EXIT_INTERRUPTED, EXIT_USAGE, EXPECTED, lines_of


class Commands(CommandGroup):
    """The list in `aigw -h`."""

    sections: ClassVar = {
        "Try out": ["up", "sign-in-link", "demo"],
        "Run": ["control-plane", "data-plane", "node-agent", "box-pipe"],
        "Check and maintain": ["doctor", "config", "db", "version", "openapi"],
        "Provision (by the REST API of AIGW_API_URL)": ["org", "member", "integration", "node"],
        "Identity of boxes": ["node-key", "box-token"],
    }


app = typer.Typer(
    cls=Commands,
    help="The run9 AI Gateway: sandboxes call AI providers by one local URL; the org's key stays outside.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(embedded.commands)
app.add_typer(planes.commands)
app.add_typer(doctor.commands)
app.add_typer(boxes.commands)
app.add_typer(agent.commands)
app.add_typer(about.commands)
app.add_typer(orgs.org, name="org")
app.add_typer(orgs.member, name="member")
app.add_typer(integrations.commands, name="integration")
app.add_typer(nodes.commands, name="node")
app.add_typer(config.commands, name="config")
app.add_typer(database.commands, name="db")
app.add_typer(demo.commands, name="demo")


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=about.print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Sandboxes call AI providers by one local URL; the org's key stays outside."""


def main() -> None:
    """Run the command line. An expected failure is told in a line and exits with 2, never a traceback."""
    # Authlib announces at import that its httpx client will move; that is news for us, not for users.
    warnings.filterwarnings("ignore", message="The httpx module is deprecated")
    try:
        app()
    except EXPECTED as error:
        for line in lines_of(error):
            sys.stderr.write(f"aigw: {line}\n")
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:  # before the command listens to signals itself
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
