"""`aigw doctor`: a check of every backend of a plane."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from aigw.commands.invocation import warn_of_unknown_names
from aigw.commands.rest import AsJson

commands = typer.Typer()


@commands.command()
def doctor(
    *,
    plane: Annotated[Literal["control", "data", "both"], typer.Option(help="Whose backends.")] = "both",
    as_json: AsJson = False,
) -> None:
    """Check every backend of a plane: reachability, rights, schema, ports. Exits with 1 on a failed check."""
    import asyncio  # noqa: PLC0415  # loaded by this command alone
    from dataclasses import asdict  # noqa: PLC0415  # same

    from aigw.doctor.examine import examine, is_healthy  # noqa: PLC0415  # same
    from aigw.rest_client.output import show  # noqa: PLC0415  # same

    warn_of_unknown_names()
    findings = asyncio.run(examine(plane))
    if as_json:
        show([asdict(finding) for finding in findings], as_json=True)
    else:
        for finding in findings:
            typer.echo(str(finding))
    if not is_healthy(findings):
        raise typer.Exit(1)
