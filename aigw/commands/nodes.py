"""`aigw node`: the nodes whose keys sign box tokens, by the REST API and with the platform's token."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from aigw.commands.command_group import CommandGroup
from aigw.commands.rest import AsJson, api_session, confirm
from aigw.failures import UserError

commands = typer.Typer(
    cls=CommandGroup,
    help="The nodes whose keys sign box tokens: list, show, put, remove.",
    no_args_is_help=True,
)

Node = Annotated[str, typer.Argument(help="The platform's id of the node.", metavar="NODE")]


@commands.command("list")
def node_list(*, as_json: AsJson = False) -> None:
    """List the nodes with the ids of their keys."""
    from aigw.rest_client.output import show_table  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        nodes = api.call("GET", "/nodes")[0]["nodes"]
    rows = nodes if as_json else [{**node, "keys": [key["kid"] for key in node["keys"]]} for node in nodes]
    show_table(rows, ["node", "keys"], as_json=as_json)


@commands.command("show")
def node_show(node: Node, *, as_json: AsJson = False) -> None:
    """Show a node's keys: their ids and public halves."""
    from aigw.rest_client.output import show, show_table  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        found = api.call("GET", _path(node))[0]
    if as_json:
        show(found, as_json=True)
    else:
        show_table(found["keys"], ["kid", "public_key"], as_json=False)


@commands.command("put")
def node_put(
    node: Node,
    *,
    key: Annotated[
        list[str],
        typer.Option(
            metavar="KID=PUBLIC_KEY",
            help="A key's id and the line that aigw node-key new printed; once for each of up to 8 keys.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Register a node's keys, or replace all of them: a key that is left out is refused from then on."""
    from aigw.rest_client.output import show  # noqa: PLC0415  # loaded by this command alone

    body = {"keys": [_key(text) for text in key]}
    with api_session() as api:
        show(api.call("PUT", _path(node), body)[0], as_json=as_json)


@commands.command("remove")
def node_remove(
    node: Node,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a node: its tokens are refused, and the running requests of its boxes are aborted."""
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # loaded by this command alone

    confirm(f"Refuse every box of {node} and abort the running requests of these boxes?", yes=yes)
    with api_session() as api:
        api.call("DELETE", _path(node))
    show_done(f"{node} is removed.", {"node": node, "removed": True}, as_json=as_json)


def _key(text: str) -> dict[str, str]:
    kid, separator, public_key = text.partition("=")
    if not (kid and separator and public_key):
        raise UserError("--key needs the form KID=PUBLIC_KEY, such as node-1-2026=nYb6….")
    return {"kid": kid, "public_key": public_key}


def _path(node: str) -> str:
    return f"/nodes/{quote(node, safe='')}"
