"""The one HTML document behind every page: the document names the page and loads the modules.

Data comes by REST. Holds nothing specific to the person, so nothing in the document can leak.
"""

from __future__ import annotations

from html import escape
from typing import Final, Literal

from services.control_plane.portal.static_files import StaticFiles

PageName = Literal["orgs", "integrations", "members", "history", "sign-in", "not-found"]
SignInWay = Literal["oidc", "link"]
PRODUCT: Final = "run9 AI Gateway"
TITLES: Final[dict[PageName, str]] = {
    "orgs": "My Orgs",
    "integrations": "AI Integrations",
    "members": "Members",
    "history": "History",
    "sign-in": "Sign in",
    "not-found": "Not found",
}
# Where two sheets say something of the same element, the later one counts.
STYLE_SHEETS: Final = ("base.css", "frame.css", "card.css", "pages.css", "media.css")


def page(static: StaticFiles, name: PageName, way: SignInWay) -> str:
    """Write the document."""
    sheets = "\n".join(f'<link rel="stylesheet" href="{escape(static.url(name))}">' for name in STYLE_SHEETS)
    preloads = "\n".join(f'<link rel="modulepreload" href="{escape(url)}">' for url in static.modules())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{TITLES[name]} · {PRODUCT}</title>
<link rel="icon" href="{static.url("icon.svg")}">
{sheets}
{preloads}
<script type="module" src="{static.url("main.js")}"></script>
</head>
<body data-page="{name}" data-sign-in="{way}">
<noscript><p class="noscript">The Portal needs JavaScript. The REST API can do everything, too.</p></noscript>
</body>
</html>
"""
