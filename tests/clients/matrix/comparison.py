"""Compares the requests of a client through the gateway with its requests to the provider directly.

A client makes up ids and times anew at each run. Several direct runs show these: a word differing among
the direct runs varies by itself and may differ through the gateway too. Other differences are the gateway's.
Pure: requests in, names of their parts out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.clients.wire import Seen

_WORD: Final = re.compile(
    # A time is a single word: direct runs that follow each other share most of a time's parts.
    rb"(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d(?::\d\d(?:\.\d+)?)?|"
    rb"\d+\.\d+(?:e-?\d+)?|[A-Za-z0-9_-]+|[^A-Za-z0-9_-]"
)
_FORM: Final = "the body's form"
_ORDER: Final = "the headers' order"
_ARRANGED: Final = {_FORM, _ORDER}
"""Parts arranged at random as a whole by a client, so no single place of them says anything."""
_INDEX: Final = re.compile(r"\[\d+\]")

Parts = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The parts differing through the gateway, and the parts varied by the client itself."""

    differs: tuple[str, ...] = ()
    varies: tuple[str, ...] = ()


def compare(through: Sequence[Seen], *direct: Sequence[Seen]) -> Comparison:
    """Compare the requests of a run through the gateway with those of direct runs."""
    numbers = sorted({len(run) for run in direct})
    if len(numbers) > 1:
        return Comparison(varies=(f"the number of requests: {' or '.join(map(str, numbers))}",))
    if len(through) not in numbers:
        return Comparison(differs=(f"{len(through)} requests, directly {numbers[0]}",))
    differs: dict[str, None] = {}
    varies: dict[str, None] = {}
    for mine, *others in zip(*(sorted(run, key=_order) for run in (through, *direct)), strict=True):
        parts, *direct_parts = (dict(_parts(seen)) for seen in (mine, *others))
        for name in {name: None for found in (parts, *direct_parts) for name in found}:
            verdict = _verdict(name, parts.get(name), [found.get(name) for found in direct_parts])
            if verdict is not None:
                (differs if verdict else varies)[_INDEX.sub("[]", name)] = None
    return Comparison(tuple(differs), tuple(name for name in varies if name not in differs))


def _order(seen: Seen) -> tuple[object, ...]:
    """Order requests made by a client at the same time, whose arrival differs from run to run."""
    method, target, _, body = seen
    return method, target, b'"tools"' in body, len(body)


def _verdict(name: str, mine: bytes | None, direct: Sequence[bytes | None]) -> bool | None:
    """Give True for a difference of the gateway, False for a difference of the client, None for none."""
    different = set(direct)
    if mine in different:
        return None if len(different) == 1 else False
    if len(different) == 1:
        return True
    if name in _ARRANGED or mine is None or None in different:
        return False
    words = [_WORD.findall(value) for value in (mine, *different) if value is not None]
    if len({len(found) for found in words}) != 1:
        return False
    return any(word not in others and len(set(others)) == 1 for word, *others in zip(*words, strict=True))


def _parts(seen: Seen) -> Iterator[tuple[str, bytes]]:
    method, target, headers, body = seen
    yield "method", method
    yield "target", target
    # `Upgrade` is hop-by-hop and stands last behind a gateway (RFC 9110, section 7.6.1).
    yield _ORDER, b" ".join(name for name, _ in headers if name.lower() != b"upgrade")
    for name, value in headers:
        # The length follows the body, which is compared word by word.
        if name.lower() != b"content-length":
            yield f"header {name.decode().lower()}", value
    try:
        value = json.loads(body)
    except ValueError:
        yield "body", body
        return
    yield _FORM, _form(body)
    yield from _leaves("", value)


def _form(body: bytes) -> bytes:
    """Give a JSON text without its strings' and numbers' own text: names, order, punctuation and blanks."""
    return re.sub(rb':(\s*)("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*)', rb":\1_", body)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(f"{path}[{index}]", inner)
    elif isinstance(value, str) and value[:1] == "{":
        try:  # JSON in a string, e.g. a client's metadata
            yield from _leaves(f"{path}|json", json.loads(value))
        except ValueError:
            yield path, value.encode()
    else:
        yield path, str(value).encode()
