"""`aigw up` and `aigw sign-in-link`: the whole gateway in one process on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from aigw.commands.invocation import as_called, warn_of_unknown_names
from aigw.commands.provider_options import ProviderOptions, with_provider_options
from aigw.commands.rest import AsJson
from aigw.embedded.ports import DEFAULT_BASE, MAX_BASE

commands = typer.Typer()


@commands.command()
@with_provider_options
def up(
    *,
    data_dir: Annotated[Path, typer.Option(help="Where the database, secrets and keys are kept.")] = Path(
        ".data"
    ),
    ready_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Written when everything serves: URLs and tokens, as JSON."),
    ] = None,
    port_base: Annotated[
        int, typer.Option(min=0, max=MAX_BASE, help="The first of five ports; 0 takes free ones.")
    ] = DEFAULT_BASE,
    box_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="The port that boxes call, if not the first.")
    ] = None,
    identity_mode: Annotated[
        Literal["static", "header"],
        typer.Option(help="static: every caller is org demo. header: callers show a box token."),
    ] = "static",
    preface_socket: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A Unix socket for a node agent's connections, in header mode."),
    ] = None,
    demo_pace_ms: Annotated[
        int, typer.Option(min=0, max=10_000, help="The demo provider's pause between two words.")
    ] = 60,
    providers: tuple[ProviderOptions, ...],
) -> None:
    """Run the whole gateway on this machine, with a demo org and a demo provider."""
    from aigw.embedded.providers_wanted import Wanted  # noqa: PLC0415  # same
    from aigw.embedded.up import UpOptions, run_up  # noqa: PLC0415  # same
    from aigw.process import run_until_signalled  # noqa: PLC0415  # loaded by this command alone

    wanted = [Wanted.of(one.provider, one.endpoint, one.key_file) for one in providers]
    options = UpOptions(
        command=as_called(),
        data_dir=data_dir,
        ready_file=ready_file,
        port_base=port_base,
        box_port=box_port,
        identity_mode=identity_mode,
        preface_socket=preface_socket,
        demo_pace_seconds=demo_pace_ms / 1000,
        wanted=tuple(one for one in wanted if one is not None),
    )
    warn_of_unknown_names()
    run_until_signalled(lambda stop: run_up(options, stop))


@commands.command("sign-in-link")
def sign_in_link(
    *,
    data_dir: Annotated[Path, typer.Option(help="The data folder of the running aigw up.")] = Path(".data"),
    member: Annotated[bool, typer.Option("--member", help="For the demo member, not the owner.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a new link for signing in to the Portal of a running aigw up, once."""
    from aigw.embedded.banner import MEMBER, OWNER  # noqa: PLC0415  # loaded by this command alone
    from aigw.embedded.sign_in_link import sign_in_link as new_link  # noqa: PLC0415  # same
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # same

    link = new_link(data_dir, MEMBER if member else OWNER)
    show_done(link, {"link": link}, as_json=as_json)
