"""Registrations of metrics are found in every form used by the code."""

from __future__ import annotations

import ast
import re

from services.data_plane.account.metrics import Metrics
from tools.metric_registrations import Registration, registered_in, registrations, unregistered


def _found(text: str) -> list[Registration]:
    return list(registered_in(ast.parse(text), "services/x.py"))


def test_a_call_with_a_name_is_a_registration() -> None:
    assert _found('metrics.watch_counts("aigw_a", "All a.", "why", read)') == [
        Registration("aigw_a_total", "counter", "All a.", ("why",), "services/x.py")
    ]
    assert _found('GaugeMetricFamily("aigw_b", "All " "b.", labels=["target", "part"])') == [
        Registration("aigw_b", "gauge", "All b.", ("target", "part"), "services/x.py")
    ]


def test_every_row_of_a_loop_is_a_registration() -> None:
    rows = 'rows: T = (("aigw_a", "All a.", 1), ("aigw_b", "All b.", 2))\n'
    loop = 'for name, meaning, read in rows:\n    HistogramMetricFamily(name, meaning, labels=["p"])\n'

    assert [(one.name, one.kind, one.labels) for one in _found(rows + loop)] == [
        ("aigw_a", "histogram", ("p",)),
        ("aigw_b", "histogram", ("p",)),
    ]


def test_lines_of_the_text_format_are_registrations() -> None:
    assert _found('x = ("# HELP aigw_a_total All a.", "# TYPE aigw_a_total counter")') == [
        Registration("aigw_a_total", "counter", "All a.", (), "services/x.py")
    ]


def test_no_text_of_the_code_looks_like_a_metric_without_being_registered() -> None:
    assert not unregistered(), "Register these metrics in a form known to tools/metric_registrations.py."


def test_every_registration_has_a_name_of_its_own_and_a_meaning() -> None:
    found = registrations()

    assert len({one.name for one in found}) == len(found)
    assert all(one.meaning.endswith(".") for one in found)


def test_what_a_data_plane_exposes_is_registered_with_the_same_type() -> None:
    exposed = dict(re.findall(r"^# TYPE (aigw_\w+) (\w+)$", Metrics().exposition().decode(), re.MULTILINE))
    known = {one.name: one.kind for one in registrations()}

    assert exposed
    assert exposed == {name: known.get(name) for name in exposed}
