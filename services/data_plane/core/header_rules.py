"""What becomes of each header, by its name alone: kept, dropped, or noted because something depends on it.

Two tables, one per direction. They are the whole of the header contract; everything not named passes
unchanged, whatever it is called tomorrow.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Final

NAME_CACHE_ENTRIES: Final = 4096


class Rule(IntEnum):
    """What to do with a header line. An int, because it is compared once per line."""

    KEEP = 0
    DROP = 1
    NOTE_AND_KEEP = 2
    NOTE_AND_DROP = 3


CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key"})
"""Where clients put a key. Whatever stands there is thrown away."""

_HOP_BY_HOP = frozenset(  # RFC 9110 §7.6.1, and the names that older software still sends
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"proxy-authenticate"}
)

_REQUEST: dict[bytes, Rule] = {
    # Who is asking. Thrown away; noted only to know that a program, not a page, is calling.
    **dict.fromkeys(CREDENTIALS, Rule.NOTE_AND_DROP),
    b"proxy-authorization": Rule.DROP,
    b"cookie": Rule.DROP,
    b"openai-organization": Rule.DROP,
    b"openai-project": Rule.DROP,
    # Where it came from. The provider must not learn it, nor be told a tale.
    b"forwarded": Rule.DROP,
    b"via": Rule.DROP,
    # This connection only.
    **dict.fromkeys(_HOP_BY_HOP, Rule.DROP),
    b"connection": Rule.NOTE_AND_DROP,
    b"upgrade": Rule.NOTE_AND_DROP,
    b"host": Rule.NOTE_AND_DROP,
    # Framing: checked, then passed as it came, because the body's bytes are passed as they come.
    b"content-length": Rule.NOTE_AND_KEEP,
    b"transfer-encoding": Rule.NOTE_AND_KEEP,
    # Read, and passed on.
    b"expect": Rule.NOTE_AND_KEEP,
    b"origin": Rule.NOTE_AND_KEEP,
    b"sec-fetch-site": Rule.NOTE_AND_KEEP,
    # Rewritten in some requests.
    b"anthropic-beta": Rule.NOTE_AND_KEEP,
    b"sec-websocket-protocol": Rule.NOTE_AND_DROP,
    # Ours.
    b"x-run9-box-token": Rule.NOTE_AND_DROP,
}

_RESPONSE: dict[bytes, Rule] = {
    **dict.fromkeys(_HOP_BY_HOP, Rule.DROP),
    b"connection": Rule.NOTE_AND_DROP,
    b"upgrade": Rule.NOTE_AND_DROP,
    # Would bind the box to the provider's host, or tell it whose account is behind the gateway.
    b"set-cookie": Rule.DROP,
    b"set-cookie2": Rule.DROP,
    b"alt-svc": Rule.DROP,
    b"strict-transport-security": Rule.DROP,
    b"report-to": Rule.DROP,
    b"nel": Rule.DROP,
    b"openai-organization": Rule.DROP,
    b"openai-project": Rule.DROP,
    b"anthropic-organization-id": Rule.DROP,
    b"content-length": Rule.NOTE_AND_KEEP,
    b"transfer-encoding": Rule.NOTE_AND_KEEP,
    b"location": Rule.NOTE_AND_DROP,
    b"x-request-id": Rule.NOTE_AND_KEEP,
    b"request-id": Rule.NOTE_AND_KEEP,
    b"sec-websocket-protocol": Rule.NOTE_AND_KEEP,
}


@lru_cache(NAME_CACHE_ENTRIES)
def request_rule(name: bytes) -> tuple[Rule, bytes]:
    """Give the rule for a request header, and its name in lower case.

    Names with `_` are dropped: CGI-style servers read them as the same name with `-`.
    """
    lower = name.lower()
    if b"_" in lower or lower.startswith((b"x-forwarded-", b"x-run9-")):
        return _REQUEST.get(lower, Rule.DROP), lower
    return _REQUEST.get(lower, Rule.KEEP), lower


@lru_cache(NAME_CACHE_ENTRIES)
def response_rule(name: bytes) -> tuple[Rule, bytes]:
    """Give the rule for a response header, and its name in lower case.

    `x-run9-*` is dropped: an endpoint must not speak in the gateway's name.
    """
    lower = name.lower()
    if lower.startswith(b"x-run9-"):
        return Rule.DROP, lower
    return _RESPONSE.get(lower, Rule.KEEP), lower
