"""The treatment of each header, by its name alone: kept, dropped, or noted because of a consequence.

Two tables, one per direction, and the families of request headers with a pattern (`header_families.py`).
Every other header passes unchanged, whatever its future name.
"""

from __future__ import annotations

from typing import Final

from services.data_plane.core.attribution import ATTRIBUTION_HEADERS
from services.data_plane.core.field_lines import DROP, KEEP, NOTE, FieldRules
from services.data_plane.core.header_families import is_credential, is_dropped_family
from shared.providers import PROVIDERS

KNOWN_WITH_UNDERSCORE: Final = frozenset({b"session_id", b"conversation_id"})
"""Codex sends these; without them a provider's prompt cache misses."""

_HOP_BY_HOP = frozenset(  # RFC 9110 §7.6.1, and the names that older software still sends
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"proxy-authenticate"}
)

_REQUEST: dict[bytes, int] = {
    # Sent by browsers unasked, so no sign of a program.
    b"proxy-authorization": DROP,
    b"cookie": DROP,
    b"cookie2": DROP,
    # Where it came from. The provider must not learn it, nor be told a tale.
    b"forwarded": DROP,
    b"via": DROP,
    # This connection only.
    **dict.fromkeys(_HOP_BY_HOP, DROP),
    b"connection": NOTE,
    b"upgrade": NOTE,
    b"host": NOTE,
    # Framing: checked, then passed as it came, because the body's bytes are passed as they come.
    b"content-length": NOTE | KEEP,
    b"transfer-encoding": NOTE | KEEP,
    # Judged by the gateway. A provider that sees an Origin takes the caller for a page (Anthropic: 401).
    b"origin": NOTE,
    # Read, and passed on.
    b"expect": NOTE | KEEP,
    b"sec-fetch-site": NOTE | KEEP,
    # Rewritten in some requests.
    b"anthropic-beta": NOTE | KEEP,
    b"sec-websocket-protocol": NOTE,
    # Needed as they are, though their names look like a family's.
    b"sec-websocket-key": KEEP,
    **dict.fromkeys(KNOWN_WITH_UNDERSCORE, KEEP),
    # Read for the log and the usage record, and passed on.
    **dict.fromkeys(ATTRIBUTION_HEADERS, NOTE | KEEP),
    # Ours.
    b"x-run9-box-token": NOTE,
}

ADDRESS_FIELDS: Final = frozenset(name.encode() for row in PROVIDERS.values() for name in row.address_headers)
"""Response headers of any provider that hold an absolute URL."""

_RESPONSE: dict[bytes, int] = {
    **dict.fromkeys(ADDRESS_FIELDS, NOTE),
    **dict.fromkeys(_HOP_BY_HOP, DROP),
    b"connection": NOTE,
    b"upgrade": NOTE,
    # Would bind the box to the provider's host, or tell it whose account is behind the gateway.
    b"set-cookie": DROP,
    b"set-cookie2": DROP,
    b"alt-svc": DROP,
    b"strict-transport-security": DROP,
    b"report-to": DROP,
    b"nel": DROP,
    b"openai-organization": DROP,
    b"openai-project": DROP,
    b"anthropic-organization-id": DROP,
    b"content-length": NOTE | KEEP,
    b"transfer-encoding": NOTE | KEEP,
    b"location": NOTE,
    b"x-request-id": NOTE | KEEP,
    b"request-id": NOTE | KEEP,
    b"sec-websocket-protocol": NOTE | KEEP,
}


def request_rule(lower: bytes) -> int:
    """Judge a request header by its name in lower case: `DROP`, `KEEP`, `NOTE` or `NOTE | KEEP`.

    A client's credential is noted: no page can send such a header unasked, so a program is calling. Names
    with `_` are dropped: CGI-style servers read them as the same name with `-`.
    """
    known = _REQUEST.get(lower)
    if known is not None:
        return known
    if is_credential(lower):
        return NOTE
    return DROP if b"_" in lower or is_dropped_family(lower) else KEEP


def is_noted_credential(lower: bytes) -> bool:
    """Whether a noted name stands for a client's credential: every other noted name is in the table."""
    return lower not in _REQUEST


def response_rule(lower: bytes) -> int:
    """Judge a response header by its name in lower case.

    `x-run9-*` is dropped: an endpoint must not speak in the gateway's name.
    """
    return _RESPONSE.get(lower, DROP if lower.startswith(b"x-run9-") else KEEP)


REQUEST_FIELDS: Final = FieldRules(request_rule)
RESPONSE_FIELDS: Final = FieldRules(response_rule)
