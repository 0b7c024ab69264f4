"""Compiles an integration: the feed's row and the secret store's document become the relay's integration.

Pure. Every byte for the wire is checked here once, so nothing is checked per request. The destination comes
from the secret document alone; the feed's row cannot aim a key.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from services.data_plane.core.integration import CompiledIntegration
from shared.endpoint import Endpoint, EndpointError, parse_endpoint
from shared.providers import PROVIDERS, Provider, ProviderName

if TYPE_CHECKING:
    from shared.config_feed import IntegrationRow
    from shared.secret_document import SecretDocument

MAX_KEY_CHARS: Final = 512
_MAX_REMEMBERED_DESTINATIONS: Final = 4_096

# RFC 9110 §5.5: a field value begins and ends with a visible character and holds no control byte.
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class CompileError(ValueError):
    """The secret cannot be used; the message gives the reason and shows nothing of the secret."""


def compile_integration(
    row: IntegrationRow, document: SecretDocument, *, allow_plain_http: bool
) -> CompiledIntegration:
    """Compile `row` with the secret of its version.

    Raises:
        CompileError: the document is another integration's, its key cannot stand in a header line, or its
            endpoint is malformed or not permitted.
    """
    if (document.org, document.provider) != (row.org, row.provider):
        raise CompileError("the stored secret belongs to another integration")
    provider = PROVIDERS[row.provider]
    endpoint, base_path, host_line = _destination(row.provider, document.endpoint)
    if not endpoint.tls and not allow_plain_http:
        raise CompileError("the stored endpoint is plain http, which this gateway does not allow")
    key = _key_bytes(document.api_key.reveal())
    credential_lines, beta_token = _credential(provider, key)
    return CompiledIntegration(
        provider=provider,
        org=row.org,
        endpoint=endpoint,
        base_path=base_path,
        host_line=host_line,
        credential_lines=credential_lines,
        key_bytes=key,
        beta_token=beta_token,
        secret_version=row.secret_version,
    )


@lru_cache(_MAX_REMEMBERED_DESTINATIONS)
def _destination(provider: ProviderName, text: str) -> tuple[Endpoint, bytes, bytes]:
    """Parse an endpoint once, however many orgs share the text: (endpoint, base path, Host line)."""
    try:
        endpoint = parse_endpoint(text)
    except EndpointError as error:
        raise CompileError(f"the stored endpoint is not usable ({error})") from None
    version = PROVIDERS[provider].version_segment
    base_path = endpoint.base_path
    # Some people put the version in, although ANTHROPIC_BASE_URL goes without it.
    base_path = base_path.removesuffix(version)
    return (
        endpoint,
        (base_path + version).encode("ascii"),
        b"Host: %s\r\n" % endpoint.authority.encode("ascii"),
    )


def _key_bytes(key: str) -> bytes:
    if len(key) > MAX_KEY_CHARS or not _KEY.fullmatch(key):
        raise CompileError("the stored key is empty, too long, or has a character that no header may carry")
    return key.encode("ascii")


def _credential(provider: Provider, key: bytes) -> tuple[bytes, bytes]:
    """Give the header line with the key, and the beta token required beside the key."""
    credential = provider.credential_for(key.decode("ascii"))
    line = f"{credential.header}: {credential.scheme}".encode() + key + b"\r\n"
    return line, credential.beta.encode()
