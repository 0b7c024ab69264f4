"""The refused routes of a provider: a list of paths, telling names, an operator's rules.

Refused is every route for minting or revealing a credential usable without the gateway, and every route for
administering the provider account. A list alone is always late, so a segment's name counts as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.data_plane.core.path_readings import path_readings
from services.data_plane.core.refused import Refused
from shared.providers import PROVIDERS, Provider, RoutePattern
from shared.rejections import Rejection

ANY: Final = "*"
"""Stands in a pattern for any segment."""

_VERSION: Final = re.compile(r"v[0-9]+(?:(?:alpha|beta|p)[0-9]*)*")
# Segments that gateways at a custom endpoint put in front of a provider's own path.
_GATEWAY_PREFIXES: Final = frozenset({*PROVIDERS, "api"})
_FIRST_WORD: Final = re.compile(r"[^a-z0-9]*([a-z0-9_\-]*)")
_LAST_WORD: Final = re.compile(r"([a-z0-9_\-]*)[^a-z0-9]*\Z")
_KEY: Final = r"(?:api|access|secret|signing|private|auth|ephemeral)key"
_CREDENTIAL: Final = rf"(?:secret|token|credential|password|key|{_KEY})"
# Matched against a name without `_` and `-`. `count_tokens` and `input_tokens` count; an `…_token` is one.
_HINT: Final = re.compile(r"secret|token|credential|password|key|reveal|unmask|url|link")
"""The common part of every telling name; most names are let go by this alone."""
_SPEAKING_NAME: Final = re.compile(
    rf"""
      .*(?:secret|secrets|token|credential|credentials|password|passwords)
    | .*{_KEY}s?
    | (?:.*(?:auth|access|refresh|session|ephemeral|bearer|identity|client|api|security|service|temporary|join
        |invite|enrollment|registration|device|connector|tunnel|web|bot|user|room))tokens
    | (?:reveal|unmask).*
    | (?:rotate|mint|issue|generate|regenerate|reissue|create|exchange|renew|reset|roll){_CREDENTIAL}s?
    | .*(?:enrollment|action|invite|invitation|onboarding|login|signin|signup|magic|sso|presigned|signed
        |impersonation)(?:url|link)s?
    """,
    re.VERBOSE,
)


class BadRouteRule(ValueError):  # noqa: N818  # a finding about an operator's text
    """The rule of `AIGW_REFUSED_ROUTES` cannot be read or changes nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class RouteRule:
    """An operator's rule.

    Attributes:
        refuse: whether the rule adds a refused route (`+`) or removes a refused route (`-`).
        provider: the name of the provider's row.
        pattern: the segments after the version; `*` stands for any segment.
    """

    refuse: bool
    provider: str
    pattern: RoutePattern


class RefusedRoutes:
    """The refused routes of a provider. A path below a refused path is refused too.

    Of several matching rules, the rule with the most segments decides; `-` wins a tie.
    """

    def __init__(self, provider: Provider, rules: Iterable[RouteRule] = ()) -> None:
        own = [rule for rule in rules if rule.provider == provider.name]
        self._refused = (*provider.refused_routes, *(rule.pattern for rule in own if rule.refuse))
        self._allowed = tuple(rule.pattern for rule in own if not rule.refuse)

    def check(self, rest: bytes) -> None:
        """Raise `Refused` when any reading of the raw path `rest` is refused."""
        for segments in path_readings(rest):
            if self.refuses(segments):
                raise Refused(Rejection.ROUTE_NOT_ALLOWED)

    def refuses(self, segments: Sequence[str]) -> bool:
        """Judge the segments of a reading, in lower case."""
        words = [_first_word(segment) for segment in segments]
        skipped = 0
        while skipped < len(words) and (
            words[skipped] in _GATEWAY_PREFIXES or _VERSION.fullmatch(words[skipped])
        ):
            skipped += 1
        words, named = words[skipped:], segments[skipped:]
        refused = max((len(pattern) for pattern in self._refused if _fits(pattern, words)), default=0)
        for index, segment in enumerate(named):
            if is_speaking_name(segment):
                refused = max(refused, index + 1)
        allowed = max((len(pattern) for pattern in self._allowed if _fits(pattern, words)), default=0)
        return refused > allowed


def is_speaking_name(segment: str) -> bool:
    """Whether a segment names a credential: `client_secrets`, `reveal_token`, `tunnels:revealToken`."""
    if not _HINT.search(segment.replace("_", "").replace("-", "")):
        return False
    words = {_first_word(segment)}
    if last := _LAST_WORD.search(segment):
        words.add(last[1])  # a custom verb: `tunnels/x:revealToken`
    return any(_SPEAKING_NAME.fullmatch(word.replace("_", "").replace("-", "")) for word in words)


def parse_route_rules(entries: Iterable[str], providers: Sequence[Provider]) -> tuple[RouteRule, ...]:
    """Read an operator's rules, `+provider:path` or `-provider:path`; raises `BadRouteRule`."""
    rows: dict[str, Provider] = {provider.name: provider for provider in providers}
    rules: list[RouteRule] = []
    for entry in entries:
        rule = _parse(entry)
        if (row := rows.get(rule.provider)) is None:
            raise BadRouteRule(f"{entry}: unknown provider {rule.provider}; known are {', '.join(rows)}")
        if any((rule.provider, rule.pattern) == (other.provider, other.pattern) for other in rules):
            raise BadRouteRule(f"{entry}: there are two rules for this route")
        if not rule.refuse and not RefusedRoutes(row, rules).refuses(rule.pattern):
            raise BadRouteRule(f"{entry}: this route is not refused, so nothing can be taken away")
        rules.append(rule)
    return tuple(rules)


_ENTRY: Final = re.compile(r"([+-])([a-z0-9_-]+):/*([^/\s].*?)/*")
_PATTERN_SEGMENT: Final = re.compile(r"\*|[a-z0-9][a-z0-9_-]*")


def _parse(entry: str) -> RouteRule:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise BadRouteRule(f"{entry}: a rule is +provider:path or -provider:path, such as +openai:files")
    sign, provider, path = match.groups()
    segments = path.lower().split("/")
    if len(segments) > 1 and _VERSION.fullmatch(segments[0]):
        del segments[0]
    for segment in segments:
        if not _PATTERN_SEGMENT.fullmatch(segment):
            raise BadRouteRule(f"{entry}: {segment or 'an empty segment'} is no name of a segment, nor *")
    if all(segment == ANY for segment in segments):
        raise BadRouteRule(f"{entry}: a rule needs one segment with a name")
    return RouteRule(sign == "+", provider, tuple(segment.replace("-", "_") for segment in segments))


def _fits(pattern: RoutePattern, words: Sequence[str]) -> bool:
    return len(words) >= len(pattern) and all(
        expected in (ANY, word) for expected, word in zip(pattern, words, strict=False)
    )


def _first_word(segment: str) -> str:
    """Give the name at a segment's beginning: without a file extension, a custom verb or any other tail."""
    match = _FIRST_WORD.match(segment)
    return match[1].replace("-", "_") if match else ""
