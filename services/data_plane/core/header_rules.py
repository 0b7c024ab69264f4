"""What becomes of each header, by its name alone: kept, dropped, or noted because something depends on it.

Two tables, one per direction. They are the whole of the header contract; everything not named passes
unchanged, whatever it is called tomorrow.
"""

from __future__ import annotations

from typing import Final

from services.data_plane.core.field_lines import DROP, KEEP, NOTE, FieldRules

CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key"})
"""Where clients put a key. Whatever stands there is thrown away."""

_HOP_BY_HOP = frozenset(  # RFC 9110 §7.6.1, and the names that older software still sends
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"proxy-authenticate"}
)

_REQUEST: dict[bytes, int] = {
    # Who is asking. Thrown away; noted only to know that a program, not a page, is calling.
    **dict.fromkeys(CREDENTIALS, NOTE),
    b"proxy-authorization": DROP,
    b"cookie": DROP,
    b"openai-organization": DROP,
    b"openai-project": DROP,
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
    # Read, and passed on.
    b"expect": NOTE | KEEP,
    b"origin": NOTE | KEEP,
    b"sec-fetch-site": NOTE | KEEP,
    # Rewritten in some requests.
    b"anthropic-beta": NOTE | KEEP,
    b"sec-websocket-protocol": NOTE,
    # Ours.
    b"x-run9-box-token": NOTE,
}

_RESPONSE: dict[bytes, int] = {
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

    Names with `_` are dropped: CGI-style servers read them as the same name with `-`.
    """
    if b"_" in lower or lower.startswith((b"x-forwarded-", b"x-run9-")):
        return _REQUEST.get(lower, DROP)
    return _REQUEST.get(lower, KEEP)


def response_rule(lower: bytes) -> int:
    """Judge a response header by its name in lower case.

    `x-run9-*` is dropped: an endpoint must not speak in the gateway's name.
    """
    return _RESPONSE.get(lower, DROP if lower.startswith(b"x-run9-") else KEEP)


REQUEST_FIELDS: Final = FieldRules(request_rule)
RESPONSE_FIELDS: Final = FieldRules(response_rule)
