"""The shared parts of the commands of the REST API: session, options, and reading a key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from aigw.failures import UserError

if TYPE_CHECKING:
    from aigw.rest_client.session import ApiSession

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Org = Annotated[str, typer.Argument(help="The organization's id.", metavar="ORG")]
_KEY_BYTES: Final = 65536
"""Nothing larger is a key; a device such as /dev/zero would never end."""


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
    """Read a key from a file, or from standard input; never from the command line, which others can see.

    A byte order mark and white space around the key, as editors leave them, are no part of it.
    """
    source = "the standard input" if key_file is None else f"the key file {key_file}"
    try:
        if key_file is None:
            content = typer.get_binary_stream("stdin").read(_KEY_BYTES + 1)
        else:
            with key_file.open("rb") as file:
                content = file.read(_KEY_BYTES + 1)
        key = content.decode("utf-8-sig").strip()
    except (OSError, RuntimeError, UnicodeDecodeError) as error:  # RuntimeError: the standard input is closed
        raise UserError(f"No key can be read from {source} ({type(error).__name__}).") from None
    if len(content) > _KEY_BYTES:
        raise UserError(f"No key can be read from {source}: it is larger than {_KEY_BYTES} bytes.")
    if not key:
        raise UserError("There is no key: the file or the standard input is empty.")
    return key
