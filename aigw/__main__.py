"""The `aigw` command line: its commands and options. What a command does lies in a module of its own.

They are imported by the command that needs them, so that `aigw version` does not load a web framework.
"""

from __future__ import annotations

import shlex
import sys
import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from aigw.failures import EXIT_INTERRUPTED, EXIT_USAGE, EXPECTED, UserError, lines_of
from aigw.ports import DEFAULT_BASE, MAX_BASE

app = typer.Typer(
    help="The run9 AI Gateway: sandboxes call AI providers by one local URL; the org's key stays outside.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config = typer.Typer(help="Look at the settings.", no_args_is_help=True)
app.add_typer(config, name="config")
database = typer.Typer(help="Look after the control plane's database.", no_args_is_help=True)
app.add_typer(database, name="db")

demo = typer.Typer(
    help="The demo beside planes of their own, as in docker-compose.yml.", no_args_is_help=True
)
app.add_typer(demo, name="demo")

CredentialFolder = Annotated[Path, typer.Option(help="Where the demo's credentials are.")]
Endpoint = Annotated[str | None, typer.Option(metavar="URL", help="Its base URL, in place of the demo's.")]
KeyFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A file with its API key.")]


def main() -> None:
    """Run the command line. An expected failure is told in a line and exits with 2, never a traceback."""
    # Authlib announces at import that its httpx client will move; that is news for us, not for users.
    warnings.filterwarnings("ignore", message="The httpx module is deprecated")
    try:
        app()
    except EXPECTED as error:
        for line in lines_of(error):
            sys.stderr.write(f"aigw: {line}\n")
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:  # before the command listens to signals itself
        sys.exit(EXIT_INTERRUPTED)


@app.command()
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
    demo_pace_ms: Annotated[
        int, typer.Option(min=0, max=10_000, help="The demo provider's pause between two words.")
    ] = 60,
    openai_endpoint: Endpoint = None,
    openai_key_file: KeyFile = None,
    anthropic_endpoint: Endpoint = None,
    anthropic_key_file: KeyFile = None,
) -> None:
    """Run the whole gateway on this machine, with a demo org and a demo provider."""
    from aigw.process import run_until_signalled  # noqa: PLC0415  # loaded by this command alone
    from aigw.providers_wanted import Wanted  # noqa: PLC0415  # same
    from aigw.up import UpOptions, run_up  # noqa: PLC0415  # same

    options = UpOptions(
        command=_as_called(),
        data_dir=data_dir,
        ready_file=ready_file,
        port_base=port_base,
        box_port=box_port,
        identity_mode=identity_mode,
        demo_pace_seconds=demo_pace_ms / 1000,
        openai=Wanted.of("openai", openai_endpoint, openai_key_file),
        anthropic=Wanted.of("anthropic", anthropic_endpoint, anthropic_key_file),
    )
    _warn_of_unknown_names()
    run_until_signalled(lambda stop: run_up(options, stop))


@app.command("sign-in-link")
def sign_in_link(
    *,
    data_dir: Annotated[Path, typer.Option(help="The data folder of the running aigw up.")] = Path(".data"),
    member: Annotated[bool, typer.Option("--member", help="For the demo member, not the owner.")] = False,
) -> None:
    """Print a new link that signs you in to the Portal of a running aigw up, once."""
    from aigw.banner import MEMBER, OWNER  # noqa: PLC0415  # loaded by this command alone
    from aigw.sign_in_link import sign_in_link as new_link  # noqa: PLC0415  # same

    typer.echo(new_link(data_dir, MEMBER if member else OWNER))


@app.command("control-plane")
def control_plane() -> None:
    """Run a control plane, set up by AIGW_* variables."""
    from aigw.planes import run_control_plane  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same

    _warn_of_unknown_names()
    run_until_signalled(run_control_plane)


@app.command("data-plane")
def data_plane() -> None:
    """Run a data plane, set up by AIGW_* variables."""
    from aigw.planes import run_data_plane  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same

    _warn_of_unknown_names()
    run_until_signalled(run_data_plane)


@config.command("show")
def config_show() -> None:
    """Print every setting of both planes: its value and where it comes from. Secrets stay hidden."""
    from aigw.config_show import table  # noqa: PLC0415  # loaded by this command alone

    _warn_of_unknown_names()
    text, good = table()
    typer.echo(text)
    if not good:
        raise typer.Exit(EXIT_USAGE)


