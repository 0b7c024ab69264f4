"""`aigw org` and `aigw member`: the provisioning done by the platform, by the REST API."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import typer

from aigw.commands.command_group import CommandGroup
from aigw.commands.rest import AsJson, Org, api_session, confirm

org = typer.Typer(cls=CommandGroup, help="Organizations: list, show, put, remove.", no_args_is_help=True)
member = typer.Typer(cls=CommandGroup, help="The people of an organization.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The person's address.", metavar="EMAIL")]


@org.command("list")
def org_list(*, as_json: AsJson = False) -> None:
    """List the organizations of the token's person."""
    from aigw.rest_client.output import show_table  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        show_table(api.items("/orgs"), ["org", "name", "role"], as_json=as_json)


@org.command("show")
def org_show(org_id: Org, *, as_json: AsJson = False) -> None:
    """Show an organization."""
    from aigw.rest_client.output import show  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        show(api.call("GET", f"/orgs/{quote(org_id, safe='')}")[0], as_json=as_json)


@org.command("put")
def org_put(
    org_id: Org,
    *,
    name: Annotated[str, typer.Option(help="What people see.")],
    as_json: AsJson = False,
) -> None:
    """Make an organization, or rename it."""
    from aigw.rest_client.output import show  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        show(api.call("PUT", f"/orgs/{quote(org_id, safe='')}", {"name": name})[0], as_json=as_json)


@org.command("remove")
def org_remove(
    org_id: Org,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove an organization with its members; its keys are destroyed."""
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # loaded by this command alone

    confirm(f"Remove {org_id} and destroy its keys?", yes=yes)
    with api_session() as api:
        api.call("DELETE", f"/orgs/{quote(org_id, safe='')}")
    show_done(f"{org_id} is removed.", {"org": org_id, "removed": True}, as_json=as_json)


@member.command("list")
def member_list(org_id: Org, *, as_json: AsJson = False) -> None:
    """List the people of an organization."""
    from aigw.rest_client.output import show_table  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        path = f"/orgs/{quote(org_id, safe='')}/members"
        show_table(api.items(path), ["email", "role"], as_json=as_json)


@member.command("put")
def member_put(
    org_id: Org,
    email: Email,
    *,
    role: Annotated[Literal["owner", "member"], typer.Option(help="What the person may do.")] = "member",
    as_json: AsJson = False,
) -> None:
    """Give a person a role in an organization."""
    from aigw.rest_client.output import show  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        show(api.call("PUT", _member(org_id, email), {"role": role})[0], as_json=as_json)


@member.command("remove")
def member_remove(org_id: Org, email: Email, *, as_json: AsJson = False) -> None:
    """Take a person out of an organization."""
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        api.call("DELETE", _member(org_id, email))
    outcome = {"org": org_id, "email": email, "removed": True}
    show_done(f"{email} is no longer in {org_id}.", outcome, as_json=as_json)


@member.command("sign-out")
def member_sign_out(
    email: Email,
    *,
    org_id: Annotated[
        str | None,
        typer.Option("--org", help="As an owner of this organization; left out: by the platform's token."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End every Portal session of a person."""
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # loaded by this command alone

    path = f"/people/{quote(email, safe='')}" if org_id is None else _member(org_id, email)
    with api_session() as api:
        ended = api.call("DELETE", f"{path}/sessions")[0]["ended"]
    sentence = f"{email} is signed out ({ended} {'session' if ended == 1 else 'sessions'} ended)."
    show_done(sentence, {"email": email, "ended": ended}, as_json=as_json)


def _member(org_id: str, email: str) -> str:
    return f"/orgs/{quote(org_id, safe='')}/members/{quote(email, safe='')}"
