"""Which adapter reads the answers of a provider, by the name in the provider's row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from services.data_plane.core.usage import anthropic_shape, openai_shape
from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.kept import Evidence
from services.data_plane.core.usage.tokens import Reading


class Shape(NamedTuple):
    """One adapter.

    Attributes:
        read: reads an answer from what was kept of it.
        read_message: reads one message of a WebSocket; None when the message states no tokens of its own.
    """

    read: Callable[[Evidence], Reading]
    read_message: Callable[[JsonObject], Reading | None]


def _no_message(_message: JsonObject) -> Reading | None:
    """Read nothing: the provider has no WebSockets."""
    return None


def _read_openai(evidence: Evidence) -> Reading:
    """Read OpenAI's shape, and Anthropic's from endpoints that serve both under one address."""
    begun = evidence.document or evidence.first or {}
    read = anthropic_shape.read if begun.get("type") in {"message", "message_start"} else openai_shape.read
    return read(evidence)


SHAPES: Final[dict[str, Shape]] = {
    "openai": Shape(_read_openai, openai_shape.read_message),
    "anthropic": Shape(anthropic_shape.read, _no_message),
}
