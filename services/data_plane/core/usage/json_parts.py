"""JSON objects of an answer: whole ones, and those of which only the beginning and the end were kept.

Nothing is guessed: a member counts only at a depth known for certain. In valid JSON a quote inside a string
is escaped, so `"usage"` behind a comma or a brace is always a member's name, and the brackets between there
and the end of the text tell its depth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

JsonObject = dict[str, Any]

MAX_LOOKS: Final = 16
"""The number of members of this name to examine, from the end of a text."""
MAX_DEPTH: Final = 2
MAX_TOKENS_READ: Final = 1_000
"""So many tokens of a beginning are read: the wanted members stand before the long members."""

# An event's data may have its line ends anywhere, so `data:` may stand between a name and its value.
OBJECT: Final = re.compile(
    rb'(?<=[{,\s:])"usage(?:Metadata)?"(?:[ \t\r\n]|data:){0,64}:(?:[ \t\r\n]|data:){0,64}(?={)'
)
USAGE_NAMES: Final = frozenset({"usage", "usageMetadata"})
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*"|[{}\[\]]', re.DOTALL)
_TOKEN: Final = re.compile(rb'\s*+("(?:[^"\\]++|\\.)*"|[{}\[\],:]|[^"{}\[\],:\s]++)', re.DOTALL)
_DECODER: Final = json.JSONDecoder()
# Google names the model behind everything else.
_LAST_MODEL: Final = re.compile(rb'(?<=[{,\s])"modelVersion"[ \t\r\n]{0,8}:[ \t\r\n]{0,64}"([^"\\]{1,128})"')


def whole_object(text: bytes) -> JsonObject | None:
    """Parse a text that is a JSON object; None for anything else, e.g. for several objects."""
    found, rest = _parsed(text.decode("utf-8", "replace").lstrip())
    return None if rest.strip() else found


def _parsed(text: str) -> tuple[JsonObject | None, str]:
    """Parse the object at the beginning of a text, and give the text behind the object too."""
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None, ""
    return value if isinstance(value, dict) else None, text[end:]


class Beginning(NamedTuple):
    """The certain part of an object whose middle is missing.

    Attributes:
        members: the single values of the first two levels.
        opened: the first level's member with an unclosed object; empty when there is none.
        is_closed: whether the object ends here, so that the missing text is no part of the object.
    """

    members: JsonObject
    opened: str
    is_closed: bool


def object_of_ends(beginning: Beginning, tail: bytes) -> JsonObject | None:
    """Give an object with the members certain from its two ends; None when no usage is among them.

    The usage is the last usage on the first or second level of a text ending with `tail`, or else that of
    the beginning's first level.
    """
    if beginning.is_closed:
        return None
    usage, depth = last_usage(tail)
    found = dict(beginning.members)
    if not depth:
        return found if found.keys() & USAGE_NAMES else None
    if usage is None:
        return None
    if depth == 1:
        found["usage"] = usage
    elif isinstance(inner := found.get(beginning.opened), dict):
        found[beginning.opened] = {**inner, "usage": usage}
    else:
        return None
    return found | last_model(tail, depth)


def last_object_of_array(tail: bytes) -> JsonObject | None:
    """Give what the last object of an array that ends with `tail` states for sure; None without a usage."""
    tail = tail[: tail.rfind(b"]") + 1]
    for begin, value_at in _from_the_end(tail):
        if depth_at(tail, begin) == MAX_DEPTH:
            usage = _parsed(tail[value_at:].decode("utf-8", "replace"))[0]
            return None if usage is None else {"usage": usage} | last_model(tail, MAX_DEPTH)
    return None


def last_model(tail: bytes, depth: int) -> JsonObject:
    """Give the model that Google's answers name at their end, as a member; empty when there is none."""
    for match in _LAST_MODEL.finditer(tail):
        if depth_at(tail, match.start()) == depth:
            return {"modelVersion": match[1].decode("utf-8", "replace")}
    return {}


