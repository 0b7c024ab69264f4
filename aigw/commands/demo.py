"""`aigw demo`: the demo org and provider beside planes of their own, as in docker-compose.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aigw.commands.command_group import CommandGroup

commands = typer.Typer(
    cls=CommandGroup,
    help="The demo beside planes of their own, as in docker-compose.yml.",
    no_args_is_help=True,
)

CredentialFolder = Annotated[Path, typer.Option(help="Where the demo's credentials are.")]


@commands.command("prepare")
def demo_prepare(*, folder: CredentialFolder = Path("/run/aigw")) -> None:
    """Make every credential of the demo, once."""
    from aigw.demo.compose import prepare  # noqa: PLC0415  # loaded by this command alone

    typer.echo("Credentials were made." if prepare(folder) else "Credentials are there.")


@commands.command("provider")
def demo_provider(
    *,
    folder: CredentialFolder = Path("/run/aigw"),
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Its port; 0 picks a free one.")] = 0,
    pace_ms: Annotated[int, typer.Option(min=0, max=10_000, help="The pause between two words.")] = 60,
) -> None:
    """Run the demo provider."""
    from aigw.demo.compose import run_provider  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same

    run_until_signalled(lambda stop: run_provider(folder, host, port, pace_ms / 1000, stop))


@commands.command("seed")
def demo_seed(
    *,
    folder: CredentialFolder = Path("/run/aigw"),
    control_plane_url: Annotated[str, typer.Option(metavar="URL", help="Its REST interface.")],
    provider_url: Annotated[str, typer.Option(metavar="URL", help="Where the demo provider is.")],
) -> None:
    """Set the demo org up, and print a sign-in link for its owner; by the control plane's variables."""
    import asyncio  # noqa: PLC0415  # loaded by this command alone

    from aigw.demo.compose import seed  # noqa: PLC0415  # same

    typer.echo(asyncio.run(seed(folder, control_plane_url, provider_url)))
