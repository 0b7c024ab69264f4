"""From a raw request target to a provider and the raw rest, or to nothing of ours.

The judged bytes and the forwarded bytes are the same raw bytes: nothing is decoded on the way, so nothing can
be decoded differently. Whatever would leave the endpoint's base path in some reading (`path_readings.py`) is
refused, and so are the refused routes (`refused_routes.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.data_plane.core.query_parameters import without_parameters
from services.data_plane.core.refused_routes import RefusedRoutes, RouteRule
from shared.providers import Provider

ROUTE_CACHE_ENTRIES: Final = 1024
MAX_CACHED_PATH_BYTES: Final = 256

_PLAIN_SEGMENT = re.compile(rb"[a-z][a-z0-9_]{1,31}")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    Attributes:
        provider: the row of the provider table.
        rest: the raw path after the version, with its leading slash, or empty; without the query.
        warm_up: whether a HEAD of this path is a client's warm-up, answered here.
        label: up to two plain segments for logs and metrics, e.g. `chat/completions`.
    """

    provider: Provider
    rest: bytes
    label: str
    warm_up: bool = False


class Routes:
    """The routes of a deployment: of the offered providers, with an operator's rules.

    Built once per process. Remembers the routes of recent paths.
    """

    def __init__(self, providers: Sequence[Provider], rules: Iterable[RouteRule] = ()) -> None:
        names = b"|".join(re.escape(provider.name.encode()) for provider in providers)
        rules = tuple(rules)
        self._relayed = re.compile(rb"/run9/ai/(" + names + rb")(/.*)?", re.DOTALL)
        self._rests = {provider.name: _rest_pattern(provider) for provider in providers}
        self._hint = re.compile(rb"[A-Z]{1,32}+ /run9/ai/(" + names + rb")[/? ]")
        self._providers = {provider.name.encode(): provider for provider in providers}
        self._refused = {provider.name: RefusedRoutes(provider, rules) for provider in providers}
        self._remembered = lru_cache(ROUTE_CACHE_ENTRIES)(self._find)

    def find(self, path: bytes) -> Route | None:
        """Give the route of a raw path, or None for a path outside the relay.

        Raises:
            Refused: the path leaves the base path in some reading, or is a refused route.
        """
        return self._remembered(path) if len(path) <= MAX_CACHED_PATH_BYTES else self._find(path)

    def hint(self, raw_head: bytes) -> Provider | None:
        """Tell the provider shape for answering a possibly unreadable head; None without a provider."""
        match = self._hint.match(raw_head)
        return self._providers[match[1]] if match else None

    def _find(self, path: bytes) -> Route | None:
        match = self._relayed.fullmatch(path)
        if match is None:
            return None
        provider = self._providers[match[1]]
        inner = self._rests[provider.name].fullmatch(match[2] or b"")
        rest = b"/" + inner[1] if inner is not None and inner[1] else b""
        self._refused[provider.name].check(rest)
        return Route(provider, rest, _label(rest), rest.decode("latin-1") in provider.warm_ups)


def _rest_pattern(provider: Provider) -> re.Pattern[bytes]:
    """Match a path after the provider's name: the group is the rest without the versions removed.

    Leading version segments fall out (0, 1 or 2 of them): some clients leave `/v1` out, some send the segment
    twice. Leading empty segments fall out too: `$OPENAI_BASE_URL/models` with a base URL ending in a slash.
    """
    version = re.escape(provider.stripped_version.encode())
    versions = rb"(?:/+" + version + rb"(?=/|\Z)){0,2}" if version else b""
    return re.compile(versions + rb"(?:/+(.*))?", re.DOTALL)


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Split a target into its path and its query, the latter with its `?`."""
    path, mark, query = target.partition(b"?")
    return path, mark + query


def forwarded_target(base_path: bytes, route: Route, query: bytes) -> bytes:
    """Give the target to send: base path, raw rest, raw query. Never outside the base path.

    Parameters that carry a credential at this provider fall out of the query.
    """
    target = base_path + route.rest
    if query and route.provider.query_credentials:
        query = without_parameters(query, route.provider.query_credentials)
    assert not route.rest or route.rest.startswith(b"/")
    return (target or b"/") + query


def _label(rest: bytes) -> str:
    """Name the operation without any id: segments of letters, digits and underscores with a letter first."""
    segments = rest.split(b"/")[1:3]
    plain = [segment.decode() for segment in segments if _PLAIN_SEGMENT.fullmatch(segment)]
    return "/".join(plain)
