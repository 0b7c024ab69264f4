r"""The only definition of an acceptable request head: parsed once into passed lines and captured values.

RFC 9112 read strictly: whatever two parsers might read differently is refused. No leading empty line, no
obsolete line folding (§5.2), no bare CR or LF (§2.2), no space before the colon (§5.1), no second
`Content-Length`, no `Content-Length` with `Transfer-Encoding` (§6.1), no coding but `chunked`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from services.data_plane.core.attribution import UNATTRIBUTED, Attribution, attribution_of
from services.data_plane.core.field_lines import PASS, BadFields, FieldRules, parse_fields
from services.data_plane.core.framing import ChunkedFraming, Framing, LengthFraming
from services.data_plane.core.header_rules import REQUEST_FIELDS, is_noted_credential, request_rule
from services.data_plane.core.leaked_keys import looks_real
from services.data_plane.core.refused import Refused, bad_request
from services.data_plane.core.websocket_protocols import split_protocols
from shared.rejections import Rejection

MAX_CONTENT_LENGTH_DIGITS: Final = 18

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"  # RFC 9110 §5.6.2
# No `#` in a request target (RFC 9112 §3.2).
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb"{1,32}+) ([!\"$-~]++) HTTP/1\.([01])\r\n")
_LOOSE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\x00")
_BEGINNING = re.compile(_TOKEN + rb"{1,32}+(?: |\Z)")
_DIGITS = re.compile(rb"[0-9]{1,%d}" % MAX_CONTENT_LENGTH_DIGITS)
_KEEP_ALIVE = [b"keep-alive"]  # what nearly every client says
_PLAIN_CONNECTION = frozenset({b"", b"close", b"keep-alive", b"upgrade"})
# Fields that frame the message or route it: naming them in Connection asks that they be taken away (RFC 9110
# §7.6.1), which would change what the message is.
_NOT_REMOVABLE = frozenset({b"content-length", b"transfer-encoding", b"host", b"x-run9-box-token"})
# Fields that the gateway writes again, from what it captured.
_REWRITTEN = frozenset({b"anthropic-beta", b"sec-websocket-protocol"})


@dataclass(slots=True)
class RequestHead:
    """A request head, cut.

    Attributes:
        method: as received, e.g. `POST`.
        target: the raw request target, visible ASCII.
        minor: 1 for HTTP/1.1, 0 for HTTP/1.0.
        kept: the passed header lines, raw, in their order, without the last line end.
        host: the `Host` value; None when an HTTP/1.0 request has none.
        content_length: bytes of a body sent with a length; None otherwise.
        chunked: whether the body is sent in chunks.
        keep_alive: whether the client will send another request on this connection.
        websocket: whether this is a well-formed WebSocket handshake's request line and Upgrade.
        expects_continue: whether the client waits for a 100 before sending the body.
        box_token: the `X-Run9-Box-Token` value, if any.
        origin, fetch_site: the values of `Origin` and `Sec-Fetch-Site`, if any.
        has_credential: whether the request has a credential header, which no page can send unasked.
        leaked_key: whether a credential in any form looks like a real provider key.
        ws_protocols: the offered WebSocket protocols without a credential; None when none were offered.
        beta: the `anthropic-beta` lines, if any (also in `kept`).
        attribution: the labels that the client's own headers give the request.
        trace_parent: the `traceparent` value, or empty.
    """

    method: bytes
    target: bytes
    minor: int
    kept: bytes = b""
    host: bytes | None = None
    content_length: int | None = None
    chunked: bool = False
    keep_alive: bool = True
    websocket: bool = False
    expects_continue: bool = False
    box_token: bytes | None = None
    origin: bytes | None = None
    fetch_site: bytes | None = None
    has_credential: bool = False
    leaked_key: bool = False
    ws_protocols: bytes | None = None
    beta: list[bytes] | None = None
    attribution: Attribution = UNATTRIBUTED
    trace_parent: bytes = b""

    def framing(self) -> Framing | None:
        """Give a new counter for the body; None when there is none."""
        return self.framing_of(self.content_length or 0)

    def framing_of(self, content_length: int) -> Framing | None:
        """Give a new counter for a body of this length, or in chunks."""
        if self.chunked:
            return ChunkedFraming(forbids=_not_a_trailer)
        return LengthFraming(content_length) if content_length else None


def _not_a_trailer(name: bytes) -> bool:
    """Whether a header is refused in the head, and so after the body."""
    return request_rule(name.lower()) != PASS


def check_incomplete(data: bytearray, seen: int) -> None:
    """Refuse early when no acceptable head can begin so. The first `seen` bytes were checked before."""
    if not _BEGINNING.match(data):
        raise bad_request("the request line is malformed")
    if _LOOSE_LINE_END.search(data, seen):
        raise bad_request("a line does not end in CRLF, or holds a NUL")


def parse_request_head(raw: bytes, max_fields: int, rules: FieldRules = REQUEST_FIELDS) -> RequestHead:
    """Parse a head with its empty line; raises `Refused` for an unacceptable head."""
    match = _REQUEST_LINE.match(raw)
    if match is None:
        raise bad_request("the request line is malformed")
    try:
        lines, kept, captured = parse_fields(raw, match.end(), rules)
    except BadFields as bad:
        raise bad_request(str(bad)) from None
    if len(lines) > max_fields:
        raise Refused(Rejection.HEAD_TOO_LARGE, f"more than {max_fields} header lines")
    method, target, minor = match.groups()
    head = RequestHead(method, target, 1 if minor == b"1" else 0)
    _read_host(head, captured)
    _read_framing(head, captured)
    named = _read_connection(head, captured)
    if named:
        kept = [line for line in kept if line.partition(b":")[0].lower() not in named]
    head.kept = b"\r\n".join(kept)
    _read_caller(head, captured)
    head.attribution = attribution_of(captured)
    if b"traceparent" in captured and len(captured[b"traceparent"]) == 1:
        head.trace_parent = captured[b"traceparent"][0]
    if b"anthropic-beta" in captured:
        head.beta = captured[b"anthropic-beta"]
    return head


def _read_host(head: RequestHead, captured: dict[bytes, list[bytes]]) -> None:
    """RFC 9112 §3.2: exactly one Host in HTTP/1.1."""
    hosts = captured.get(b"host")
    if hosts is None:
        if head.minor:
            raise bad_request("the Host header is missing")
    elif len(hosts) > 1:
        raise bad_request("there is more than one Host header")
    else:
        head.host = hosts[0]


def _read_framing(head: RequestHead, captured: dict[bytes, list[bytes]]) -> None:
    """RFC 9112 §6: a length or `chunked`, never both, never a list."""
    lengths = captured.get(b"content-length")
    codings = captured.get(b"transfer-encoding")
    if lengths is not None:
        if codings is not None:
            raise bad_request("both Content-Length and Transfer-Encoding")
        if len(lengths) > 1 or not _DIGITS.fullmatch(lengths[0]):
            raise bad_request("the Content-Length is not one number")
        head.content_length = int(lengths[0])
    elif codings is not None:
        # §6.1: a Transfer-Encoding in an HTTP/1.0 message is faulty framing.
        if len(codings) > 1 or codings[0].lower() != b"chunked" or not head.minor:
            raise bad_request("the Transfer-Encoding is not chunked")
        head.chunked = True
    expects = captured.get(b"expect")
    # A list (RFC 9110 §10.1.1). What it means for sure is that the body may not come.
    head.expects_continue = expects is not None and b"100-continue" in b",".join(expects).lower()


def _read_connection(head: RequestHead, captured: dict[bytes, list[bytes]]) -> set[bytes]:
    """RFC 9110 §7.6.1: the names in Connection are for this connection only. Gives the names to take away.

    An HTTP/1.0 client with keep-alive must be told about the kept connection (RFC 9112 §9.3), or the client
    waits for the end. Ours is ended.
    """
    head.keep_alive = head.minor == 1
    values = captured.get(b"connection")
    if values is None or values == _KEEP_ALIVE:
        return set()
    options = {option.strip(b" \t") for value in values for option in value.lower().split(b",")}
    head.keep_alive = head.keep_alive and b"close" not in options
    if b"upgrade" in options:
        head.websocket = _is_websocket(head, captured)
    named = options - _PLAIN_CONNECTION
    if named & _NOT_REMOVABLE:
        raise bad_request("Connection names a header that cannot be taken away")
    for name in named & _REWRITTEN:
        captured.pop(name, None)
    return named


def _is_websocket(head: RequestHead, captured: dict[bytes, list[bytes]]) -> bool:
    """RFC 6455 §4.1. Any other upgrade (h2c …) is not passed on, as if never requested."""
    upgrades = captured.get(b"upgrade", [])
    if len(upgrades) != 1 or upgrades[0].lower() != b"websocket" or not head.minor:
        return False
    if head.method != b"GET" or head.chunked or head.content_length:
        raise bad_request("a WebSocket handshake is a GET without a body")
    return True


def _read_caller(head: RequestHead, captured: dict[bytes, list[bytes]]) -> None:
    for name, values in captured.items():
        if is_noted_credential(name):
            head.has_credential = True
            head.leaked_key = head.leaked_key or any(map(looks_real, values))
    if protocols := captured.get(b"sec-websocket-protocol"):
        listed = [p.strip(b" \t") for value in protocols for p in value.split(b",")]
        harmless, credentials = split_protocols([p for p in listed if p])
        # Not `has_credential`: a page may put into this list what it likes.
        head.leaked_key = head.leaked_key or any(map(looks_real, credentials))
        head.ws_protocols = b", ".join(harmless) or None
    tokens = captured.get(b"x-run9-box-token")
    if tokens is not None:
        if len(tokens) > 1:
            raise bad_request("there is more than one box token")
        head.box_token = tokens[0]
    head.origin = _one(captured, b"origin")
    head.fetch_site = _one(captured, b"sec-fetch-site")


def _one(captured: dict[bytes, list[bytes]], name: bytes) -> bytes | None:
    values = captured.get(name)
    return b", ".join(values) if values else None
