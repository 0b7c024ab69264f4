"""The banner of `aigw up`, printed when everything serves: the warning, the links, and lines to paste.

Pure text.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from shared.providers import PROVIDERS, with_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aigw.embedded.ready_file import Ready
    from shared.providers import Provider

OWNER: Final = "owner@demo.example"
MEMBER: Final = "member@demo.example"
_WIDTH: Final = 100
_LINE_END: Final = re.compile(r"(?: \\)?\n *")


def banner(ready: Ready, notes: Iterable[str], command: str) -> str:
    """Write the whole banner: the first steps, then everything else.

    `notes` describe the endpoint behind each provider; `command` is how this shell calls `aigw`.
    """
    first = [*_warning(), "", *_first_steps(ready, command), ""]
    return "\n".join(["", *first, *_links(ready, command), *notes, "", *_try_it(ready), ""])


def _warning() -> Iterator[str]:
    yield "=" * _WIDTH
    yield "run9 AI Gateway, EMBEDDED: for trying out on this machine only, never for production."
    yield "Loopback only. Any program on this machine may use the keys stored here."
    yield "Plain-http and loopback endpoints are allowed."
    yield "=" * _WIDTH


def _first_steps(ready: Ready, command: str) -> Iterator[str]:
    yield "1. Open the Portal. This link signs you in as the owner, once, within 30 minutes:"
    yield f"   {ready.portal_sign_in_url}"
    yield "2. Watch an answer stream, from another terminal:"
    for row, base_url in _rows(ready):
        yield f"   {curl_line(row, base_url, ready, command)}"


def _links(ready: Ready, command: str) -> Iterator[str]:
    yield f"Another link   {command} sign-in-link{_data_dir(ready)}"
    yield f"REST API       {ready.control_plane_url}/api/v1"
    yield f"Health         {ready.admin_url}/readyz"
    yield f"Org            {ready.org}, owner {OWNER}, member {MEMBER}"
    if ready.ready_file:
        yield f"Tokens, URLs   {ready.ready_file}, readable by you alone"


def _data_dir(ready: Ready) -> str:
    return f" --data-dir {shlex.quote(ready.data_dir)}" if ready.data_dir else ""


def _try_it(ready: Ready) -> Iterator[str]:
    yield "Point a program at it:"
    for row, base_url in _rows(ready):
        # Of more variables than the first two `setup.sh` takes care.
        pairs = (f"{name}={with_addresses(value, base_url)}" for name, value in row.environment[:2])
        yield f"export {' '.join(pairs)}"
    if ready.node_key_file:
        yield "Header mode: each request also needs an X-Run9-Box-Token, as in step 2."
    yield ""
    yield "Ctrl-C stops it."


def curl_line(row: Provider, base_url: str, ready: Ready, command: str) -> str:
    """Write the command for streaming an answer of a provider through the gateway, in one line."""
    identity = f' -H "X-Run9-Box-Token: $({_token_line(ready, command)})"' if ready.node_key_file else ""
    lines = next(snippet.code for snippet in row.snippets if snippet.id == "curl")
    return " ".join(_LINE_END.split(with_addresses(lines, base_url))) + identity


def _rows(ready: Ready) -> Iterator[tuple[Provider, str]]:
    """Give the offered providers in the order of the offer, each with its base URL."""
    rows: dict[str, Provider] = {row.name: row for row in PROVIDERS.values()}
    return ((rows[name], base_url) for name, base_url in ready.base_urls.items())


def _token_line(ready: Ready, command: str) -> str:
    key_file = shlex.quote(ready.node_key_file or "")
    return f"{command} box-token --key-file {key_file} --kid {ready.node_kid} --org {ready.org} --box box-1"
