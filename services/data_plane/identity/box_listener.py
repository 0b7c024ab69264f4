"""The addresses of boxes' connections, and each listener's single mode of identity.

Written as a URL: `proxy-tlv+tls://0.0.0.0:1001`, `header+tcp://127.0.0.1:1000`,
`proxy-tlv+unix:///run/aigw/boxes.sock?mode=0660`. Parsing only; sockets are opened elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args
from urllib.parse import parse_qsl, urlsplit

IdentityMode = Literal["proxy-tlv", "header", "static"]
Transport = Literal["tcp", "tls", "unix"]
MODES: Final = get_args(IdentityMode)
TRANSPORTS: Final = get_args(Transport)
SOCKET_PERMISSIONS: Final = 0o660
MAX_SOCKET_PATH_BYTES: Final = 107
"""Linux's limit (unix(7)): 108 with the NUL at the end."""

_PERMISSIONS: Final = re.compile(r"0?[0-7]{3}")


@dataclass(frozen=True, slots=True)
class BoxListener:
    """A listener.

    Attributes:
        mode: how a box is told.
        transport: `tls` and `tcp` have `host` and `port`, `unix` has `path`.
        host, port: the address; port 0 picks a free port.
        path: of its socket; absolute.
        permissions: of the socket's file.
    """

    mode: IdentityMode
    transport: Transport
    host: str = ""
    port: int = 0
    path: str = ""
    permissions: int = SOCKET_PERMISSIONS

    def __str__(self) -> str:
        if self.transport == "unix":
            return f"{self.mode}+unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.mode}+{self.transport}://{host}:{self.port}"


def parse_box_listener(text: str) -> BoxListener:
    """Read a listener's URL; raises `ValueError` with the mistake."""
    url = urlsplit(text)
    mode, plus, transport = url.scheme.partition("+")
    if not plus or mode not in MODES or transport not in TRANSPORTS:
        raise ValueError(
            f"a box listener is MODE+TRANSPORT://…, with a mode of {', '.join(MODES)} and a transport of "
            f"{', '.join(TRANSPORTS)}, e.g. proxy-tlv+tcp://0.0.0.0:1001"
        )
    known_mode, known_transport = cast("IdentityMode", mode), cast("Transport", transport)
    if url.username is not None or url.fragment:
        raise ValueError("a box listener has no user and no fragment")
    if known_transport == "unix":
        return BoxListener(
            known_mode, "unix", path=_path(url.netloc, url.path), permissions=_mode_of(url.query)
        )
    if url.path not in {"", "/"} or url.query:
        raise ValueError("a box listener on an address has no path and no parameters")
    return BoxListener(known_mode, known_transport, *_address(url.netloc))


def _address(netloc: str) -> tuple[str, int]:
    try:
        url = urlsplit(f"//{netloc}")
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise ValueError("a box listener on an address needs a host and a port, e.g. 127.0.0.1:1000")
    return host, port


def _path(netloc: str, path: str) -> str:
    if netloc or len(path) <= 1:
        raise ValueError(
            "a box listener on a unix socket needs an absolute path, e.g. unix:///run/aigw/boxes.sock"
        )
    if len(path.encode()) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"a socket's path has at most {MAX_SOCKET_PATH_BYTES} bytes")
    return path


def _mode_of(query: str) -> int:
    parameters = parse_qsl(query, keep_blank_values=True)
    match parameters:
        case []:
            return SOCKET_PERMISSIONS
        case [("mode", value)] if _PERMISSIONS.fullmatch(value):
            return int(value, 8)
        case _:
            raise ValueError("a unix socket takes one parameter, mode=0660 or another octal number")
