"""How requests that never become an exchange are accounted for and answered: refused ones and warm-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.core.answers import write_rejection, write_warm_up
from services.data_plane.relay.parts import new_request_id
from shared.rejections import Place

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord
    from services.data_plane.core.refused import Refused
    from services.data_plane.relay.parts import RelayParts
    from shared.providers import Provider


def account_for_refusal(
    parts: RelayParts, refused: Refused, raw: bytes, record: ExchangeRecord
) -> Provider | None:
    """Finish the record of a refused request, whose head `raw` may be broken; give the provider it names."""
    provider = parts.routes.hint(raw)
    record.method = record.method or ("HEAD" if raw.startswith(b"HEAD ") else "")
    record.provider = provider.name if provider else ""
    record.rejected(refused.rejection, new_request_id())
    parts.account.finished(record, None, parts.key_of(record))
    return provider


def answer_warm_up(parts: RelayParts, record: ExchangeRecord, *, close: bool) -> bytes:
    """Finish the record of a client's warm-up, and give the bytes of its answer."""
    record.status, record.outcome = 200, "answered"
    parts.account.finished(record)
    return write_warm_up(close=close)


def answer_newcomer(parts: RelayParts, full: Refused) -> bytes:
    """Give the bytes of the answer on a connection without a place; its request was never read."""
    place, request_id = Place(parts.portal), new_request_id()
    return write_rejection(full, None, place, request_id, bodiless=False, close=True)
