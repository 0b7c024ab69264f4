"""The content of the secret store for an integration: the key *and its own destination*, bound to its owner.

The data plane sends a key only to the endpoint stored beside the key, so no writer of the database or the bus
can aim a stored key elsewhere. Written by the control plane, read by the data plane.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.providers import PROVIDERS
from shared.secret import Secret

if TYPE_CHECKING:
    from shared.providers import ProviderName

_ORG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


class SecretDocumentError(ValueError):
    """The document is malformed or belongs to another integration; shows none of its content."""


@dataclass(frozen=True, slots=True)
class SecretDocument:
    """The key of an integration and its allowed destination. `endpoint` is canonical (`str(Endpoint)`)."""

    org: str
    provider: ProviderName
    endpoint: str
    api_key: Secret


def path_of(org: str, provider: ProviderName) -> str:
    """Where the document lies below the store's root: `orgs/<org>/<provider>`.

    Raises `SecretDocumentError` for an org or provider that could lead out of its folder: a reader may have
    the names from a forged event.
    """
    if provider not in PROVIDERS or not _ORG.fullmatch(org):
        raise SecretDocumentError("no secret lies under such a name")
    return f"orgs/{org}/{provider}"


def to_fields(document: SecretDocument) -> dict[str, str]:
    """Write the document as the flat text fields kept by a store. **Holds the key in clear.**"""
    return {
        "org": document.org,
        "provider": document.provider,
        "endpoint": document.endpoint,
        "api_key": document.api_key.reveal(),
    }


def from_fields(fields: object, org: str, provider: ProviderName) -> SecretDocument:
    """Read the document of (`org`, `provider`); raises `SecretDocumentError` for any other document."""
    if not isinstance(fields, dict) or set(fields) != {"org", "provider", "endpoint", "api_key"}:
        raise SecretDocumentError("the stored secret does not have the expected fields")
    if not all(isinstance(value, str) for value in fields.values()):
        raise SecretDocumentError("the stored secret has a field that is not text")
    if fields["org"] != org or fields["provider"] != provider or provider not in PROVIDERS:
        raise SecretDocumentError("the stored secret belongs to another integration")
    return SecretDocument(org, provider, fields["endpoint"], Secret(fields["api_key"]))


def to_json(document: SecretDocument) -> bytes:
    """Write the fields as JSON, for a store that keeps bytes. **Holds the key in clear.**"""
    return json.dumps(to_fields(document), separators=(",", ":"), sort_keys=True).encode()


def from_json(data: bytes, org: str, provider: ProviderName) -> SecretDocument:
    """Read the output of `to_json`; raises `SecretDocumentError`."""
    try:
        fields = json.loads(data)
    except ValueError:
        raise SecretDocumentError("the stored secret is not JSON") from None
    return from_fields(fields, org, provider)
