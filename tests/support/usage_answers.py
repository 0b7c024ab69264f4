"""Answers with a usage, in the pieces and chunks of a provider, and their reading by a tap."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import NoUsage, Usage

CHAT = {
    "prompt_tokens": 1117,
    "completion_tokens": 46,
    "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 20,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}


def passed(pieces: Iterable[bytes]) -> UsageTap:
    """A tap after the pieces have passed, as the relay passes them."""
    waiting = iter(pieces)
    tap = UsageTap(next(waiting, b""))
    for piece in waiting:
        tap.take(piece)
    return tap


def read(*pieces: bytes) -> Usage | NoUsage:
    return passed(pieces).read().usage


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def sized(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def chat(text: str, usage: dict[str, Any] | None = None) -> dict[str, Any]:
    choices = [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]
    return {"id": "chatcmpl-1", "choices": choices, "usage": usage or CHAT, "service_tier": "default"}


def events(*data: object, named: bool = False) -> bytes:
    """Write server-sent events as a provider does."""
    lines = []
    for one in data:
        if named and isinstance(one, dict):
            lines.append(f"event: {one['type']}\n")
        lines.append(
            f"data: {json.dumps(one, separators=(',', ':')) if not isinstance(one, str) else one}\n\n"
        )
    return "".join(lines).encode()
