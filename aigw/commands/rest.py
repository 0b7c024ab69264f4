"""The shared parts of the commands of the REST API: session, options, and reading a key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aigw.failures import UserError

if TYPE_CHECKING:
    from aigw.rest_client.session import ApiSession

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Org = Annotated[str, typer.Argument(help="The organization's id.", metavar="ORG")]


def api_session() -> ApiSession:
    """Open a session by `AIGW_API_URL` and `AIGW_API_TOKEN`; raises `UserError` without a token."""
    from aigw.rest_client.session import ApiSession  # noqa: PLC0415  # loaded by these commands alone
    from aigw.rest_client.settings import ClientSettings  # noqa: PLC0415  # same

    settings = ClientSettings()
    return ApiSession(settings.api_url, settings.api_token)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed; a `no` ends the program. `yes`: the caller has said so already."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def read_key(key_file: Path | None) -> str:
    """Read a key from a file, or from standard input; never from the command line, which others can see."""
    if key_file is None:
        key = typer.get_text_stream("stdin").read()
    else:
        try:
            key = key_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"The key file {key_file} cannot be read ({type(error).__name__}).") from None
    if not key.strip():
        raise UserError("There is no key: the file or the standard input is empty.")
    return key.strip()
