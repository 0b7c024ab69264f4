"""Writes docs/refusals.md from the providers' rows: the meaning of each known 401 and 403.

python -m tools.refusals_page
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shared.providers import PROVIDERS
from shared.refusals import COMMON_REFUSALS, RefusalRule

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "refusals.md"
_TOP: Final = """# 401 and 403 by meaning

Generated from the providers' rows (`shared/refusals.py`) by `make docs`. The first rule that applies holds.
The common rules come after a provider's own.

| meaning | code of the answer to a 401 | the card | the key test |
|---|---|---|---|
| key | `upstream_key_rejected` | Key rejected, on the API's own routes | invalid |
| permission | `upstream_request_refused` | stays | valid; may not list models |
| request, account, place | `upstream_request_refused` | stays | unknown, with the reason |
| unknown | `upstream_refused_unexplained` | stays | 401 invalid, 403 unknown |

The answers have status 400 and stand among the [errors](errors.md). `upstream_request_refused` gives the
provider's own sentence. A row may name further statuses with which its provider refuses a key: such a
response is held, answered like a 401 when its body refuses the key, and passes as it came otherwise. Every
other 403 passes as it came, whatever its meaning, after the search for the key. The key test's request holds
nothing but the key, so a 401 there that gives no reason is about the key.
"""


def page() -> str:
    """Give the whole page."""
    sections = [_section(row.title, row.refusals) for row in PROVIDERS.values()]
    return "\n".join([_TOP, *sections, _section("Every provider and custom endpoint", COMMON_REFUSALS)])


def _section(title: str, rules: tuple[RefusalRule, ...]) -> str:
    lines = [f"## {title}", "", "| status | code | message | meaning | source |", "|---|---|---|---|---|"]
    for rule in rules:
        statuses = ", ".join(map(str, rule.statuses))
        code = f"`{rule.code}`" if rule.code else ""
        message = "`" + rule.message.replace("|", "\\|") + "`" if rule.message else ""
        lines.append(f"| {statuses} | {code} | {message} | {rule.meaning} | {rule.source} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
