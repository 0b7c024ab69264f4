"""`aigw db`: the schema of the control plane's database, and its epoch."""

from __future__ import annotations

import typer

from aigw.commands.command_group import CommandGroup
from aigw.commands.invocation import warn_of_unknown_names
from aigw.commands.rest import AsJson

commands = typer.Typer(
    cls=CommandGroup, help="Look after the control plane's database.", no_args_is_help=True
)


@commands.command("upgrade")
def db_upgrade(*, as_json: AsJson = False) -> None:
    """Bring the database of AIGW_DATABASE_URL to the newest schema."""
    from aigw.planes.control_plane import schema_of_database, upgrade_database  # noqa: PLC0415  # by this command alone
    from aigw.rest_client.output import show  # noqa: PLC0415  # same

    warn_of_unknown_names()
    upgrade_database()
    if as_json:
        there, newest = schema_of_database()
        show({"schema": there, "newest": newest}, as_json=True)


@commands.command("current")
def db_current(*, as_json: AsJson = False) -> None:
    """Print the database's schema, and the newest."""
    from aigw.planes.control_plane import schema_of_database  # noqa: PLC0415  # loaded by this command alone
    from aigw.rest_client.output import show  # noqa: PLC0415  # loaded by this command alone

    there, newest = schema_of_database()
    if as_json:
        show({"schema": there, "newest": newest}, as_json=True)
    else:
        typer.echo(f"{there or 'empty'} (newest: {newest})")


@commands.command("check")
def db_check(*, as_json: AsJson = False) -> None:
    """Exit with 1 when the database is older than the newest schema."""
    from aigw.planes.control_plane import schema_can_be_served, schema_of_database  # noqa: PLC0415  # by this command alone
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # same

    there, newest = schema_of_database()
    served = schema_can_be_served()
    if not served:
        found = f"The database is at {there or 'no schema'}, the newest is {newest}. Run: aigw db upgrade"
    elif there != newest:
        found = f"The database is at {there}, which is newer than this program's {newest}, and is served."
    else:
        found = f"The database is at the newest schema, {newest}."
    show_done(found, {"schema": there, "newest": newest, "served": served}, as_json=as_json)
    if not served:
        raise typer.Exit(1)


@commands.command("restored")
def db_restored(*, as_json: AsJson = False) -> None:
    """Report a database restored from a backup: every data plane then takes a fresh snapshot."""
    from aigw.planes.control_plane import begin_epoch  # noqa: PLC0415  # loaded by this command alone
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # same

    warn_of_unknown_names()
    epoch = begin_epoch()
    sentence = f"New epoch {epoch}. Every data plane takes a snapshot within seconds."
    show_done(sentence, {"epoch": epoch}, as_json=as_json)
