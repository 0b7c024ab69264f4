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
    """

    read: Callable[[Evidence], Reading]
    read_message: Callable[[JsonObject], Reading | None]


def no_message(_message: JsonObject) -> Reading | None:
    """Read nothing: the provider has no WebSockets, or its messages state no usage of their own."""
    return None
