"""The measurement of the page's sizes works: every part is measured in every state, under real traffic."""

from __future__ import annotations

import re

from bench.sizes import Load, measure

PARTS = ("control plane", "data plane", "node agent")


async def test_a_small_measurement_has_a_row_for_each_part_and_state() -> None:
    shown = await measure([3], Load(connections=20, streams=10, settle_seconds=0.1, window_seconds=0.5))
    head, _, *rows, starts = shown.splitlines()
    assert head == f"| state | {' | '.join(PARTS)} |"
    states = ("3 orgs, no traffic", "20 idle connections", "10 streams, 20 chunks a second")
    cell = r"(\d+) MiB \((\d+)\), \d+m"
    for state, row in zip(states, rows, strict=True):
        found = re.fullmatch(rf"\| {state} \| {cell} \| {cell} \| {cell} \|", row)
        assert found, row
        assert all(int(found[part]) > int(found[part + 1]) > 20 for part in (1, 3, 5)), row
    assert starts.count(" s |") == len(PARTS)
