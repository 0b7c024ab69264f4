"""`aigw node-key` and `aigw box-token`: the signing key of a node, and the identity of a box for curl."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aigw.commands.command_group import CommandGroup
from aigw.commands.rest import AsJson
from aigw.failures import UserError

commands = typer.Typer()
node_key = typer.Typer(cls=CommandGroup, help="Look after a node's signing key.", no_args_is_help=True)
commands.add_typer(node_key, name="node-key")

_ABOUT_NEW_KEY = "Make a node key here instead, and print its public half: as node-key new does."


@node_key.command("new")
def node_key_new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes, with mode 0600.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a node's signing key, and print its public half in the form of PUT /api/v1/nodes/{node}."""
    from aigw.node_key import NodeKey  # noqa: PLC0415  # loaded by this command alone

    _show_public_half(NodeKey.create(file).public_text, as_json=as_json)


@node_key.command("show")
def node_key_show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Print the public half of a node's signing key."""
    from aigw.node_key import NodeKey  # noqa: PLC0415  # loaded by this command alone

    _show_public_half(NodeKey.read(file).public_text, as_json=as_json)


def _show_public_half(text: str, *, as_json: bool) -> None:
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # loaded by these commands alone

    show_done(text, {"public_key": text}, as_json=as_json)


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
        typer.Option(metavar="FILE", help=_ABOUT_NEW_KEY),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a token for the identity of a box, for X-Run9-Box-Token or a preface."""
    from aigw.node_key import NodeKey  # noqa: PLC0415  # loaded by this command alone
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # same
    from shared.clock import unix_now  # noqa: PLC0415  # same

    if new_key_file is not None:
        _show_public_half(NodeKey.create(new_key_file).public_text, as_json=as_json)
        return
    wanting = [
        option
        for option, value in (("--key-file", key_file), ("--kid", kid), ("--org", org), ("--box", box))
        if not value
    ]
    if key_file is None or wanting:
        raise UserError(f"A box token needs {', '.join(wanting)}.")
    key, now = NodeKey.read(key_file), unix_now()
    token = key.mint(kid, box=box, org=org, lifecycle=lifecycle, now=now, life_seconds=life_seconds)
    show_done(token, {"token": token, "valid_seconds": life_seconds}, as_json=as_json)
