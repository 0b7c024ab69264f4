"""The status page in its HTML form: the same as the text, with buttons for copying. Loads nothing."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Final

from services.data_plane.box_app.status import error_text, org_text

if TYPE_CHECKING:
    from services.data_plane.box_app.status import ProviderStatus, Status

_STYLE: Final = """
:root { color-scheme: light dark; --soft: light-dark(#575c6b, #a3a9b8); --line: light-dark(#d5d7df, #2a2d36);
  --bad: light-dark(#b3202c, #ff9a9a); --good: light-dark(#11713a, #5fd68f); }
body { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; }
dl { display: grid; grid-template-columns: 7rem minmax(0, 1fr); gap: .35rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
section { padding: 0 1rem 1rem; margin: 1rem 0; border: 1px solid var(--line); border-radius: .6rem; }
code { font: .9rem ui-monospace, monospace; } .on { color: var(--good); } .key-rejected { color: var(--bad); }
button { font: inherit; font-size: .85rem; margin-left: .5rem; }
@media (max-width: 30rem) { dl { grid-template-columns: minmax(0, 1fr); } dd { margin-bottom: .5rem; } }
"""
_SCRIPT: Final = """
for (const button of document.querySelectorAll("button")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = "Selected: copy it";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
"""


def _source(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


POLICY: Final = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The page's content security policy: its own style and script, by their hashes, and nothing else."""


def as_html(status: Status) -> str:
    """Write the page. Every text from a configuration is escaped."""
    owners = ", ".join(status.owners) or "not known to this gateway"
    portal = f'<a href="{escape(status.portal)}">{escape(status.portal)}</a>' if status.portal else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>This box · run9 AI Gateway</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>run9 AI Gateway: this box</h1>
<dl>
{_line("Box", escape(status.box.box))}
{_line("Organization", escape(org_text(status)))}
{_line("Owners", escape(owners))}
{_line("Portal", portal)}
{_line("Set up", _copyable(status.setup_line))}
</dl>
{"".join(map(_section, status.providers))}</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _section(item: ProviderStatus) -> str:
    word = f'<span class="{item.word.lower().replace(" ", "-")}">{item.word}</span>'
    why = f", {escape(item.why)}" if item.why else ""
    error = escape(error_text(item.last_error)) if item.last_error is not None else ""
    return f"""<section>
<h2>{escape(item.provider.title)}: {word}{why}</h2>
<dl>
{_line("Base URL", _copyable(item.base_url))}
{_line("Set it", _copyable(item.environment))}
{_line("Last error", error)}
{_line("Next", escape(item.next_step))}
</dl>
</section>
"""


def _line(name: str, content: str) -> str:
    return f"<dt>{name}</dt><dd>{content}</dd>" if content else ""


def _copyable(text: str) -> str:
    return f'<code>{escape(text)}</code><button type="button" hidden>Copy</button>'
