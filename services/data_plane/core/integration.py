"""One integration, compiled: everything that a request needs to know about its org's provider.

Built once per change by `table`, looked up once per request, never changed. What is not here is not needed
on the hot path.
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
    """Say why there is no integration. A new exception each time: one that is raised again keeps its past."""
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
    r"""A ready integration. Compared by identity: a change makes a new one.

    Attributes:
        provider: the row of the provider table.
        org: whose it is.
        endpoint: where it goes; connections are pooled per (org, endpoint).
        base_path: `/v1`, `` …: what is put before the box's path, version segment included.
        host_line: `Host: api.openai.com\r\n`.
        credential_lines: the header lines that carry the key, each ended by CRLF. Secret.
        key_bytes: the key itself, for the search of every head. Secret.
        key_search: finds the key in other spellings too. Secret.
        beta_token: a token that must stand in `anthropic-beta` (setup tokens), or empty.
        secret_version: which version of the secret this was compiled from.
        pool_key: connections are shared within this, and never beyond it.
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
