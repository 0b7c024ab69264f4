"""A compiled integration: a request's whole knowledge about its org's provider.

Built once per change by `table`, looked up once per request, never changed. Facts not needed on the hot path
are not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from services.data_plane.core.key_scan import KeySearch
from services.data_plane.core.refused import Refused
from shared.endpoint import Endpoint
from shared.providers import Provider
from shared.rejections import Rejection


class NotReady(Enum):
    """Why a look-up gives no integration."""

    UNKNOWN = "unknown"  # this process has no configuration, or it is too old: never "missing"
    MISSING = "missing"
    DISABLED = "disabled"
    LOADING = "loading"  # configured; its secret is not in memory yet


def refused_because(why: NotReady) -> Refused:
    """Explain a missing integration. Gives a new exception each time: a repeated exception keeps its past."""
    match why:
        case NotReady.MISSING:
            return Refused(Rejection.INTEGRATION_MISSING)
        case NotReady.DISABLED:
            return Refused(Rejection.INTEGRATION_DISABLED)
        case NotReady.LOADING:
            return Refused(Rejection.CONFIG_UNAVAILABLE, "the organization's key cannot be fetched now")
        case NotReady.UNKNOWN:
            return Refused(Rejection.CONFIG_UNAVAILABLE, "none has arrived, or it is too old")


@dataclass(frozen=True, slots=True, eq=False)
class CompiledIntegration:
    r"""A ready integration. Compared by identity: a change makes a new object.

    Attributes:
        provider: the row of the provider table.
        org: the owner.
        endpoint: the destination; connections are pooled per (org, endpoint).
        base_path: `/v1`, `` …: the part before the box's path, version segment included.
        host_line: `Host: api.openai.com\r\n`.
        credential_lines: the header lines with the key, each ended by CRLF. Secret.
        key_bytes: the key itself, for the search of every head. Secret.
        key_search: finds the key in other spellings too. Secret.
        beta_token: a token required in `anthropic-beta` (setup tokens), or empty.
        secret_version: which version of the secret this was compiled from.
        pool_key: connections are shared within this key, and never beyond.
    """

    provider: Provider
    org: str
    endpoint: Endpoint
    base_path: bytes
    host_line: bytes
    credential_lines: bytes = field(repr=False)
    key_bytes: bytes = field(repr=False)
    beta_token: bytes
    secret_version: int
    key_search: KeySearch = field(init=False, repr=False)
    pool_key: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_search", KeySearch(self.key_bytes))
        object.__setattr__(self, "pool_key", (self.org, str(self.endpoint)))
