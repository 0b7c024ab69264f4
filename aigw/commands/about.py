"""`aigw version` and `aigw openapi`: facts about the program itself."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version as version_of
from importlib.util import find_spec

import typer

commands = typer.Typer()


@commands.command()
def version() -> None:
    """Print the version, and whether the relay is compiled."""
    print_version(asked=True)


@commands.command()
def openapi() -> None:
    """Print the control plane's OpenAPI document."""
    from services.control_plane.app import openapi_text  # noqa: PLC0415  # loaded by this command alone

    typer.echo(openapi_text(), nl=False)


def print_version(*, asked: bool) -> None:
    """Print the version and end the program where `--version` was given."""
    if not asked:
        return
    core = find_spec("services.data_plane.core.framing")
    compiled = core is not None and str(core.origin).endswith(tuple(EXTENSION_SUFFIXES))
    typer.echo(version_of("run9-ai-gateway") + (" (compiled relay)" if compiled else " (interpreted relay)"))
    raise typer.Exit
