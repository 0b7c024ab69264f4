"""The kept parts of a passing answer: of a document its ends, of a stream the events with a usage.

Takes the answer's content, without transfer or content coding. Memory is bounded by the limits here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from services.data_plane.core.usage.json_parts import (
    OBJECT,
    Beginning,
    JsonObject,
    beginning_of,
    last_object_of_array,
    object_of_ends,
    whole_object,
)
from services.data_plane.core.usage.tokens import NoUsage

KIB: Final = 1024
WHOLE_BYTES: Final = 32 * KIB
"""Up to here a document or an event is kept whole."""
TAIL_BYTES: Final = 16 * KIB
MAX_CANDIDATES: Final = 16
"""The number of usages of a piece to examine, from its end."""
MAX_KEPT_BYTES: Final = 4 * WHOLE_BYTES
"""Never is more kept: an event under way, and the first and the last event with a usage."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_EVENTS: Final = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*+(?:data|event|id|retry)?:")
_DOCUMENT: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*+\{")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
USAGE_NAME: Final = b'"usage'
"""How the names of all usages begin: `usage`, and Google's `usageMetadata`."""
# Brotli's longer bodies often begin with the byte of a bracket.
_ARRAY: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]*+\[[ \t\r\n]*+(?:\Z|{[ \t\r\n]*+(?:[\"}]|\Z)|\][ \t\r\n]*+\Z)"
)
_BORDERS: Final = (b"\n\n", b"\n\r\n", b"\r\r")
MAX_BORDER_BYTES: Final = 3


class Evidence(NamedTuple):
    """The kept statements of an answer.

    Attributes:
        unknown: why the answer is unreadable; None when something can.
        document: the answer, if a JSON object; maybe without its middle.
        first, last: the first and the last event of a stream with a usage; None where none does.
        is_whole: whether the answer reached its end.
        is_array: whether `document` is the last object of an array.
        earlier: the names stated by a message's events between the first and the last.
    """

    unknown: NoUsage | None
    document: JsonObject | None = None
    first: JsonObject | None = None
    last: JsonObject | None = None
    is_whole: bool = True
    is_array: bool = False
    earlier: JsonObject = {}  # noqa: RUF012  # nobody changes this one


class Text:
    """The text of a JSON object: whole while short, then its single values and its end."""

    __slots__ = ("_beginning", "_pieces", "_size")

    def __init__(self) -> None:
        self._beginning: Beginning | None = None  # None while everything is kept
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def held_bytes(self) -> int:
        """The number of bytes kept now, without parsed values."""
        return self._size

    @property
    def is_complete(self) -> bool:
        """Whether everything is kept."""
        return self._beginning is None

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > WHOLE_BYTES:
            kept = b"".join(self._pieces)
            if self._beginning is None:
                head = kept[:WHOLE_BYTES]
                self._beginning = beginning_of(head[max(head.find(b"{"), 0) :])
            self._pieces = [kept[-TAIL_BYTES:]]
            self._size = len(self._pieces[0])

    def object(self) -> JsonObject | None:
        """Read the object of a finished text, maybe without its middle; None when there is none.

        The text before the first brace falls out: the fields of an event.
        """
        text = b"".join(self._pieces)
        if self._beginning is not None:
            return object_of_ends(self._beginning, text)
        return whole_object(text[max(text.find(b"{"), 0) :])

    def members(self) -> JsonObject:
        """Give the certain members of the object, without its usage."""
        return self._beginning.members if self._beginning is not None else self.object() or {}

    def mentions_usage(self) -> bool:
        """Whether a usage may be among the kept bytes."""
        return self._beginning is not None or b"".join(self._pieces).find(USAGE_NAME) >= 0


class Document:
    """A JSON document."""

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text = Text()

    @property
    def held_bytes(self) -> int:
        """How much is kept now."""
        return self._text.held_bytes

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._text.add(data)

    def evidence(self, *, is_whole: bool) -> Evidence:
        """Give the document. A truncated document is complete only with its last brace."""
        found = self._text.object() if is_whole or self._text.is_complete else None
        if found is not None:
            return Evidence(None, document=found, is_whole=is_whole)
        if not is_whole:
            return Evidence(NoUsage.CUT)
        return Evidence(NoUsage.UNREADABLE if self._text.is_complete else NoUsage.TOO_LONG)


class Objects:
    """A JSON array that is written object by object: only its end is kept."""

    __slots__ = ("_pieces", "_size", "_was_longer")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._was_longer = False

    @property
    def held_bytes(self) -> int:
        """How much is kept now."""
        return self._size

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > WHOLE_BYTES:
            self._pieces = [b"".join(self._pieces)[-TAIL_BYTES:]]
            self._size = len(self._pieces[0])
            self._was_longer = True

    def evidence(self, *, is_whole: bool) -> Evidence:
        """Give what the last object states. An array without its end may have had a later object."""
        text = b"".join(self._pieces).rstrip()
        if not text.endswith(b"]"):
            return Evidence(NoUsage.UNREADABLE if is_whole else NoUsage.CUT)
        found = last_object_of_array(text)
        if found is not None:
            return Evidence(None, document=found, is_whole=is_whole, is_array=True)
        return Evidence(NoUsage.TOO_LONG if self._was_longer else NoUsage.ABSENT)


class Events:
    """A stream of server-sent events (WHATWG HTML §9.2)."""

    __slots__ = ("_earlier", "_first", "_last", "_long", "_rest", "_unknown")

    def __init__(self) -> None:
        self._earlier: JsonObject = {}
        self._first: JsonObject | None = None
        self._last: JsonObject | None = None
        self._unknown: NoUsage | None = None  # an unread event after the last one may have stated a usage
        self._rest = b""  # the event under way, or the end of a long one
        self._long: Text | None = None

    @property
    def held_bytes(self) -> int:
        """How much is kept now, without what was parsed."""
        return len(self._rest) + (self._long.held_bytes if self._long else 0)

    def feed(self, data: bytes) -> None:
        """Take the next bytes: drop finished events without a usage."""
        data = self._rest + data
        if self._long is not None:
            end = _first_border(data, 0)
            if end < 0:
                # The last bytes may be half of a border.
                self._long.add(data[:-MAX_BORDER_BYTES])
                self._rest = data[-MAX_BORDER_BYTES:]
                return
            self._long.add(data[:end])
            self._note_long(self._long)
            self._long, data = None, data[end:]
        end = _last_border(data, len(data))
        if end > 0:
            if data.find(USAGE_NAME) >= 0:
                self._note(data[:end])
            data = data[end:]
        if len(data) > WHOLE_BYTES:
            self._long = Text()
            self._long.add(data[:-MAX_BORDER_BYTES])
            data = data[-MAX_BORDER_BYTES:]
        self._rest = data

    def _note(self, events: bytes) -> None:
        """Keep the last event with a usage, and the first of all."""
        places = [match.start() for match in OBJECT.finditer(events)]
        if places and self._first is None:
            objects = map(event_object, _events_around(events, places[:MAX_CANDIDATES]))
            self._first = next((found for found in objects if found and _states_usage(found)), None)
        stating: list[JsonObject] = []
        for event in _events_around(events, places[: -MAX_CANDIDATES - 1 : -1]):
            found = event_object(event)
            if found is None:
                self._unknown = NoUsage.UNREADABLE
                break
            if _states_usage(found):
                stating.append(found)
                if not _is_delta(found):
                    break
        for found in reversed(stating):
            self._replace_last(found)

    def _replace_last(self, event: JsonObject) -> None:
        """Keep an event as the last one. Only Anthropic's events build on the event before."""
        if self._last is not None and _is_delta(self._last):
            self._earlier |= stated_names(self._last.get("usage"))
        self._last, self._unknown = event, None

    def _note_long(self, text: Text) -> None:
        found = text.object()
        if found is not None and _states_usage(found):
            self._replace_last(found)
            if self._first is None:
                self._first = found
        elif found is None or not text.is_complete:
            self._unknown = NoUsage.TOO_LONG

    def evidence(self, *, is_whole: bool) -> Evidence:
        """Give the first and the last event with a usage."""
        if is_whole:  # some servers leave the last empty line out
            self.feed(b"\n\n")
        if self._unknown is not None:
            return Evidence(self._unknown)
        if self._last is None:
            return Evidence(NoUsage.ABSENT if is_whole else NoUsage.CUT)
        return Evidence(None, first=self._first, last=self._last, is_whole=is_whole, earlier=self._earlier)


Keeper = Document | Events | Objects


def keeper_of(beginning: bytes) -> Keeper | None:
    """Choose the keeper of an answer by its first bytes; None for bytes unlike any provider's text."""
    if _DOCUMENT.match(beginning):
        return Document()
    if _ARRAY.match(beginning):
        return Objects()
    return Events() if _EVENTS.match(beginning) else None


def event_object(event: bytes) -> JsonObject | None:
    """Parse the data of an event, with its lines joined; None for data other than a JSON object."""
    lines = [line[5:].removeprefix(b" ") for line in _LINE_END.split(event) if line.startswith(b"data:")]
    return whole_object(b"\n".join(lines))


def stated_names(usage: object) -> JsonObject:
    """Give a usage's members without those that state nothing."""
    return (
        {name: value for name, value in usage.items() if value is not None} if isinstance(usage, dict) else {}
    )


def _states_usage(event: JsonObject) -> bool:
    """Whether an event states a usage where a provider states one; elsewhere the name is any object's."""
    named = (one.get("usage") or one.get("usageMetadata") for one in (event, *_answers_in(event)))
    return any(isinstance(usage, dict) for usage in named)


def _answers_in(event: JsonObject) -> list[JsonObject]:
    return [answer for name in ("response", "message") if isinstance(answer := event.get(name), dict)]


def _is_delta(event: JsonObject) -> bool:
    return event.get("type") == "message_delta"


def _events_around(events: bytes, places: list[int]) -> Iterator[bytes]:
    """Give the events around these indexes, in their order, each once."""
    seen = -1
    for at in places:
        start = max(_last_border(events, at), 0)
        if start != seen:
            seen, end = start, _first_border(events, at)
            yield events[start : end if end > 0 else len(events)]


def _first_border(data: bytes, start: int) -> int:
    """Give the index behind the first empty line from `start` on; -1 when there is none."""
    if data.find(b"\r", start) < 0:
        at = data.find(b"\n\n", start)
        return at + 2 if at >= 0 else -1
    found = [at + len(end) for end in _BORDERS if (at := data.find(end, start)) >= 0]
    return min(found, default=-1)


def _last_border(data: bytes, end: int) -> int:
    """Give the index behind the last empty line before `end`; -1 when there is none."""
    if data.find(b"\r", 0, end) < 0:
        at = data.rfind(b"\n\n", 0, end)
        return at + 2 if at >= 0 else -1
    found = [at + len(line) for line in _BORDERS if (at := data.rfind(line, 0, end)) >= 0]
    return max(found, default=-1)
