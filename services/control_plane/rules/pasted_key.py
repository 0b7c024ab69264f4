"""The text pasted by people around a key: quotes, `export NAME=`, `Bearer`, a comma.

And the key that is left. Pure. The Portal's `key_rules.js` cleans in the same way before sending; a common
table of cases holds both to the same result (`tests/corpus/pasted_keys.json`). Whether the rest can be a key
is judged by `key.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_ROUNDS: Final = 8
"""How many layers of wrapping are taken off, e.g. a quoted key in a quoted header."""

# Characters that no screen shows: zero-width ones, direction marks, the byte order mark.
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_QUOTES: Final = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"
_JSON: Final = "the JSON around it"
_COMMA: Final = "a comma or semicolon"
_SECRET_WORD: Final = "(?:key|token|secret)"  # noqa: S105  # a pattern of names

_WRAPPINGS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        (
            "the header's name",
            r"(?:(?:-H|--header)\s+)?[\"']?(?:authorization|x-api-key|x-goog-api-key|api-key)\s*:\s*",
        ),
        ("Bearer", r"bearer\s+"),
        ("the variable's name", r"(?:export|set|setx|env|-e)\s+[a-z_]\w*\s*[= ]\s*"),
        ("the variable's name", r"\$env:[a-z_]\w*\s*=\s*"),
        ("the variable's name", rf"(?:--?)?[a-z_][\w-]*{_SECRET_WORD}\w*\s*=\s*(?=[^=\s])"),
        ("the option's name", rf"--?[a-z][a-z-]*{_SECRET_WORD}\s+"),
        (_JSON, rf"\{{?\s*[\"'][\w.-]*{_SECRET_WORD}\w*[\"']\s*:\s*"),
        ("the name in front of it", rf"[a-z_][\w.-]*{_SECRET_WORD}\w*\s*:\s+"),
    )
)


@dataclass(frozen=True, slots=True)
class PastedKey:
    """`text` is the remaining key, `left_out` names the removed parts, each once, in the order of finding."""

    text: str
    left_out: tuple[str, ...]


def clean_key(pasted: str) -> PastedKey:
    """Remove the text around a pasted key. Space around the key goes without a word."""
    found: list[str] = []
    text = _INVISIBLE.sub("", pasted)
    if text != pasted:
        found.append("invisible characters")
    text = text.strip()
    for _ in range(MAX_ROUNDS):
        finding, rest = _unwrapped(text, in_json=_JSON in found)
        if not finding:
            break
        found.append(finding)
        text = rest.strip()
    return PastedKey(text, tuple(dict.fromkeys(found)))


def _unwrapped(text: str, *, in_json: bool) -> tuple[str, str]:
    """Take a wrapping off; give its name, "" for none, and the rest."""
    for name, pattern in _WRAPPINGS:
        if match := pattern.match(text):
            return name, text[match.end() :]
    if len(text) > 1 and text[-1] in ",;":
        return _COMMA, text[:-1]
    if in_json and text.endswith("}"):
        return _JSON, text[:-1]
    if len(text) > 1 and (text[0] in _QUOTES or text[-1] in _QUOTES):
        return "quotes", text.strip(_QUOTES)
    return "", text
