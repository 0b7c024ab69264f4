"""How a key test shows its key to a provider: the same forms as in the data plane."""

from __future__ import annotations

from shared.providers import PROVIDERS, ProviderName
from shared.secret import Secret


def credential_headers(provider: ProviderName, key: Secret) -> dict[str, str]:
    """Give the headers of a key test with the credential `key`. **The headers hold the key in clear.**"""
    text, row = key.reveal(), PROVIDERS[provider]
    credential = row.credential_for(text)
    headers = {credential.header.lower(): credential.scheme + text, **row.key_test.headers}
    return {**headers, "anthropic-beta": credential.beta} if credential.beta else headers
