"""`aigw box-token`: the identity of a box, for curl and for a trusted proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aigw.failures import UserError

commands = typer.Typer()


@commands.command("box-token")
def box_token(
    *,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The node's private key.")] = None,
    kid: Annotated[str, typer.Option(help="The key's id, as registered by PUT /api/v1/nodes/{node}.")] = "",
    org: Annotated[str, typer.Option(help="The box's org.")] = "",
    box: Annotated[str, typer.Option(help="The box.")] = "",
    lifecycle: Annotated[str, typer.Option(help="The life of the box's slot.")] = "1",
    life_seconds: Annotated[int, typer.Option(help="How long the token is valid, at most 300.")] = 300,
    new_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Make a node key here instead, and print its public half."),
    ] = None,
) -> None:
    """Print a token that proves which box is calling, for the X-Run9-Box-Token header."""
    from aigw.node_key import NodeKey  # noqa: PLC0415  # loaded by this command alone
    from shared.clock import unix_now  # noqa: PLC0415  # same

    if new_key_file is not None:
        typer.echo(NodeKey.create(new_key_file).public_text)
        return
    wanting = [
        option
        for option, value in (("--key-file", key_file), ("--kid", kid), ("--org", org), ("--box", box))
        if not value
    ]
    if key_file is None or wanting:
        raise UserError(f"A box token needs {', '.join(wanting)}.")
    key = NodeKey.read(key_file)
    typer.echo(
        key.mint(kid, box=box, org=org, lifecycle=lifecycle, now=unix_now(), life_seconds=life_seconds)
    )
