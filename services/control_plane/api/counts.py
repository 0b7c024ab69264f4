"""Counts of the requests and key tests of this process, for its metrics. No label of a caller's choice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")


def _by_class() -> Counter[str]:
    # From zero on, or the first of each would be missing from every rate.
    return Counter(dict.fromkeys(_CLASSES, 0))


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests by class of status, per kind of route; key tests by verdict."""

    api: Counter[str] = field(default_factory=_by_class)
    portal: Counter[str] = field(default_factory=_by_class)
    fleet: Counter[str] = field(default_factory=_by_class)
    key_tests: Counter[str] = field(default_factory=Counter)

    def requests_to(self, path: str) -> Counter[str] | None:
        """Give the counts of a route's kind; None for probes and scrapes, which are not counted."""
        if path.startswith("/api/"):
            return self.api
        if path.startswith("/internal/"):
            return self.fleet
        return None if path in {"/livez", "/readyz", "/metrics"} else self.portal


class CountRequests:
    """Counts every answered request."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection scope."""
        counts = self._counts.requests_to(scope["path"]) if scope["type"] == "http" else None
        if counts is None:
            await self._app(scope, receive, send)
            return

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                counts[f"{message['status'] // 100}xx"] += 1
            await send(message)

        await self._app(scope, receive, send_and_count)
