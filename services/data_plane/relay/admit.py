"""Judges a request's head: its route, its box, and its admission. The connection writes the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.core.admission import check_admission, check_length
from services.data_plane.core.refused import Refused, bad_request
from services.data_plane.core.request_head import parse_request_head
from services.data_plane.core.request_template import RequestTemplate
from services.data_plane.core.route import split_target
from services.data_plane.core.unidentified import Unidentified

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord
    from services.data_plane.core.request_reader import RequestReader
    from services.data_plane.relay.parts import RelayParts
    from services.data_plane.relay.ports import Identity
    from shared.box_token import Box


def judge_new_head(
    parts: RelayParts, reader: RequestReader, raw: bytes, record: ExchangeRecord
) -> RequestTemplate | None:
    """Parse a head. Give its provider's route, or None where the gateway's own application answers.

    Raises:
        Refused: the head is not well-formed, or its route or the request is not allowed, whoever asks.
    """
    head = parse_request_head(raw, parts.limits.max_head_fields, parts.request_fields)
    reader.must_close = reader.must_close or not head.keep_alive
    reader.begin(head.framing(), awaits_continue=head.expects_continue)
    record.method = head.method.decode()
    path, query = split_target(head.target)
    route = parts.routes.find(path)
    check_admission(head, parts.authorities, parts.limits.max_body_bytes)
    if route is None:
        return None
    return RequestTemplate(raw, head, route, query, parts.limits.max_head_bytes)


def judge_known_head(
    parts: RelayParts, reader: RequestReader, template: RequestTemplate, length: bytes
) -> None:
    """Judge a head that differs from the template's in its `length` alone; raises `Refused`."""
    content_length, head = int(length or b"0"), template.head
    reader.begin(head.framing_of(content_length), awaits_continue=head.expects_continue)
    check_length(content_length, parts.limits.max_body_bytes)


def is_warm_up(template: RequestTemplate, reader: RequestReader, record: ExchangeRecord) -> bool:
    """Begin the record, and tell whether a client only warms its connection up. Raises `Refused`.

    A warm-up is never sent on.
    """
    route = template.route
    record.method, record.provider, record.route = template.method, route.provider.name, route.label
    record.leaked_key, record.attribution = template.leaked_key, template.head.attribution
    record.trace_parent = template.head.trace_parent
    if not route.warm_up or template.head.method != b"HEAD":
        return False
    if not reader.is_whole:
        raise bad_request("a HEAD of a base URL has no body")
    return True


def identify(
    identity: Identity, reader: RequestReader, template: RequestTemplate, record: ExchangeRecord
) -> Box:
    """Give the box that calls, and write it into the record; raises `Refused`."""
    try:
        box = identity.identify(template.head.box_token)
    except Unidentified as unknown:
        reader.must_close = reader.must_close or unknown.of_connection
        raise Refused(*unknown.rejection) from None
    if box.expires_at <= record.started_at:
        reader.must_close = True  # the next connection brings a fresh token
    record.org, record.box = box.org, box.box
    return box
