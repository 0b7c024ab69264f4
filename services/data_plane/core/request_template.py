"""The last request head of a connection, parsed and prepared: most clients repeat the same head.

An SDK's heads differ in the value of `Content-Length` alone. Such a head is recognised byte for byte instead
of being parsed again, and the provider is sent the same bytes with the new length. Identity and admission are
judged anew every time; only the parsing is remembered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from services.data_plane.core.leaked_keys import looks_real
from services.data_plane.core.query_parameters import split_parameters
from services.data_plane.core.request_head import MAX_CONTENT_LENGTH_DIGITS
from services.data_plane.core.request_rules import prepare_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.data_plane.core.integration import CompiledIntegration
    from services.data_plane.core.request_head import RequestHead
    from services.data_plane.core.route import Route

_LENGTH_LINE: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)


class RequestTemplate:
    """An admitted head, and the means to recognise and prepare similar heads.

    Attributes:
        head: parsed from the first such head; its `content_length` is of the first head.
        method: of the request, as text.
        route, query: where it goes; the query without parameters that carry a credential at the provider.
        leaked_key: whether a credential in the head or the query looks like a real provider key.

    Args:
        raw: the head as received.
        max_bytes: a head must end within these.
    """

    __slots__ = (
        *("_after", "_before", "_digits_within", "_integration", "_max_bytes", "_raw"),
        *("_sent_after", "_sent_before"),
        *("head", "leaked_key", "method", "query", "route"),
    )

    def __init__(self, raw: bytes, head: RequestHead, route: Route, query: bytes, max_bytes: int) -> None:
        self.head = head
        self.method = head.method.decode()
        self.route = route
        self.query, self.leaked_key = query, head.leaked_key
        if query and route.provider.query_credentials:
            self.query, values = split_parameters(query, route.provider.query_credentials)
            self.leaked_key = self.leaked_key or any(map(looks_real, values))
        self._raw = raw  # until it is compared for the first time: many connections carry one request
        self._max_bytes = max_bytes
        self._before = self._after = b""
        self._digits_within = 0
        self._integration: CompiledIntegration | None = None
        self._sent_before = self._sent_after = b""

    @property
    def first_length(self) -> bytes:
        """The digits of the `Content-Length` of the first such head; empty for a head without that line."""
        return b"" if self.head.content_length is None else b"%d" % self.head.content_length

    def recognise(self, data: bytes) -> tuple[bytes, bytes, bytes] | None:
        """If `data` begins with this head, but for the digits of its length: the head, the rest, the digits.

        None for any other head, and for a head now too large. The digits are empty for a head without a
        length.
        """
        if self._raw:
            self._before, self._after = _around_length(self._raw)
            longest = len(self._before) + MAX_CONTENT_LENGTH_DIGITS
            self._digits_within = 1 + min(longest, self._max_bytes - len(self._after))
            self._raw = b""
        if not data.startswith(self._before):
            return None
        start, after = len(self._before), self._after
        if not after:
            return data[:start], data[start:], b""
        end = data.find(after[:1], start, self._digits_within)
        if end < 0 or not data.startswith(after, end):
            return None
        digits = data[start:end]
        if not digits.isdigit():
            return None
        if self.head.websocket and int(digits):
            return None  # the one head whose length is judged with it
        end += len(after)
        return data[:end], data[end:], digits

    def prepare(self, integration: CompiledIntegration, length: bytes, body: Sequence[bytes] = ()) -> bytes:
        """Give the head to send, with these digits as its length, and the received part of its body."""
        if self._integration is not integration:
            prepared = prepare_head(self.head, self.route, self.query, integration)
            self._sent_before, self._sent_after = _around_length(prepared)
            self._integration = integration
        return b"".join((self._sent_before, length, self._sent_after, *body))


def _around_length(head: bytes) -> tuple[bytes, bytes]:
    """Split a head around the value of its only `Content-Length`; without a length, all comes first."""
    match = _LENGTH_LINE.search(head)
    return (head[: match.start(1)], head[match.end(1) :]) if match else (head, b"")
