"""A URL in a form fit for a report: its destination, and no credential, even if the URL is malformed.

Parameters are shown by an allow-list, because each driver has names of its own for a password.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

HIDDEN: Final = "(hidden)"
SHOWN_PARAMETERS: Final = frozenset(
    {
        "application_name",
        "auth",
        "auth_mount",
        "ca_file",
        "connect_timeout",
        "credential_file",
        "dbname",
        "gssencmode",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "port",
        "role",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "target_session_attrs",
        "tcp_user_timeout",
        "tls",
        "user",
    }
)
"""The parameters of the gateway's URLs whose values are places, names and numbers."""

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?:(?P<user>[A-Za-z0-9._%+-]*)(?P<password>:[^?#]*)?@)?"
    r"(?P<hosts>[A-Za-z0-9._-]*(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?|[A-Za-z0-9._-]+(?::[0-9]+)?(?:,[A-Za-z0-9._-]+(?::[0-9]+)?)+)"
    r"(?P<path>/[^?#@;&=]*)?(?:\?(?P<query>[^?#@]*))?"
)
"""For a parser, a raw `@`, `/`, `?` or `#` in a password ends the password early.

Here the last `@` is the end.
"""
_START: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WEB_SCHEMES: Final = ("http://", "https://")
# Some drivers separate parameters by a semicolon.
_PARAMETER: Final = re.compile(r"(?P<name>[^=&;]+)(?:=(?P<value>[^&;]*))?")


def redacted(text: str) -> str:
    """Give `text` unchanged, or with every possible credential hidden."""
    start = _START.match(text.lstrip())
    if start is None:
        return text
    url = _URL.fullmatch(text.strip())
    if url is None:
        return f"{start[0]}{HIDDEN}"
    query = "" if url["query"] is None else f"?{_PARAMETER.sub(_parameter, url['query'])}"
    return f"{url['scheme']}{_user(url)}{url['hosts']}{url['path'] or ''}{query}"


def _user(url: re.Match[str]) -> str:
    """Give the user's part; a user name alone is shown, except in web URLs, where the name may be a token."""
    if url["user"] is None:
        return ""
    if url["scheme"].lower() in _WEB_SCHEMES:
        return f"{HIDDEN}@"
    return f"{url['user']}:{HIDDEN}@" if url["password"] else f"{url['user']}@"


def _parameter(found: re.Match[str]) -> str:
    name = unquote_plus(found["name"]).strip().lower()
    if name in SHOWN_PARAMETERS:
        return found[0]
    return HIDDEN if found["value"] is None else f"{found['name']}={HIDDEN}"
