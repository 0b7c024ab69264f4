"""A provider's response head, parsed once: the passed lines, the end of the body, the withheld parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.data_plane.core.field_lines import BadFields, parse_fields
from services.data_plane.core.framing import ChunkedFraming, Framing, LengthFraming, UntilCloseFraming
from services.data_plane.core.header_rules import ADDRESS_FIELDS, RESPONSE_FIELDS

MAX_REQUEST_ID_BYTES: Final = 128

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})( [\t\x20-\x7e\x80-\xff]*+)?\r\n")
_BEGINNING = b"HTTP/1."
_LOOSE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_KEEP_ALIVE = [b"keep-alive"]  # what nearly every provider says
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SWITCHING, _NO_CONTENT, _NOT_MODIFIED, _FIRST_FINAL = 101, 204, 304, 200


class BadResponse(ValueError):  # noqa: N818  # a finding about the provider's bytes
    """The head is no acceptable HTTP; the message is a detail for `upstream_invalid`."""


@dataclass(slots=True, init=False)
class ResponseHead:
    """A response head, cut.

    Attributes:
        status: 100 to 999.
        reason: with its leading space, or empty.
        kept: the passed lines, raw, in their order; each a line or several, without the last line end.
        framing: how the body ends; None when there is none.
        keep_alive: whether the provider keeps the connection.
        location: the `Location` value, if any; not in `kept`.
        request_id: the provider's own id of the request, or empty.
        addresses: lower-case names and values of headers that hold an absolute URL; not in `kept`.
        upgrades, ws_protocols: the `Upgrade` and `Sec-WebSocket-Protocol` values of a 101, else empty.
    """

    status: int
    reason: bytes
    kept: list[bytes]
    framing: Framing | None
    keep_alive: bool
    location: bytes | None
    request_id: str
    addresses: Sequence[tuple[bytes, bytes]]
    upgrades: Sequence[bytes]
    ws_protocols: Sequence[bytes]

    def __init__(  # an answer's; written out, because only so it can be compiled
        self,
        status: int,
        reason: bytes,
        kept: list[bytes],
        framing: Framing | None,
        keep_alive: bool,  # noqa: FBT001  # by position: this is once per request, and names cost
        location: bytes | None,
        request_id: str,
    ) -> None:
        self.status = status
        self.reason = reason
        self.kept = kept
        self.framing = framing
        self.keep_alive = keep_alive
        self.location = location
        self.request_id = request_id
        self.addresses = ()
        self.upgrades = self.ws_protocols = ()

    @property
    def interim(self) -> bool:
        """Whether another head follows (RFC 9110 §15.2); 101 is final here."""
        return self.status < _FIRST_FINAL and self.status != _SWITCHING

    @property
    def redirect(self) -> bool:
        """Whether the response tells the client to ask elsewhere."""
        return self.status in _REDIRECTS and self.location is not None

    def payload_spans(self) -> list[tuple[int, int]] | None:
        """Have the framing tell where the payload stands in the latest piece; None for payload alone."""
        if not isinstance(self.framing, ChunkedFraming):
            return None
        spans: list[tuple[int, int]] = []
        self.framing.spans = spans
        return spans


def check_incomplete_response(data: bytearray, seen: int) -> None:
    """Raise `BadResponse` when no head can begin so. The first `seen` bytes were checked before."""
    if not _BEGINNING.startswith(bytes(data[: len(_BEGINNING)])):
        raise BadResponse("not HTTP/1.1")
    if _LOOSE_LINE_END.search(data, seen):
        raise BadResponse("a line does not end in CRLF")


def parse_response_head(raw: bytes, request_method: bytes, max_fields: int) -> ResponseHead:
    """Parse a head with its empty line; raises `BadResponse`.

    Args:
        raw: the head.
        request_method: of the response's request.
        max_fields: a head may have so many lines.
    """
    match = _STATUS_LINE.match(raw)
    if match is None:
        raise BadResponse("a malformed status line")
    try:
        lines, kept, noted = parse_fields(raw, match.end(), RESPONSE_FIELDS)
    except BadFields as bad:
        raise BadResponse(str(bad)) from None
    if len(lines) > max_fields:
        raise BadResponse(f"more than {max_fields} header lines")
    return _judge_head(match, kept, noted, request_method)


def _judge_head(
    status_line: re.Match[bytes], kept: list[bytes], noted: dict[bytes, list[bytes]], request_method: bytes
) -> ResponseHead:
    minor, status_text, reason = status_line.groups()
    status = int(status_text)
    keep_alive = minor == b"1"
    if b"connection" in noted:
        keep_alive, kept = _read_connection(noted[b"connection"], kept, keep_alive)
    framing = _framing_of(status, noted, request_method)
    if status == _NO_CONTENT or minor == b"0":
        keep_alive = keep_alive and not _announces_wrongly(status, noted)
    if status < _FIRST_FINAL or status == _NO_CONTENT:
        # Not to be said in these (RFC 9112 §6.1, RFC 9110 §8.6), and some clients would wait for a body.
        kept = [line for line in kept if line.partition(b":")[0].lower() not in _FRAMING]
    ids = noted.get(b"x-request-id") or noted.get(b"request-id")
    head = ResponseHead(
        status=status,
        reason=reason or b"",
        kept=kept,
        framing=framing,
        keep_alive=keep_alive and not isinstance(framing, UntilCloseFraming),
        location=noted[b"location"][0] if b"location" in noted else None,
        request_id=request_id_text(ids[0]) if ids else "",
    )
    if not ADDRESS_FIELDS.isdisjoint(noted):
        head.addresses = [
            (name, value) for name in ADDRESS_FIELDS.intersection(noted) for value in noted[name]
        ]
    if status == _SWITCHING:
        head.upgrades = noted.get(b"upgrade", ())
        head.ws_protocols = noted.get(b"sec-websocket-protocol", ())
    return head


def _read_connection(values: list[bytes], kept: list[bytes], is_11: bool) -> tuple[bool, list[bytes]]:  # noqa: FBT001  # a value read off the wire
    if values == _KEEP_ALIVE:
        return True, kept
    options = {option.strip(b" \t") for value in values for option in value.lower().split(b",")}
    keep_alive = b"close" not in options and (is_11 or b"keep-alive" in options)
    named = options - {b"", b"close", b"keep-alive", b"upgrade"} - _FRAMING
    if named:
        kept = [line for line in kept if line.partition(b":")[0].lower() not in named]
    return keep_alive, kept


def _framing_of(status: int, noted: dict[bytes, list[bytes]], request_method: bytes) -> Framing | None:
    """RFC 9112 §6.3, with its "ought to be handled as an error" taken at its word."""
    lengths, codings = noted.get(b"content-length"), noted.get(b"transfer-encoding")
    if lengths is not None:
        if codings is not None:
            raise BadResponse("both Content-Length and Transfer-Encoding")
        if (len(lengths) > 1 and len(set(lengths)) > 1) or not _DIGITS.fullmatch(lengths[0]):
            raise BadResponse("a Content-Length that is not one number")
    elif codings is not None and (len(codings) > 1 or codings[0].lower() != b"chunked"):
        raise BadResponse("a Transfer-Encoding that is not chunked")
    if status < _FIRST_FINAL or status in {_NO_CONTENT, _NOT_MODIFIED} or request_method == b"HEAD":
        return None
    if codings is not None:
        return ChunkedFraming(padded=True)
    if lengths is not None:
        length = int(lengths[0])
        return LengthFraming(length) if length else None
    return UntilCloseFraming()


def _announces_wrongly(status: int, noted: dict[bytes, list[bytes]]) -> bool:
    """Whether a 204, or an answer in HTTP/1.0, has a forbidden framing, so its end is unknown.

    RFC 9112 §6.1, RFC 9110 §8.6.
    """
    if status == _NO_CONTENT and noted.get(b"content-length", [b"0"])[0].strip(b"0"):
        return True
    return b"transfer-encoding" in noted


def request_id_text(value: bytes) -> str:
    """Give a provider's request id as text, shortened to the part worth keeping."""
    return value.strip(b" \t")[:MAX_REQUEST_ID_BYTES].decode("latin-1")
