"""The last request head of a connection, cut and prepared: most clients send the same one again and again.

An SDK's heads differ in the value of `Content-Length` alone. Such a head is recognised byte for byte instead
of being cut again, and what is sent for it is the same bytes with the new length. Whose request it is and
what may be done with it is judged anew every time; only the reading is remembered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from services.data_plane.core.request_head import MAX_CONTENT_LENGTH_DIGITS
from services.data_plane.core.request_rules import prepare_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.data_plane.core.integration import CompiledIntegration
    from services.data_plane.core.request_head import RequestHead
    from services.data_plane.core.route import Route

_LENGTH_LINE: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)


class HeadMemo:
    """One head that was admitted, and how to recognise and prepare its like.

    Attributes:
        head: cut from the first such head; its `content_length` is that one's.
        method: of the request, as text.
        route, query: where it goes.
    """

    __slots__ = (
        *("_after", "_before", "_integration", "_raw", "_sent_after", "_sent_before"),
        *("head", "method", "query", "route"),
    )

    def __init__(self, raw: bytes, head: RequestHead, route: Route, query: bytes) -> None:
        self.head = head
        self.method = head.method.decode()
        self.route = route
        self.query = query
        self._raw = raw  # until it is compared for the first time: many connections carry one request
        self._before = self._after = b""
        self._integration: CompiledIntegration | None = None
        self._sent_before = self._sent_after = b""

    def length_of(self, raw: bytes) -> bytes | None:
        """Give the digits of `Content-Length` in a head that is this one but for them; None for another head.

        Empty for a head without that line.
        """
        if self._raw:
            self._before, self._after = _around_length(self._raw)
            self._raw = b""
        after = self._after
        if not raw.startswith(self._before):
            return None
        if not after:
            return b"" if len(raw) == len(self._before) else None
        digits = raw[len(self._before) : -len(after)]
        if not raw.endswith(after) or not digits.isdigit() or len(digits) > MAX_CONTENT_LENGTH_DIGITS:
            return None
        if self.head.websocket and int(digits):
            return None  # the one head whose length is judged with it
        return digits

    def prepare(self, integration: CompiledIntegration, length: bytes, body: Sequence[bytes] = ()) -> bytes:
        """Give the head to send, with these digits as its length, and what is here of its body."""
        if self._integration is not integration:
            prepared = prepare_head(self.head, self.route, self.query, integration)
            self._sent_before, self._sent_after = _around_length(prepared)
            self._integration = integration
        return b"".join((self._sent_before, length, self._sent_after, *body))


def _around_length(head: bytes) -> tuple[bytes, bytes]:
    """Split a head around the value of its only `Content-Length`; all of it comes first if it has none."""
    match = _LENGTH_LINE.search(head)
    return (head[: match.start(1)], head[match.end(1) :]) if match else (head, b"")
