"""Counts by org: bounded, and true in sum."""

from __future__ import annotations

from services.data_plane.account.org_counts import OrgCounts
from tests.support.exchange_records import exchange_record


def counted(counts: OrgCounts) -> dict[tuple[str, ...], float]:
    family = next(iter(counts.families()))
    return {tuple(one.labels.values()): one.value for one in family.samples}


def named(counts: OrgCounts) -> float:
    _, gauge = counts.families()
    return gauge.samples[0].value


def test_the_first_orgs_are_named_and_all_others_counted_together() -> None:
    counts = OrgCounts(2)
    for org in ("a", "b", "c", "d", "a"):
        counts.count(exchange_record(org=org, provider="openai", status=200))
    assert counted(counts) == {
        ("a", "openai", "2xx", ""): 2,
        ("b", "openai", "2xx", ""): 1,
        ("", "openai", "2xx", ""): 2,
    }
    assert named(counts) == 2


def test_an_exchange_of_an_unknown_org_is_not_counted() -> None:
    counts = OrgCounts(2)
    counts.count(exchange_record(status=400, code="box_identity_required"))
    assert not counted(counts)


def test_a_rejection_has_its_code_and_an_exchange_without_a_response_no_class() -> None:
    counts = OrgCounts(2)
    counts.count(exchange_record(org="a", provider="openai", status=400, code="upstream_key_rejected"))
    counts.count(exchange_record(org="a", provider="openai", outcome="client_gone"))
    assert counted(counts) == {
        ("a", "openai", "4xx", "upstream_key_rejected"): 1,
        ("a", "openai", "none", ""): 1,
    }
