"""The matrix's record, and what `make clients-newest` calls a difference."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.matrix.measure import RECORD
from tests.clients.matrix.newest import differences

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


SILENT = {
    "openai-go, openai": "its error text has the status alone; the body is in a field of the error",
}
"""Clients that end at once but do not print the sentence, and what they print instead."""


@pytest.mark.parametrize("name", sorted(json.loads(RECORD.read_text())))
def test_every_recorded_client_ends_with_the_sentence_of_a_switched_off_integration(name: str) -> None:
    off = json.loads(RECORD.read_text())[name]["cells"]["off"]
    assert (off["ended"], off["shown"]) == (True, name not in SILENT)
