"""Every value of the chart set to something odd: refused with a sentence, or made to sound objects."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator

from tests.support.chart import MINIMAL, objects, render_or_refusal, rendered
from tools.chart_pages import SCHEMA, values

KUBERNETES: Final = "1.33"
KUBERNETES_OWN: Final = (
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "securityContext",
    "behavior",
)
"""Endings of paths whose contents Kubernetes alone judges."""

Path = tuple[str, ...]


def _paths(of: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    for name, value in of.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from _paths(value, (*above, name))


def _at(path: Path, value: object) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge values as Helm does: null takes a value away."""
    merged = copy.deepcopy(dict(below))
    for name, value in above.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _over(merged[name], value)
        else:
            merged[name] = value
    return merged


def _let_through(odd: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give (path, values) for each value that the schema lets be `odd`; the templates see these alone."""
    schema = Draft7Validator(json.loads(SCHEMA.read_text()))
    usual = _over(values(), yaml.safe_load(MINIMAL.read_text()))
    for path in _paths(values()):
        wanted = _at(path, odd)
        if not path[-1].endswith(KUBERNETES_OWN) and schema.is_valid(_over(usual, wanted)):
            yield ".".join(path), wanted


ODD: Final[list[object]] = ["", "*", "a: b\n- c", {}, []]
IN_FULL: Final = [pytest.param(odd, marks=pytest.mark.full_chart) for odd in ODD]


@pytest.mark.parametrize("odd", [None, "10", *IN_FULL], ids=repr)
def test_an_odd_value_is_refused_with_a_sentence_or_makes_objects_that_kubernetes_takes(odd: object) -> None:
    usual, faults = rendered({}), []
    for path, wanted in _let_through(odd):
        text, refused = render_or_refusal(wanted)
        if refused and "The values do not fit together" not in refused:
            faults.append(f"{path}: {refused[:200]}")
        for one in objects(text):
            if one in usual:
                continue
            try:
                kubernetes_validate.validate(one, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                faults.append(f"{path}: {one['kind']}: {error.message}")
    assert not faults, "\n".join(faults)
