"""Values of the official SDKs' own types, for Hypothesis: possible answers of a provider."""

from __future__ import annotations

import types
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel

MAX_DEPTH: Final = 5
"""Deeper members are null or empty, so that an answer stays readable."""
_TEXT: Final = st.sampled_from(
    ["", "hi", '"usage":{"prompt_tokens":1,"completion_tokens":2}', '\\"', "ü\u2028", "data: x\n\n", "{[" * 3]
)
_WORDS: Final = st.sampled_from(
    [{}, {"usage": {"input_tokens": 7, "output_tokens": 8, "prompt_tokens": 9}}, "x", None]
)
"""Possible words of a model in places for JSON."""


def values_of(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Give JSON values of a type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return values_of(inner[0], depth)
    if origin in {Union, types.UnionType}:
        return _any_of(inner, depth)
    if origin is list:
        return st.just([]) if depth >= MAX_DEPTH else st.lists(values_of(inner[0], depth + 1), max_size=2)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return objects_of(kind, depth)
    return _single_values(kind, inner)


def _single_values(kind: Any, inner: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if get_origin(kind) is Literal:
        return st.sampled_from(inner)
    if get_origin(kind) is dict:
        return st.just({"usage": "none"})
    plain = {int: st.integers(0, 10**9), float: st.just(1.5), bool: st.booleans(), str: _TEXT}
    return plain.get(kind, _WORDS)


def _any_of(kinds: tuple[Any, ...], depth: int) -> st.SearchStrategy[Any]:
    if type(None) in kinds:
        others = tuple(kind for kind in kinds if kind is not type(None))
        return st.none() if depth >= MAX_DEPTH else st.none() | _any_of(others, depth)
    return st.deferred(lambda: st.one_of([values_of(kind, depth) for kind in kinds[:6]]))


def objects_of(model: type[BaseModel], depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Give JSON objects of a model: every required member, and any of the optional ones."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in model.model_fields.items():
        members = required if field.is_required() else optional
        members[field.alias or name] = st.deferred(
            lambda kind=field.annotation: values_of(kind, depth + 1)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
        )
    return st.fixed_dictionaries(required, optional=optional)
