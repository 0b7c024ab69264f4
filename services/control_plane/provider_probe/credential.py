"""How a trial shows its key to a provider: the same forms that the data plane sends."""

from __future__ import annotations

from typing import Final

from shared.key_trial import ANTHROPIC_VERSION
from shared.providers import ProviderName, kind_of_key
from shared.secret import Secret

OAUTH_BETA: Final = "oauth-2025-04-20"


def credential_headers(provider: ProviderName, key: Secret) -> dict[str, str]:
    """Give the headers that carry `key`. **Hold it in clear.**"""
    text = key.reveal()
    match provider, kind_of_key(text):
        case "openai", _:
            return {"authorization": f"Bearer {text}"}
        case _, "anthropic_oauth":
            return {
                "authorization": f"Bearer {text}",
                "anthropic-version": ANTHROPIC_VERSION,
                "anthropic-beta": OAUTH_BETA,
            }
        case _:
            return {"x-api-key": text, "anthropic-version": ANTHROPIC_VERSION}
