"""Which provider a path names: one that this deployment offers, or, for clearing, any that has a row.

The OpenAPI document names no provider: which are offered is a setting of each deployment, and `GET providers`
tells.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path
from pydantic import WithJsonSchema

from services.control_plane.api.context import Context, InContext, Proven
from services.control_plane.rules.problems import Problem, ProblemError
from shared.providers import PROVIDERS, ProviderName

_DESCRIPTION = "A provider's name, as in `GET providers`."

ShownProvider = Annotated[ProviderName, WithJsonSchema({"type": "string", "description": _DESCRIPTION})]
"""A provider's name in an answer."""

_Named = Annotated[
    str, Path(alias="provider", description=_DESCRIPTION, max_length=32, examples=["openai", "anthropic"])
]


def _offered(named: _Named, _person: Proven, context: InContext) -> ProviderName:
    for row in context.providers:
        if row.name == named:
            return row.name
    raise _not_offered(context)


def _known(named: _Named, _person: Proven, context: InContext) -> ProviderName:
    for row in PROVIDERS.values():
        if row.name == named:
            return row.name
    raise _not_offered(context)


def _not_offered(context: Context) -> ProblemError:
    names = [row.name for row in context.providers]
    detail = f"This deployment does not offer that provider. It offers {', '.join(names)}."
    return ProblemError(Problem.NOT_FOUND, detail, extensions={"offered": names})


OfferedProvider = Annotated[ProviderName, Depends(_offered)]
"""The provider in the path; one that is not offered has been refused with 404."""

KnownProvider = Annotated[ProviderName, Depends(_known)]
"""The provider in the path, offered or not: a key that was stored while it was offered can be cleared."""
