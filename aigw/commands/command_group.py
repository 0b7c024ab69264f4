"""A group of commands whose help shows each summary whole, under the headings of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

WHOLE_SUMMARY_CHARS: Final = 400
"""Above every summary, so none is cut; the formatter wraps it."""
OTHERS: Final = "Commands"


class Formatter(Protocol):
    """The part of a help formatter that a list of commands needs."""

    def section(self, name: str) -> AbstractContextManager[None]:
        """Write the heading; what is written within is indented."""
        ...

    def write_dl(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write names and texts in two columns."""
        ...


class CommandGroup(TyperGroup):
    """A group of commands. `sections`: the commands of each heading; the others stand under `Commands`."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}

    def format_commands(self, ctx: object, formatter: Formatter) -> None:  # noqa: ARG002  # Typer's signature
        """Write the list of commands in the help."""
        named = {name for names in self.sections.values() for name in names}
        others = [name for name in self.commands if name not in named]
        for heading, names in ({**self.sections, OTHERS: others}).items():
            rows = [(name, self.commands[name].get_short_help_str(WHOLE_SUMMARY_CHARS)) for name in names]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
