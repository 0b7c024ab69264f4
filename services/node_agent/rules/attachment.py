"""Attachments: which box of which org listens where. Reading and writing their JSON documents, purely.

The platform asks for an attachment with `PUT /v1/boxes/{box}`, and the agent keeps it on disk.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final

MAX_PATH_BYTES: Final = 107
"""`sun_path` has 108 bytes, the last of which is NUL."""

MAX_NAMESPACE_CHARS: Final = 255
DEFAULT_SOCKET_MODE: Final = 0o660
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
_MODE: Final = re.compile(r"0?[0-7]{3}")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_MAX_PORT: Final = 65_535


class AttachmentError(ValueError):
    """The document describes no attachment. `pointer` is the JSON pointer (RFC 6901) of the fault."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address, in its shortest text, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NamespaceListen:
    """A TCP listener inside a network namespace, given by its name (as in `ip netns`) or a path."""

    netns: str
    address: Address


@dataclass(frozen=True, slots=True)
class AddressListen:
    """A TCP listener in the agent's own network namespace."""

    address: Address


@dataclass(frozen=True, slots=True)
class UnixListen:
    """A Unix socket and the permission bits of its file."""

    path: str
    mode: int


Listen = NamespaceListen | AddressListen | UnixListen


@dataclass(frozen=True, slots=True)
class Attachment:
    """A single life of a box, its org, and the place where its connections arrive."""

    box: str
    org: str
    lifecycle_id: str
    listen: Listen


def is_box_id(text: str) -> bool:
    """Whether the text may name a box, an org or a life: the form allowed in tokens."""
    return _ID.fullmatch(text) is not None


def read_attachment(box: str, document: Any) -> Attachment:
    """Read the body of a `PUT`; raises `AttachmentError`."""
    if not is_box_id(box):
        raise AttachmentError(
            "", "A box id has 1 to 128 letters, digits and ._:@- and starts with the first two."
        )
    fields = _fields(document, "", required={"org", "lifecycle_id", "listen"})
    for name in ("org", "lifecycle_id"):
        if not isinstance(fields[name], str) or not is_box_id(fields[name]):
            raise AttachmentError(f"/{name}", "This is no id: 1 to 128 letters, digits and ._:@- are.")
    return Attachment(box, fields["org"], fields["lifecycle_id"], read_listen(fields["listen"]))


def write_attachment(attachment: Attachment) -> dict[str, Any]:
    """Write the document read by `read_attachment`; the box's id stands outside."""
    return {
        "org": attachment.org,
        "lifecycle_id": attachment.lifecycle_id,
        "listen": write_listen(attachment.listen),
    }


def read_listen(document: Any) -> Listen:
    """Read any of the three kinds of listeners; raises `AttachmentError`."""
    kind = document.keys() & {"netns", "unix"} if isinstance(document, dict) else set()
    if kind == {"netns"}:
        fields = _fields(document, "/listen", required={"netns", "address"})
        return NamespaceListen(_namespace(fields["netns"]), _address(fields["address"]))
    if kind == {"unix"}:
        fields = _fields(document, "/listen", required={"unix"}, optional={"mode"})
        return UnixListen(_path(fields["unix"]), _mode(fields.get("mode")))
    fields = _fields(document, "/listen", required={"address"})
    return AddressListen(_address(fields["address"]))


def write_listen(listen: Listen) -> dict[str, str]:
    """Write the document read by `read_listen`."""
    match listen:
        case NamespaceListen(netns, address):
            return {"netns": netns, "address": str(address)}
        case AddressListen(address):
            return {"address": str(address)}
        case UnixListen(path, mode):
            return {"unix": path, "mode": f"{mode:04o}"}


def _fields(
    document: Any, pointer: str, *, required: set[str], optional: set[str] | None = None
) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise AttachmentError(pointer, "A JSON object is needed here.")
    for name in sorted(required - document.keys()):
        raise AttachmentError(f"{pointer}/{name}", "This is missing.")
    for name in sorted(document.keys() - required - (optional or set())):
        raise AttachmentError(f"{pointer}/{name}", "No such field belongs here.")
    return document


def _address(value: Any) -> Address:
    pointer = "/listen/address"
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if _PORT.fullmatch(port) is None or int(port) > _MAX_PORT:
        raise AttachmentError(pointer, "An address is IP:PORT, such as 127.0.0.1:1000 or [::1]:1000.")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise AttachmentError(pointer, "An address is IP:PORT; names are not looked up.") from None
    if bracketed != (ip.version == 6) or "%" in host:  # noqa: PLR2004  # the protocol's version
        raise AttachmentError(pointer, "Brackets belong around an IPv6 address, without a zone.")
    if ip.is_unspecified or ip.is_multicast:
        raise AttachmentError(pointer, "A listener for every address would let strangers pass for the box.")
    return Address(str(ip), int(port))


def _namespace(value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_NAMESPACE_CHARS and value.isprintable():
        if value.startswith("/") and "/../" not in f"{value}/":
            return value
        if "/" not in value and value not in {".", ".."}:
            return value
    raise AttachmentError("/listen/netns", "A namespace is a name of `ip netns`, or an absolute path.")


def _path(value: Any) -> str:
    if (
        isinstance(value, str)
        and value.startswith("/")
        and value.isprintable()
        and not value.endswith("/")
        and not {".", "..", ""} & set(value.split("/")[1:])
        and len(value.encode()) <= MAX_PATH_BYTES
    ):
        return value
    raise AttachmentError(
        "/listen/unix",
        f"A socket's path is absolute, without . and .., and has at most {MAX_PATH_BYTES} bytes.",
    )


def _mode(value: Any) -> int:
    if value is None:
        return DEFAULT_SOCKET_MODE
    if isinstance(value, str) and _MODE.fullmatch(value):
        return int(value, 8)
    raise AttachmentError("/listen/mode", 'A mode is an octal text such as "0660".')
