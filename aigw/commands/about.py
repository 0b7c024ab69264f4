"""`aigw version` and `aigw openapi`: facts about the program itself."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version as version_of
from importlib.util import find_spec
from typing import Final, Literal

import typer

from aigw.commands.rest import AsJson

PACKAGE: Final = "run9-ai-gateway"

commands = typer.Typer()


@commands.command()
def version(*, as_json: AsJson = False) -> None:
    """Print the version, and whether the relay is compiled."""
    if as_json:
        from aigw.rest_client.output import show  # noqa: PLC0415  # loaded by this command alone

        show({"version": version_of(PACKAGE), "relay": _relay()}, as_json=True)
    else:
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
    typer.echo(f"{version_of(PACKAGE)} ({_relay()} relay)")
    raise typer.Exit


def _relay() -> Literal["compiled", "interpreted"]:
    core = find_spec("services.data_plane.core.framing")
    compiled = core is not None and str(core.origin).endswith(tuple(EXTENSION_SUFFIXES))
    return "compiled" if compiled else "interpreted"
