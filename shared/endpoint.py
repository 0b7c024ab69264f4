"""Where a provider's traffic goes: a base URL, checked and split once.

The control plane judges an owner's input by this module and the data plane compiles its targets by the same
code, so both read the same bytes the same way. No name is resolved here: `shared/addresses.py` judges
addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import SplitResult, urlsplit

MAX_ENDPOINT_CHARS = 2048
_DEFAULT_PORTS = {"https": 443, "http": 80}
# RFC 1123 host labels; underscores are refused because certificates cannot carry them.
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
# RFC 3986 §3.2.2 IP-literal, without IPvFuture and zone: `urlsplit` lets text stand behind the bracket.
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]*)?")
# RFC 3986 §3.3 `pchar` and `/`, without percent-encoding: a base path has no reason to be encoded.
_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@]+)*")
_NO_HOST = "The endpoint has no valid host name."
_PRINTABLE = re.compile(r"[\x21-\x7e]*")


class EndpointError(ValueError):
    """The endpoint cannot be used; the message is a sentence for the person typing the endpoint."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed base URL.

    Attributes:
        scheme: `https`, or `http` where the operator allows it.
        host: lower case, without brackets for IPv6.
        port: always set, the scheme's default when the URL named none.
        base_path: `""` or `/a/b`, never with a trailing slash.
    """

    scheme: str
    host: str
    port: int
    base_path: str

    @property
    def tls(self) -> bool:
        """Whether connections to the endpoint are encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The value of the `Host` header, without the scheme's default port (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and authority, e.g. `https://api.openai.com`."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.origin + self.base_path


def parse_endpoint(text: str) -> Endpoint:
    """Read a base URL, or raise `EndpointError` with the reason.

    Accepts `https://host[:port][/base/path][/]` and the `http` form; whether plain http or a literal
    address may be *used* is the operator's policy and not decided here.
    """
    if len(text) > MAX_ENDPOINT_CHARS:
        raise EndpointError(f"The endpoint is longer than {MAX_ENDPOINT_CHARS} characters.")
    if not _PRINTABLE.fullmatch(text):
        raise EndpointError("The endpoint contains a space, a control or a non-ASCII character.")
    try:
        parts = urlsplit(text)
    except ValueError:  # of the brackets of an address; releases of CPython differ in what they refuse
        raise EndpointError(_NO_HOST) from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise EndpointError("The endpoint must start with https://.")
    host = _host_of(text, parts)
    return Endpoint(parts.scheme, host, _port_of(parts), _base_path_of(parts))


def _host_of(text: str, parts: SplitResult) -> str:
    if "@" in parts.netloc:
        raise EndpointError("The endpoint must not contain a user name or password.")
    if "?" in text or "#" in text:
        raise EndpointError("The endpoint must not contain a query or a fragment.")
    host = (parts.hostname or "").lower()
    if not (_is_ipv6(parts.netloc, host) if "[" in parts.netloc else _HOST.fullmatch(host)):
        raise EndpointError(_NO_HOST)
    return host


def _port_of(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise EndpointError("The endpoint's port must be between 1 and 65535.")
    return port or _DEFAULT_PORTS[parts.scheme]


def _is_ipv6(netloc: str, host: str) -> bool:
    try:
        IPv6Address(host)
    except AddressValueError:
        return False
    return _BRACKETED.fullmatch(netloc) is not None


def _base_path_of(parts: SplitResult) -> str:
    base_path = parts.path.rstrip("/")
    if not _BASE_PATH.fullmatch(base_path):
        raise EndpointError("The endpoint's path has an empty segment or a character that is not allowed.")
    if any(segment in {".", ".."} for segment in base_path.split("/")):
        raise EndpointError("The endpoint's path must not contain . or .. segments.")
    return base_path
