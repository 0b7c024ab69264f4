"""What a usage adapter is: how one provider states tokens, in a response and in a message of a WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.kept import Evidence
from services.data_plane.core.usage.tokens import Reading


class Shape(NamedTuple):
    """One provider's way of stating tokens.

    Attributes:
        read: reads what was kept of an answer.
        read_message: reads one message of a WebSocket; None when the message states no tokens of its own.
        binary_messages: whether the provider sends its JSON in binary messages of a WebSocket.
        plain_counts: whether the counts of a chat completion are the sums to bill, as the pattern in
            `stated.py` reads them.
    """

    read: Callable[[Evidence], Reading]
    read_message: Callable[[JsonObject], Reading | None]
    binary_messages: bool = False
    plain_counts: bool = True


def no_message(_message: JsonObject) -> Reading | None:
    """Read nothing: the provider has no WebSockets, or its messages state no usage of their own."""
    return None
