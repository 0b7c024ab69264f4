"""A request's target, its box and its permission: by the head alone, with no socket."""

from __future__ import annotations

import pytest

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_reader import RequestReader
from services.data_plane.core.request_template import RequestTemplate
from services.data_plane.core.unidentified import NotYetVerifiable, Unidentified
from services.data_plane.relay.admit import identify, is_warm_up, judge_known_head, judge_new_head
from shared.box_token import Box
from shared.rejections import Rejection
from tests.unit.data_plane.relay.relay_world import RelayWorld

HOST = b"Host: 10.0.2.2:1000\r\n"
NOW = 1_000.0


def head(line: bytes, *fields: bytes) -> bytes:
    return line + b" HTTP/1.1\r\n" + HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def judged(raw: bytes) -> tuple[RequestTemplate | None, RequestReader, ExchangeRecord]:
    reader, record = RequestReader(4096), ExchangeRecord(NOW)
    return judge_new_head(RelayWorld().parts, reader, raw, record), reader, record


def template_of(raw: bytes) -> tuple[RequestTemplate, RequestReader, ExchangeRecord]:
    template, reader, record = judged(raw)
    assert template is not None
    return template, reader, record


async def test_a_providers_route_has_a_template_and_the_gateways_own_has_none() -> None:
    template, reader, record = template_of(head(b"POST /run9/ai/openai/v1/responses", b"Content-Length: 3"))
    assert (template.route.provider.name, template.first_length, record.method) == ("openai", b"3", "POST")
    assert not reader.is_whole
    assert judged(head(b"GET /run9/ai/"))[0] is None


async def test_a_refused_head_still_says_whether_its_body_comes_and_the_connection_ends() -> None:
    reader, record = RequestReader(4096), ExchangeRecord(NOW)
    raw = head(b"POST /run9/ai/openai/v1/organization/x", b"Content-Length: 3", b"Connection: close")
    with pytest.raises(Refused) as caught:
        judge_new_head(RelayWorld().parts, reader, raw, record)
    assert caught.value.rejection is Rejection.ROUTE_NOT_ALLOWED
    assert (reader.is_whole, reader.must_close) == (False, True)


async def test_a_known_head_with_a_length_above_the_limit_is_refused() -> None:
    template, reader, _ = template_of(head(b"POST /run9/ai/openai/v1/responses", b"Content-Length: 3"))
    parts = RelayWorld().parts
    judge_known_head(parts, reader, template, b"4")
    with pytest.raises(Refused) as caught:
        judge_known_head(parts, reader, template, b"%d" % (parts.limits.max_body_bytes + 1))
    assert caught.value.rejection is Rejection.BODY_TOO_LARGE


@pytest.mark.parametrize(("method", "is_one"), [(b"HEAD", True), (b"GET", False)])
async def test_a_warm_up_is_a_head_of_a_base_url(method: bytes, *, is_one: bool) -> None:
    template, reader, record = template_of(head(method + b" /run9/ai/openai"))
    assert is_warm_up(template, reader, record) is is_one
    assert (record.provider, record.method) == ("openai", method.decode())


async def test_a_warm_up_with_a_body_is_refused() -> None:
    template, reader, record = template_of(head(b"HEAD /run9/ai/openai", b"Content-Length: 3"))
    with pytest.raises(Refused) as caught:
        is_warm_up(template, reader, record)
    assert caught.value.rejection is Rejection.BAD_REQUEST


class Known:
    """An identity that knows one box until a time."""

    def __init__(self, expires_at: float) -> None:
        self._box = Box("acme", "box-1", "life-1", expires_at)

    def identify(self, _token: bytes | None) -> Box:
        return self._box


class Unknown:
    """An identity that knows no box, for a reason."""

    def __init__(self, why: Unidentified) -> None:
        self._why = why

    def identify(self, _token: bytes | None) -> Box:
        raise self._why


@pytest.mark.parametrize(("expires_at", "closes"), [(NOW + 1, False), (NOW, True)])
async def test_a_box_whose_token_has_expired_is_served_once_more_and_the_connection_ends(
    expires_at: float, *, closes: bool
) -> None:
    template, reader, record = template_of(head(b"GET /run9/ai/openai/v1/models"))
    box = identify(Known(expires_at), reader, template, record)
    assert (box.box, record.org, record.box, reader.must_close) == ("box-1", "acme", "box-1", closes)


@pytest.mark.parametrize(
    ("why", "rejection", "closes"),
    [
        (Unidentified("no token"), Rejection.BOX_IDENTITY_REQUIRED, False),
        (Unidentified("no preface", of_connection=True), Rejection.BOX_IDENTITY_REQUIRED, True),
        (NotYetVerifiable("no nodes yet"), Rejection.CONFIG_UNAVAILABLE, False),
    ],
)
async def test_a_box_that_is_not_known_is_refused_by_the_reason(
    why: Unidentified, rejection: Rejection, *, closes: bool
) -> None:
    template, reader, record = template_of(head(b"GET /run9/ai/openai/v1/models"))
    with pytest.raises(Refused) as caught:
        identify(Unknown(why), reader, template, record)
    assert (caught.value.rejection, reader.must_close, record.org) == (rejection, closes, "")
