"""The providers known to the gateway: a row per provider, a file per row, and look-ups over all rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.providers.anthropic import ANTHROPIC
from shared.providers.gemini import GEMINI
from shared.providers.openai import OPENAI
from shared.providers.row import (
    LOCAL_ORIGIN,
    PLACEHOLDER,
    Credential,
    ErrorFacts,
    KeyShape,
    KeyTest,
    Provider,
    ProviderName,
    RoutePattern,
    Snippet,
    with_addresses,
)

__all__ = [
    "DEFAULT_OFFER",
    "LOCAL_ORIGIN",
    "PLACEHOLDER",
    "PROVIDERS",
    "UNNAMED",
    "Credential",
    "ErrorFacts",
    "KeyShape",
    "KeyTest",
    "Provider",
    "ProviderName",
    "RoutePattern",
    "Snippet",
    "UnknownProvider",
    "kind_of_key",
    "offered",
    "owner_of_key",
    "with_addresses",
]

PROVIDERS: Final[dict[ProviderName, Provider]] = {row.name: row for row in (OPENAI, ANTHROPIC, GEMINI)}
DEFAULT_OFFER: Final[tuple[ProviderName, ...]] = ("openai", "anthropic")
"""A deployment's default offer, in this order."""
UNNAMED: Final = OPENAI
"""In whose shape the gateway answers a request that names no provider: most clients can read it."""


class UnknownProvider(ValueError):  # noqa: N818  # a finding about an operator's text
    """The list of providers is empty, or has an unknown or repeated name; the message says which."""


def offered(names: Iterable[str]) -> tuple[Provider, ...]:
    """Give the rows of `names`, in their order; raises `UnknownProvider`."""
    known: dict[str, Provider] = {row.name: row for row in PROVIDERS.values()}
    rows: list[Provider] = []
    for name in names:
        if name not in known:
            raise UnknownProvider(f"unknown provider {name}; known are {', '.join(known)}")
        if known[name] in rows:
            raise UnknownProvider(f"the provider {name} is named twice")
        rows.append(known[name])
    if not rows:
        raise UnknownProvider("at least one provider has to be offered")
    return tuple(rows)


def kind_of_key(text: str) -> str:
    """Tell the kind of a key by its public prefix; `unknown` for any other text."""
    shape = _shape_of(text)
    return shape[1].kind if shape else "unknown"


def owner_of_key(text: str) -> Provider | None:
    """Tell whose key this looks like; None for a key without a known prefix."""
    shape = _shape_of(text)
    return shape[0] if shape else None


def _shape_of(text: str) -> tuple[Provider, KeyShape] | None:
    for provider, shape in _BY_PREFIX:
        if text.startswith(shape.prefix):
            return provider, shape
    return None


_BY_PREFIX: Final = sorted(
    ((row, shape) for row in PROVIDERS.values() for shape in row.keys),
    key=lambda pair: -len(pair[1].prefix),
)
