"""The finding of a check of `aigw doctor`: one line of the report, with a remedy where needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Grade = Literal["ok", "warn", "FAIL"]
_GRADE_CHARS: Final = 4
_NAME_CHARS: Final = 28


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of the report. `name`: plane and part, e.g. `data plane: event bus`."""

    grade: Grade
    name: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f" → {self.remedy}" if self.remedy else ""
        return f"{self.grade:<{_GRADE_CHARS}}  {self.name:<{_NAME_CHARS}}  {self.text}{remedy}"


def with_faults(findings: list[Finding], faults: list[Finding]) -> list[Finding]:
    """Add the faults of a part to its findings; a part with a fault is not ok."""
    if all(fault.grade == "warn" for fault in faults):
        return [*findings, *faults]
    return [*(finding for finding in findings if finding.grade != "ok"), *faults]
