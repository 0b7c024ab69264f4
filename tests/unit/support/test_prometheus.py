"""The one rule by which a test's Prometheus is quicker than the rules."""

from __future__ import annotations

import yaml

from tests.support.servers.prometheus import quicker

RULES = """
groups:
- name: g
  rules:
  - alert: A
    expr: rate(x[10m]) > 0.05 and y > 43200 and increase(z[1h]) > 0 and rate(w[2m]) > 0
    for: 5m
  - alert: B
    expr: x > 0
"""


def test_a_minute_is_a_second_a_range_has_five_at_least_and_other_numbers_stay() -> None:
    first, second = yaml.safe_load(quicker(RULES))["groups"][0]["rules"]
    assert first["expr"] == "rate(x[10s]) > 0.05 and y > 43200 and increase(z[60s]) > 0 and rate(w[5s]) > 0"
    assert first["for"] == "5s"
    assert second == {"alert": "B", "expr": "x > 0"}
