"""The session, agent, parent agent and class of a request, as the client's own headers name them.

A box writes these headers, so the labels are opaque words for the log and the usage record. No decision may
rest on them, and no metric has them: a box could make as many as it likes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from services.data_plane.core.leaked_keys import MIN_KEY_CHARS, looks_real

MAX_LABEL_CHARS: Final = 64
MAX_READ_BYTES: Final = 1024
"""Of a value, searched for a key. The label's own end lies far before."""


class Attribution(NamedTuple):
    """The labels of one request; a label that the client does not send is empty."""

    session: str = ""
    agent: str = ""
    parent_agent: str = ""
    request_class: str = ""


UNATTRIBUTED: Final = Attribution()

# Source: measured with Claude Code 2.1.332, Codex 0.171 and opencode 1.18; 2026-11-30. Claude Code names the
# class only where CLAUDE_CODE_GATEWAY_HINT_HEADERS is set. Codex's older releases write `session_id`.
_SESSION: Final = (b"x-claude-code-session-id", b"session-id", b"session_id", b"x-session-id")
_AGENT: Final = (b"x-claude-code-agent-id", b"thread-id")
_PARENT: Final = (b"x-claude-code-parent-agent-id", b"x-codex-parent-thread-id")
_CLASS: Final = (b"x-claude-code-request-class", b"x-openai-subagent")
ATTRIBUTION_HEADERS: Final = frozenset((*_SESSION, *_AGENT, *_PARENT, *_CLASS))
"""The names in lower case; all of these headers pass to the provider as they came."""

# What stands from each beginning of a word on: a key may follow a name and a sign of its own, `user_sk-…`.
_ENDS: Final = re.compile(rb"(?<![A-Za-z0-9])(?=([A-Za-z0-9][A-Za-z0-9._-]{%d,}+))" % (MIN_KEY_CHARS - 1))
NOT_IN_A_LABEL: Final = re.compile(rb"[^A-Za-z0-9._:/@+=-]")
"""The bytes that a label shows as `_`."""


def attribution_of(noted: Mapping[bytes, Sequence[bytes]]) -> Attribution:
    """Read the labels from a head's noted values by name."""
    if ATTRIBUTION_HEADERS.isdisjoint(noted):
        return UNATTRIBUTED
    return Attribution(*(_label(noted, names) for names in (_SESSION, _AGENT, _PARENT, _CLASS)))


def _label(noted: Mapping[bytes, Sequence[bytes]], names: Sequence[bytes]) -> str:
    for name in names:
        for value in noted.get(name, ()):
            if value:
                return clean_label(value)
    return ""


def clean_label(value: bytes) -> str:
    """Cut a value to its limit and blank odd bytes out; a value with a provider's key gives no label."""
    if any(map(looks_real, _ENDS.findall(value[:MAX_READ_BYTES]))):
        return ""
    return NOT_IN_A_LABEL.sub(b"_", value[:MAX_LABEL_CHARS]).decode("ascii")
