"""The matrix's record, and what `make clients-newest` calls a difference."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.clients.installed import node_program
from tests.clients.matrix.catalogue import CALLS, clients_of
from tests.clients.matrix.installation import Installation
from tests.clients.matrix.measure import FAILURES, RECORD, Measured
from tests.clients.matrix.newest import differences
from tests.clients.matrix.notes import NOTES, unexplained
from tests.clients.org import Org

RECORDED: dict[str, Any] = json.loads(RECORD.read_text())

ROW: dict[str, Any] = {
    "version": "1.0",
    "cells": {"off": {"shown": True, "requests": 1, "seconds": 1.0, "ended": True}},
}


def changed(**facts: Any) -> dict[str, Any]:
    return {"x": ROW | {"cells": {"off": ROW["cells"]["off"] | facts}}}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ({"x": ROW}, []),
        (changed(seconds=9.0), []),
        (changed(requests=6), ["x, off: requests 1 → 6"]),
        (changed(shown=False), ["x, off: shown True → False"]),
        ({"x": ROW | {"version": "1.1"}}, ["x: version 1.0 → 1.1"]),
        ({"y": ROW}, ["y 1.0: not in the record"]),
    ],
)
def test_a_difference_is_a_version_or_a_fact_of_a_case(measured: dict[str, Any], expected: list[str]) -> None:
    assert differences({"x": ROW}, measured) == expected


@pytest.mark.xdist_group("real clients")
async def test_a_client_is_measured_as_it_is_recorded(org: Org, tmp_path: Path) -> None:
    node_program("matrix/anthropic.mjs")  # skips where the Node clients are missing
    whole = next(one for one in clients_of(Installation()) if one.title == "@anthropic-ai/sdk")
    client = replace(whole, commands={call: whole.commands[call] for call in ("stream", "tools")})
    cells = await Measured(client, org, tmp_path / "home").cells(("off", "401"))
    assert not unexplained(cells)
    recorded = RECORDED[client.key]["cells"]
    for case, cell in cells.items():
        assert cell.get("requests") == recorded[case].get("requests"), case


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_every_cell_is_measured_or_has_a_reason(name: str) -> None:
    cells = RECORDED[name]["cells"]
    missing = {*CALLS, *FAILURES} - cells.keys()
    assert missing <= ({"cut"} if "lacks" in cells["stream"] else set())
    assert set(unexplained(cells)) <= NOTES.get(name, {}).keys()


@pytest.mark.parametrize("name", sorted(NOTES))
def test_no_reason_outlives_its_cell(name: str) -> None:
    assert NOTES[name].keys() == set(unexplained(RECORDED[name]["cells"]))


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_every_recorded_client_ends_when_an_integration_is_switched_off(name: str) -> None:
    assert RECORDED[name]["cells"]["off"]["ended"]
