"""The treatment of each header, by its name alone: kept, dropped, or captured because of a consequence.

Two tables, one per direction, and the families of request headers with a pattern (`header_families.py`).
Every other header passes unchanged, whatever its future name.
"""

from __future__ import annotations

from typing import Final

from services.data_plane.core.attribution import ATTRIBUTION_HEADERS
from services.data_plane.core.field_lines import CAPTURE, PASS, STRIP, FieldRules
from services.data_plane.core.header_families import is_credential, is_dropped_family
from shared.providers import PROVIDERS

KNOWN_WITH_UNDERSCORE: Final = frozenset({b"session_id", b"conversation_id"})
"""Codex sends these; without them a provider's prompt cache misses."""

_HOP_BY_HOP = frozenset(  # RFC 9110 §7.6.1, and the names that older software still sends
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"proxy-authenticate"}
)

TRACE_CONTEXT: Final = frozenset({b"traceparent", b"tracestate", b"baggage"})
"""W3C Trace Context and Baggage: of the caller's own systems, so no provider's business unless set."""

_REQUEST: dict[bytes, int] = {
    # Sent by browsers unasked, so no sign of a program.
    b"proxy-authorization": STRIP,
    b"cookie": STRIP,
    b"cookie2": STRIP,
    # Where it came from. The provider must not learn it, nor be told a tale.
    b"forwarded": STRIP,
    b"via": STRIP,
    # This connection only.
    **dict.fromkeys(_HOP_BY_HOP, STRIP),
    b"connection": CAPTURE,
    b"upgrade": CAPTURE,
    b"host": CAPTURE,
    # Framing: checked, then passed as it came, because the body's bytes are passed as they come.
    b"content-length": CAPTURE | PASS,
    b"transfer-encoding": CAPTURE | PASS,
    # Judged by the gateway. A provider that sees an Origin takes the caller for a page (Anthropic: 401).
    b"origin": CAPTURE,
    # Read, and passed on.
    b"expect": CAPTURE | PASS,
    b"sec-fetch-site": CAPTURE | PASS,
    # Rewritten in some requests.
    b"anthropic-beta": CAPTURE | PASS,
    b"sec-websocket-protocol": CAPTURE,
    # Needed as they are, though their names look like a family's.
    b"sec-websocket-key": PASS,
    **dict.fromkeys(KNOWN_WITH_UNDERSCORE, PASS),
    # Read for the log and the usage record, and passed on.
    **dict.fromkeys(ATTRIBUTION_HEADERS, CAPTURE | PASS),
    # Read for the gateway's own traces.
    **dict.fromkeys(TRACE_CONTEXT, STRIP),
    b"traceparent": CAPTURE,
    # Ours.
    b"x-run9-box-token": CAPTURE,
}

ADDRESS_FIELDS: Final = frozenset(name.encode() for row in PROVIDERS.values() for name in row.address_headers)
"""Response headers of any provider that hold an absolute URL."""

_RESPONSE: dict[bytes, int] = {
    **dict.fromkeys(ADDRESS_FIELDS, CAPTURE),
    **dict.fromkeys(_HOP_BY_HOP, STRIP),
    b"connection": CAPTURE,
    b"upgrade": CAPTURE,
    # Would bind the box to the provider's host, or tell it whose account is behind the gateway.
    b"set-cookie": STRIP,
    b"set-cookie2": STRIP,
    b"alt-svc": STRIP,
    b"strict-transport-security": STRIP,
    b"report-to": STRIP,
    b"nel": STRIP,
    b"openai-organization": STRIP,
    b"openai-project": STRIP,
    b"anthropic-organization-id": STRIP,
    b"content-length": CAPTURE | PASS,
    b"transfer-encoding": CAPTURE | PASS,
    b"location": CAPTURE,
    b"x-request-id": CAPTURE | PASS,
    b"request-id": CAPTURE | PASS,
    b"sec-websocket-protocol": CAPTURE | PASS,
}


def request_rule(lower: bytes) -> int:
    """Judge a request header by its name in lower case: `STRIP`, `PASS`, `CAPTURE` or `CAPTURE | PASS`.

    A client's credential is captured: no page can send such a header unasked, so a program is calling. Names
    with `_` are dropped: CGI-style servers read them as the same name with `-`.
    """
    known = _REQUEST.get(lower)
    if known is not None:
        return known
    if is_credential(lower):
        return CAPTURE
    return STRIP if b"_" in lower or is_dropped_family(lower) else PASS


def _rule_with_trace_context(lower: bytes) -> int:
    return request_rule(lower) | PASS if lower in TRACE_CONTEXT else request_rule(lower)


def is_noted_credential(lower: bytes) -> bool:
    """Whether a captured name stands for a client's credential: every other captured name is in the table."""
    return lower not in _REQUEST


def response_rule(lower: bytes) -> int:
    """Judge a response header by its name in lower case.

    `x-run9-*` is dropped: an endpoint must not speak in the gateway's name.
    """
    return _RESPONSE.get(lower, STRIP if lower.startswith(b"x-run9-") else PASS)


REQUEST_FIELDS: Final = FieldRules(request_rule)
REQUEST_FIELDS_WITH_TRACE_CONTEXT: Final = FieldRules(_rule_with_trace_context)
"""The same, but the trace context passes on to the provider."""
RESPONSE_FIELDS: Final = FieldRules(response_rule)
