"""The options of a command for each provider with a row: `--NAME-endpoint` and `--NAME-key-file`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shared.providers import PROVIDERS, ProviderName

_ENDPOINT: Final = Annotated[
    str | None, typer.Option(metavar="URL", help="Its base URL, in place of the demo's.")
]
_KEY_FILE: Final = Annotated[Path | None, typer.Option(metavar="FILE", help="A file with its API key.")]
_PARAMETER: Final = "providers"


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """The two options of a provider, as typed."""

    provider: ProviderName
    endpoint: str | None
    key_file: Path | None


def with_provider_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every provider, as its keyword argument `providers`."""
    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.name != _PARAMETER]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for provider in PROVIDERS
        for name, kind in ((f"{provider}_endpoint", _ENDPOINT), (f"{provider}_key_file", _KEY_FILE))
    ]

    @functools.wraps(command)
    def called(**values: Any) -> None:
        providers = tuple(
            ProviderOptions(name, values.pop(f"{name}_endpoint"), values.pop(f"{name}_key_file"))
            for name in PROVIDERS
        )
        command(**values, **{_PARAMETER: providers})

    parameters = [*own, *added]
    called.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by typer
    return called
