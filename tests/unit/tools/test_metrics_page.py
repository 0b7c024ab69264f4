"""The page of metrics places every registration, and explains every label."""

from __future__ import annotations

from tools.metric_registrations import registrations
from tools.metrics_page import LABELS, page, part_of


def test_every_metric_stands_on_the_page_below_its_part() -> None:
    text = page()

    for one in registrations():
        assert f"| `{one.name}` | {one.kind} |" in text
        assert part_of(one)


def test_every_label_is_explained_and_no_other() -> None:
    assert {label for one in registrations() for label in one.labels} == set(LABELS)
