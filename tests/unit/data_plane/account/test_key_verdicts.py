"""The verdict of real traffic on a key, and which verdicts are news."""

from __future__ import annotations

from services.data_plane.account.key_verdicts import KeyVerdicts
from services.data_plane.account.record import ExchangeRecord
from shared.acknowledgement import MAX_SEEN, Seen
from tests.support.exchange_records import exchange_record


def exchange(
    status: int = 200, code: str = "", at: float = 100.0, org: str = "acme", version: int = 0
) -> ExchangeRecord:
    return exchange_record(
        org=org,
        provider="openai",
        route="responses",
        status=status,
        code=code,
        started_at=at,
        seconds=1.0,
        secret_version=version,
    )


def test_a_refused_key_says_nothing_of_the_key_that_replaces_it() -> None:
    verdicts = KeyVerdicts()
    verdicts.note(exchange(400, "upstream_key_rejected", version=1))
    assert verdicts.is_rejected("acme", "openai", 1)
    assert not verdicts.is_rejected("acme", "openai", 2)
    verdicts.note(exchange(at=200.0, version=2))
    verdicts.note(exchange(400, "upstream_key_rejected", at=201.0, version=1))  # left before the change
    assert not verdicts.is_rejected("acme", "openai", 2)
    assert verdicts.news() == (Seen("acme", "openai", "accepted", 201.0, 2),)


def test_a_version_that_a_restored_database_brings_back_is_judged_again() -> None:
    verdicts = KeyVerdicts()
    verdicts.note(exchange(version=5))
    verdicts.told(verdicts.news())
    verdicts.note(exchange(400, "upstream_key_rejected", at=500.0, version=3))
    assert verdicts.is_rejected("acme", "openai", 3)
    assert verdicts.news() == (Seen("acme", "openai", "rejected", 501.0, 3),)


def test_the_verdict_that_was_touched_least_recently_goes_first() -> None:
    verdicts = KeyVerdicts(max_verdicts=2)
    for org in ("acme", "other", "acme", "third"):
        verdicts.note(exchange(400, "upstream_key_rejected", org=org))
    kept = [org for org in ("acme", "other", "third") if verdicts.is_rejected(org, "openai", 0)]
    assert kept == ["acme", "third"]


def test_the_same_word_on_a_new_key_is_news() -> None:
    verdicts = KeyVerdicts()
    verdicts.note(exchange(version=1))
    verdicts.told(verdicts.news())
    verdicts.note(exchange(at=102.0, version=2))
    old = verdicts.news()
    assert [seen.secret_version for seen in old] == [2]
    verdicts.told((Seen("acme", "openai", "accepted", 101.0, 1),))
    assert verdicts.news() == old


def test_an_answer_proves_the_key_and_the_providers_401_disproves_it() -> None:
    verdicts = KeyVerdicts()
    verdicts.note(exchange())
    assert verdicts.news() == (Seen("acme", "openai", "accepted", 101.0),)
    verdicts.note(exchange(400, "upstream_key_rejected", at=200.0))
    assert verdicts.news() == (Seen("acme", "openai", "rejected", 201.0),)


def test_other_failures_and_unknown_callers_say_nothing() -> None:
    verdicts = KeyVerdicts()
    for record in (
        exchange(429),
        exchange(500),
        exchange(403),
        exchange(400, "integration_disabled"),
        exchange(502, "upstream_unreachable"),
        exchange(0),
        exchange(org=""),
    ):
        verdicts.note(record)
    assert verdicts.news() == ()


def test_a_401_of_another_product_of_the_endpoint_says_nothing_of_this_key() -> None:
    verdicts = KeyVerdicts()
    verdicts.note(exchange())
    record = exchange(400, "upstream_key_rejected", at=200.0)
    record.route = "oauth/introspect"
    verdicts.note(record)
    assert verdicts.news() == (Seen("acme", "openai", "accepted", 101.0),)


def test_what_was_told_is_news_again_only_when_it_changes_or_grows_old() -> None:
    verdicts = KeyVerdicts()
    verdicts.note(exchange(at=100.0))
    verdicts.told(verdicts.news())
    verdicts.note(exchange(at=110.0))
    assert verdicts.news() == ()
    verdicts.note(exchange(at=140.0))
    assert verdicts.news() == (Seen("acme", "openai", "accepted", 141.0),)
    verdicts.told(verdicts.news())
    verdicts.note(exchange(400, "upstream_key_rejected", at=142.0))
    assert [seen.verdict for seen in verdicts.news()] == ["rejected"]


def test_a_change_while_the_report_is_under_way_stays_news() -> None:
    verdicts = KeyVerdicts()
    verdicts.note(exchange())
    told = verdicts.news()
    verdicts.note(exchange(400, "upstream_key_rejected", at=102.0))
    verdicts.told(told)
    assert [seen.verdict for seen in verdicts.news()] == ["rejected"]


def test_memory_and_reports_are_bounded() -> None:
    verdicts = KeyVerdicts(max_verdicts=300)
    for number in range(1000):
        verdicts.note(exchange(org=f"org-{number}"))
    assert len(verdicts.news()) == MAX_SEEN
    verdicts.told(verdicts.news())
    assert len(verdicts.news()) == 100
    verdicts.told((Seen("long-gone", "openai", "accepted", 1.0),))
