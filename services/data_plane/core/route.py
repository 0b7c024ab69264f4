"""From a raw request target to a provider and the raw rest, or to nothing of ours.

What is judged and what is forwarded are the same raw bytes: nothing is decoded on the way, so nothing can be
decoded differently. Whatever would leave the endpoint's base path after up to two decodings is refused, and
so are the refused routes in every encoding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from services.data_plane.core.refused import Refused, bad_request
from shared.providers import PROVIDERS, Provider
from shared.rejections import Rejection

ROUTE_CACHE_ENTRIES: Final = 1024
MAX_CACHED_PATH_BYTES: Final = 256
MAX_DECODES: Final = 2

# Leading version segments fall out (0, 1 or 2 of them): some clients leave `/v1` out, some put it in twice.
# Leading empty segments fall out too: `$OPENAI_BASE_URL/models` with a base URL that ends in a slash.
_RELAYED = re.compile(rb"/run9/ai/(openai|anthropic)(?:/+v1(?=/|\Z)){0,2}(?:/+(.*))?", re.DOTALL)
_HINT = re.compile(rb"[A-Z]{1,32}+ /run9/ai/(openai|anthropic)[/? ]")
_NEEDS_CARE = re.compile(rb"[%;\\]|/\.|//|\A\.")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_SEPARATOR = re.compile(rb"[/\\]+")
_PLAIN_SEGMENT = re.compile(rb"[a-z][a-z0-9_]{1,31}")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    Attributes:
        provider: the row of the provider table.
        rest: the raw path after the version, with its leading slash, or empty; without the query.
        label: up to two plain segments for logs and metrics, e.g. `chat/completions`.
    """

    provider: Provider
    rest: bytes
    label: str


def provider_hint(raw_head: bytes) -> Provider | None:
    """Tell in whose shape to answer a head that may be unreadable; None where it names no provider."""
    match = _HINT.match(raw_head)
    return PROVIDERS["openai" if match[1] == b"openai" else "anthropic"] if match else None


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Split a target into its path and its query, the latter with its `?`."""
    path, mark, query = target.partition(b"?")
    return path, mark + query


def find_route(path: bytes) -> Route | None:
    """Give the route of a raw path, or None for a path that is not the relay's.

    Raises:
        Refused: the path leaves the base path in some reading, or is one of the refused routes.
    """
    return _remembered(path) if len(path) <= MAX_CACHED_PATH_BYTES else _find(path)


def _find(path: bytes) -> Route | None:
    match = _RELAYED.fullmatch(path)
    if match is None:
        return None
    provider = PROVIDERS["openai" if match[1] == b"openai" else "anthropic"]
    rest = b"/" + match[2] if match[2] else b""
    for reading in _readings(rest):
        _check(provider, reading)
    return Route(provider, rest, _label(rest))


_remembered = lru_cache(ROUTE_CACHE_ENTRIES)(_find)


def forwarded_target(base_path: bytes, route: Route, query: bytes) -> bytes:
    """Give the target that is sent: base path, raw rest, raw query. Never outside the base path."""
    target = base_path + route.rest
    assert not route.rest or route.rest.startswith(b"/")
    return (target or b"/") + query


def _readings(rest: bytes) -> list[bytes]:
    """Every way in which a server down the road may read the path: as it is, decoded once, decoded twice."""
    readings = [rest]
    if _NEEDS_CARE.search(rest):
        for _ in range(MAX_DECODES):
            decoded = unquote_to_bytes(readings[-1])
            if decoded == readings[-1]:
                break
            readings.append(decoded)
    return readings


def _check(provider: Provider, reading: bytes) -> None:
    if _CONTROL.search(reading):
        raise bad_request("the path holds an encoded control byte")
    # A path parameter (`..;x`) is no part of the segment for some servers (RFC 3986 §3.3).
    names = [segment.partition(b";")[0] for segment in _SEPARATOR.split(reading)]
    if b"." in names or b".." in names:
        raise bad_request("the path holds a dot segment")
    segments = [name.lower().decode("latin-1") for name in names if name]
    while segments and segments[0] == "v1":
        del segments[0]
    for refused in provider.refused_routes:
        if tuple(segments[: len(refused)]) == refused:
            raise Refused(Rejection.ROUTE_NOT_ALLOWED)


def _label(rest: bytes) -> str:
    """Name the operation without any id: segments of letters, digits and underscores that start with one."""
    segments = rest.split(b"/")[1:3]
    plain = [segment.decode() for segment in segments if _PLAIN_SEGMENT.fullmatch(segment)]
    return "/".join(plain)
