"""The reason for each cell of the matrix that does not say that a call works or a sentence is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MAX_SECONDS_TO_SENTENCE: Final = 2.0
_CALLS: Final = ("plain", "stream", "tools", "websocket", "files")
_TRIES_AGAIN: Final = "tries again with growing waits and prints nothing until it gives up"

_CLAUDE: Final = {
    "429": _TRIES_AGAIN,
    "500": _TRIES_AGAIN,
    "529": "gives up after three requests, with a sentence of its own about capacity",
    "cut": "takes a stream that breaks off for a failed try, and " + _TRIES_AGAIN,
}
_SAYS_AND_TRIES_AGAIN: Final = "prints the provider's sentence and tries again with growing waits"
_GO: Final = (
    "the text of the SDK's error is the status; the provider's or the gateway's body is in its `Message`"
)
_NEEDS_OLD_SDK: Final = dict.fromkeys(
    ("plain", "stream", "tools", "files", "off", "401", "429", "500", "529"),
    "this release does not fit `anthropic` 1 or 2 and fails before any request, with or without a gateway; "
    "with `anthropic<1` (tried: 0.125.0) its requests leave",
)

NOTES: Final[Mapping[str, Mapping[str, str]]] = {
    "Claude Agent SDK, anthropic": _CLAUDE,
    "Claude Code, anthropic": _CLAUDE,
    "Codex, openai": {
        "429": "prints the status without the provider's sentence",
        "500": "prints a sentence of its own in place of the provider's",
    },
    "Gemini CLI, gemini": dict.fromkeys(("429", "500", "529"), _SAYS_AND_TRIES_AGAIN),
    "GitHub Copilot CLI, openai": {"429": _TRIES_AGAIN},
    "LangChain.js, anthropic": dict.fromkeys(("500", "529"), _TRIES_AGAIN),
    "LangChain.js, openai": dict.fromkeys(("500", "529"), _TRIES_AGAIN),
    "llama-index-llms, anthropic": _NEEDS_OLD_SDK,
    "opencode, anthropic": dict.fromkeys(("429", "500", "529", "cut"), _TRIES_AGAIN),
    "pydantic-ai-slim, anthropic": _NEEDS_OLD_SDK,
    "qwen-code, openai": dict.fromkeys(("429", "500", "529"), _TRIES_AGAIN),
    "openai-go, openai": dict.fromkeys(("off", "401", "429", "500", "529"), _GO),
    "async-openai, openai": {
        "differs": "joins the base URL and the path with two slashes, of which the gateway takes one away",
    },
}
"""By the client's name in the record, then by the case; `differs` is about the requests that differ."""


def unexplained(cells: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the cases of a row of the record that need a reason."""
    found = []
    if any(cell.get("differs") for cell in cells.values()):
        found.append("differs")
    for case, cell in cells.items():
        if "lacks" in cell:
            continue
        works = cell["works"] if case in _CALLS else cell["shown"] and cell["ended"]
        late = case == "off" and cell.get("seconds_to_sentence", 0.0) > MAX_SECONDS_TO_SENTENCE
        if not works or late:
            found.append(case)
    return sorted(found)


def lines(record: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give the reasons of a record as a Markdown list; cases with the same reason share a line."""
    listed = []
    for name in sorted(record, key=str.lower):
        cases: dict[str, list[str]] = {}
        for case in unexplained(record[name]["cells"]):
            cases.setdefault(NOTES.get(name, {}).get(case, "**not explained**"), []).append(case)
        listed += [f"- {name}, {', '.join(found)}: {reason}." for reason, found in cases.items()]
    return listed