@database.command("upgrade")
def db_upgrade() -> None:
    """Bring the database of AIGW_DATABASE_URL to the newest schema."""
    from aigw.planes import upgrade_database  # noqa: PLC0415  # loaded by this command alone

    _warn_of_unknown_names()
    upgrade_database()


@database.command("current")
def db_current() -> None:
    """Print the schema that the database is at, and the newest."""
    from aigw.planes import schema_of_database  # noqa: PLC0415  # loaded by this command alone

    there, newest = schema_of_database()
    typer.echo(f"{there or 'empty'} (newest: {newest})")


@database.command("check")
def db_check() -> None:
    """Exit with 1 when the database is not at the newest schema."""
    from aigw.planes import schema_of_database  # noqa: PLC0415  # loaded by this command alone

    there, newest = schema_of_database()
    if there != newest:
        typer.echo(f"The database is at {there or 'no schema'}, the newest is {newest}. Run: aigw db upgrade")
        raise typer.Exit(1)
    typer.echo(f"The database is at the newest schema, {newest}.")


@database.command("restored")
def db_restored() -> None:
    """Say that the database was restored from a backup: every data plane then takes a fresh snapshot."""
    from aigw.planes import begin_epoch  # noqa: PLC0415  # loaded by this command alone

    _warn_of_unknown_names()
    typer.echo(f"New epoch {begin_epoch()}. Every data plane takes a snapshot within seconds.")


@demo.command("prepare")
def demo_prepare(*, folder: CredentialFolder = Path("/run/aigw")) -> None:
    """Make every credential of the demo, once."""
    from aigw.demo import prepare  # noqa: PLC0415  # loaded by this command alone

    typer.echo("Credentials were made." if prepare(folder) else "Credentials are there.")


@demo.command("provider")
def demo_provider(
    *,
    folder: CredentialFolder = Path("/run/aigw"),
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Its port; 0 picks a free one.")] = 0,
    pace_ms: Annotated[int, typer.Option(min=0, max=10_000, help="The pause between two words.")] = 60,
) -> None:
    """Run the demo provider."""
    from aigw.demo import run_provider  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same

    run_until_signalled(lambda stop: run_provider(folder, host, port, pace_ms / 1000, stop))


@demo.command("seed")
def demo_seed(
    *,
    folder: CredentialFolder = Path("/run/aigw"),
    control_plane_url: Annotated[str, typer.Option(metavar="URL", help="Its REST interface.")],
    provider_url: Annotated[str, typer.Option(metavar="URL", help="Where the demo provider is.")],
) -> None:
    """Set the demo org up, and print a link that signs its owner in; by the control plane's variables."""
    import asyncio  # noqa: PLC0415  # loaded by this command alone

    from aigw.demo import seed  # noqa: PLC0415  # same

    typer.echo(asyncio.run(seed(folder, control_plane_url, provider_url)))


@app.command()
def doctor(
    *, plane: Annotated[Literal["control", "data", "both"], typer.Option(help="Whose backends.")] = "both"
) -> None:
    """Check every backend of a plane: reachability, rights, schema, ports. Exits with 1 when one fails."""
    import asyncio  # noqa: PLC0415  # loaded by this command alone

    from aigw.doctor import examine, is_healthy  # noqa: PLC0415  # same

    _warn_of_unknown_names()
    findings = asyncio.run(examine(plane))
    for finding in findings:
        typer.echo(str(finding))
    if not is_healthy(findings):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version, and whether the relay is compiled."""
    core = find_spec("services.data_plane.core.framing")
    compiled = core is not None and str(core.origin).endswith(tuple(EXTENSION_SUFFIXES))
    typer.echo(version_of("run9-ai-gateway") + (" (compiled relay)" if compiled else " (interpreted relay)"))


@app.command()
def openapi() -> None:
    """Print the control plane's OpenAPI document."""
    from services.control_plane.app import openapi_text  # noqa: PLC0415  # loaded by this command alone

    typer.echo(openapi_text(), nl=False)


@app.command("box-token")
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


def _as_called() -> str:
    """Give the shell words that start this program again, wherever it is installed."""
    program = Path(sys.argv[0])
    return shlex.quote(str(program)) if program.name == "aigw" else f"{shlex.quote(sys.executable)} -m aigw"


def _warn_of_unknown_names() -> None:
    from aigw.config_show import SETTINGS  # noqa: PLC0415  # the settings of both planes load pydantic
    from shared.settings_base import unknown_names  # noqa: PLC0415  # same

    for sentence in unknown_names(SETTINGS.values()):
        sys.stderr.write(f"aigw: {sentence}\n")


if __name__ == "__main__":
    main()
