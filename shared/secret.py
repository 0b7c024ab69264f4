"""A value protected from being shown by accident: every way of printing the value prints stars.

`reveal()` is the only way out; its call sites are counted by `tests/tidy`. Nothing for formatting, comparing
by content or serialising belongs here.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NoReturn, SupportsIndex, final

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

_MASK = "Secret(***)"


@final
class Secret:
    """Holds a secret text. Equal to another secret of the same text, compared in constant time."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself, for the places that put a key on the wire or under encryption."""
        return self._text

    def __repr__(self) -> str:
        return _MASK

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # A lone surrogate must not raise: the error of a failed encoding holds the whole text.
        return hmac.compare_digest(
            self._text.encode(errors="surrogatepass"), other._text.encode(errors="surrogatepass")
        )

    # A hash of the text would be an oracle in any dump of a dict or set.
    __hash__ = None  # type: ignore[assignment]  # object declares it as a method

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied: pass the object itself")

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Read from a string; write stars, in JSON and in Python mode alike."""
        from_text = core_schema.chain_schema(
            [core_schema.str_schema(strict=True), core_schema.no_info_plain_validator_function(cls)]
        )
        instance_or_text = core_schema.union_schema([core_schema.is_instance_schema(cls), from_text])
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_before_validator_function(_unshown, from_text),
            python_schema=core_schema.no_info_before_validator_function(_unshown, instance_or_text),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: _MASK),
        )


def _unshown(value: object) -> object:
    """Put stars in place of a value of another type: a validation error quotes the refused value."""
    return value if isinstance(value, (str, Secret)) else (_MASK,)
