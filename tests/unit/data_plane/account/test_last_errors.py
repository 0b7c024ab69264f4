"""Which responses count as a provider's error, and which org may see the error."""

from __future__ import annotations

import pytest

from services.data_plane.account.last_errors import LastError, LastErrors, is_provider_error
from services.data_plane.account.record import ExchangeRecord, Outcome
from tests.support.exchange_records import exchange_record


def failed(
    org: str = "acme",
    status: int = 429,
    code: str = "",
    outcome: Outcome = "answered",
    method: str = "POST",
) -> ExchangeRecord:
    return exchange_record(
        org=org,
        provider="openai",
        method=method,
        status=status,
        code=code,
        outcome=outcome,
        started_at=100.0,
        seconds=2.0,
        request_id="r",
    )


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        (failed(), True),
        (failed(status=200), False),
        (failed(status=400, code="upstream_key_rejected", outcome="rejected"), True),
        (failed(status=400, code="integration_missing", outcome="rejected"), False),
        (failed(status=503, code="overloaded", outcome="rejected"), False),
        (failed(status=200, outcome="upstream_broke"), True),
        (failed(org=""), False),
        (failed(status=404, method="HEAD"), False),
        (failed(status=404, method="GET"), True),
    ],
)
def test_only_what_the_provider_failed_counts(record: ExchangeRecord, counts: bool) -> None:  # noqa: FBT001  # parametrized
    assert is_provider_error(record) is counts


def test_the_last_error_of_an_org_is_remembered_and_no_other_org_sees_it() -> None:
    errors = LastErrors()
    errors.note(failed(status=500))
    errors.note(failed(status=429))
    errors.note(failed(status=200))
    assert errors.of("acme", "openai") == LastError(at=102.0, status=429, code="", request_id="r")
    assert errors.of("acme", "anthropic") is None
    assert errors.of("other", "openai") is None


def test_only_so_many_are_remembered() -> None:
    errors = LastErrors(max_errors=2)
    for org in ("a", "b", "a", "c"):
        errors.note(failed(org))
    assert errors.of("a", "openai")
    assert errors.of("b", "openai") is None
