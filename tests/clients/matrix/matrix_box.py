"""A box of the matrix: set up by the set-up script, with files to send, or pointed at a provider directly."""

from __future__ import annotations

import base64
import json
import re
from typing import Final

from tests.clients.box import Box
from tests.clients.matrix.catalogue import IMAGE, PDF, Client
from tests.clients.matrix.tool_calls import CITY, NOTE
from tests.clients.org import BASE_PATH

_DOT: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


class MatrixBox(Box):
    """A box for a client of the matrix."""

    async def prepare(self, client: Client) -> None:
        """Run the set-up script, add the settings of the client, and lay down the files for the calls."""
        await self.set_up()
        if client.title == "GitHub Copilot CLI":
            self.variables["COPILOT_PROVIDER_BASE_URL"] = self.variables["OPENAI_BASE_URL"]
        if client.title == "Codex":
            with (self.home / ".codex" / "config.toml").open("a") as file:
                file.write("check_for_update_on_startup = false\n[analytics]\nenabled = false\n")
        if client.title == "Gemini CLI":
            settings = self.home / ".gemini" / "settings.json"
            quiet = {"privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False}}
            settings.write_text(json.dumps(json.loads(settings.read_text()) | quiet))
        (self.home / NOTE).write_text(CITY)
        (self.home / PDF).write_bytes(b"%PDF-1.4\n" + b"x" * 99_000)
        (self.home / IMAGE).write_bytes(_DOT)

    def call_directly(self, origin: str, client: Client) -> str:
        """Point every client at a provider without the gateway; gives the path before the provider's own.

        The path is the gateway's, as a client may send the base URL inside a request. The scripted answers of
        Google know one path alone.
        """
        base = BASE_PATH if client.provider == "gemini" else f"/run9/ai/{client.provider}"
        by_openai = f"{origin}{base}/v1/"
        self.variables |= {"OPENAI_BASE_URL": by_openai, "OPENAI_API_BASE": by_openai}
        self.variables["ANTHROPIC_BASE_URL"] = f"{origin}{base}{client.direct_suffix}"
        self.variables["GOOGLE_GEMINI_BASE_URL"] = f"{origin}{base}"
        if "COPILOT_PROVIDER_BASE_URL" in self.variables:
            self.variables["COPILOT_PROVIDER_BASE_URL"] = by_openai
        codex = self.home / ".codex" / "config.toml"
        line = re.compile(r'^openai_base_url = ".*"$', re.MULTILINE)
        codex.write_text(line.sub(f'openai_base_url = "{origin}{base}/v1"', codex.read_text()))
        return base
