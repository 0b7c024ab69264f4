"""Each org's last provider error, for the status page. Names and numbers only, bounded."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord

MAX_REMEMBERED_ERRORS: Final = 10_000
FIRST_ERROR_STATUS: Final = 400


@dataclass(frozen=True, slots=True)
class LastError:
    """A failed exchange, in the form open to the org.

    `at` is in Unix seconds; `code` is empty for a provider's answer passed unchanged; `secret_version` is the
    version of the key sent with the request.
    """

    at: float
    status: int
    code: str
    request_id: str
    secret_version: int = 0


class LastErrors:
    """Remembers an error per (org, provider); the least recently touched error goes first."""

    def __init__(self, max_errors: int = MAX_REMEMBERED_ERRORS) -> None:
        self._max_errors = max_errors
        self._errors: OrderedDict[tuple[str, str], LastError] = OrderedDict()

    def note(self, record: ExchangeRecord) -> None:
        """Remember the exchange if the provider failed it; the gateway's own refusals do not count."""
        if not is_provider_error(record):
            return
        key = (record.org, record.provider)
        self._errors[key] = LastError(
            record.started_at + record.seconds,
            record.status,
            record.code,
            record.request_id,
            record.secret_version,
        )
        self._errors.move_to_end(key)
        if len(self._errors) > self._max_errors:
            self._errors.popitem(last=False)

    def of(self, org: str, provider: str) -> LastError | None:
        """Give the last error, if any."""
        return self._errors.get((org, provider))


def is_provider_error(record: ExchangeRecord) -> bool:
    """Whether the provider, or the way to it, failed the exchange."""
    if not record.org or not record.provider or record.method == "HEAD":
        return False  # no provider has an operation by HEAD, so a failed one is no news
    if record.outcome == "upstream_broke":
        return True
    by_upstream = not record.code or record.code.startswith("upstream_")
    return record.status >= FIRST_ERROR_STATUS and by_upstream