def last_usage(tail: bytes) -> tuple[JsonObject | None, int]:
    """Give the last usage on the first two levels of a text ending with `tail`, and its level."""
    tail = tail[: tail.rfind(b"}") + 1]
    depths = [(depth_at(tail, begin), value_at) for begin, value_at in _from_the_end(tail)]
    # A usage of the first level holds, whatever an inner object behind it states under this name.
    for depth in range(1, MAX_DEPTH + 1):
        for level, value_at in depths:
            if level == depth:
                return _parsed(tail[value_at:].decode("utf-8", "replace"))[0], depth
    return None, 0


def _from_the_end(text: bytes) -> Iterator[tuple[int, int]]:
    matches = [match.span() for match in OBJECT.finditer(text)]
    return iter(matches[: -MAX_LOOKS - 1 : -1])


def depth_at(text: bytes, at: int) -> int:
    """Count the brackets open before `at` and closed behind: the level of a member."""
    depth = 0
    for token in _BRACKETS.finditer(text, at):
        first = token[0][:1]
        if first in b"}]":
            depth += 1
        elif first in b"{[":
            depth -= 1
    return depth


def beginning_of(head: bytes) -> Beginning:
    """Read the beginning of an object, as far as `MAX_TOKENS_READ` go."""
    reader = _BeginningReader()
    at, is_closed = 0, False
    for _ in range(MAX_TOKENS_READ):
        match = _TOKEN.match(head, at)
        if match is None:
            break
        at = match.end()
        # A number may go on beyond the head.
        if at == len(head) and match[1][:1] not in b'"{}[],:':
            break
        if reader.opens_usage(match[1]):
            usage, rest = _parsed(head[match.start(1) :].decode("latin-1"))  # a character for each byte
            if usage is None:
                break
            reader.take_usage(usage)
            at = len(head) - len(rest)
        elif not reader.take(match[1]):
            is_closed = match[1] == b"}"
            break
    opened = reader.path[1] if len(reader.path) > 1 and reader.is_object[1] else ""
    return Beginning(reader.members, opened, is_closed)


class _BeginningReader:
    """Follows tokens and remembers their place in the object."""

    def __init__(self) -> None:
        self.members: JsonObject = {}
        self.path: list[str] = []  # the names of the open containers
        self.is_object: list[bool] = []
        self._name = ""
        self._awaits_value = False

    def opens_usage(self, token: bytes) -> bool:
        """Whether a token opens a usage of the first level."""
        return token == b"{" and len(self.path) == 1 and self.is_object[0] and self._name in USAGE_NAMES

    def take_usage(self, usage: JsonObject) -> None:
        """Take the usage just opened, whole."""
        self.members[self._name] = usage
        self._awaits_value = False

    def take(self, token: bytes) -> bool:
        """Take the next token; False when the object is over."""
        if token in {b"{", b"["}:
            self._open(is_object=token == b"{")
        elif token in {b"}", b"]"}:
            if not self.path:
                return False
            self.is_object.pop()
            self._name = self.path.pop()
        elif token == b":":
            self._awaits_value = True
            return True
        elif token != b"," and self.is_object and self.is_object[-1]:
            self._take_text(token)
            return bool(self.path)
        self._awaits_value = False
        return bool(self.path)

    def _open(self, *, is_object: bool) -> None:
        if len(self.path) == 1 and is_object:
            self.members[self._name] = {}
        self.path.append(self._name)
        self.is_object.append(is_object)

    def _take_text(self, token: bytes) -> None:
        if not self._awaits_value:
            name = _value(token)
            self._name = name if isinstance(name, str) else ""
        elif len(self.path) == 1:
            self.members[self._name] = _value(token)
        elif len(self.path) == MAX_DEPTH and self.is_object[1]:
            self.members[self.path[1]][self._name] = _value(token)


def _value(token: bytes) -> Any:
    try:
        return json.loads(token)
    except ValueError:
        return None
