"""The adapters that read usage, one for each name that a provider's row may give (`shared/providers`)."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from services.data_plane.core.usage.shape import Shape
from shared.providers import PROVIDERS


def _adapter(name: str) -> Shape:
    """Give the adapter of a name: a row alone says which one is its own."""
    shape = import_module(f"services.data_plane.core.usage.{name}_shape").SHAPE
    assert isinstance(shape, Shape), name
    return shape


SHAPES: Final[dict[str, Shape]] = {row.usage_shape: _adapter(row.usage_shape) for row in PROVIDERS.values()}
