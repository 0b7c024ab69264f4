"""The Helm chart as seen by tests: rendered with values, as objects."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.servers.tools import BUILT_TOOLS, find_program, missing
from tools.chart_examples import EXAMPLES, RenderError, example_names, render, render_example
from tools.chart_pages import CHART

Object = dict[str, Any]

NAMES: Final = example_names()
MINIMAL: Final = EXAMPLES / "minimal.yaml"
NOTES_SECONDS: Final = 60


def helm() -> Path:
    """Give Helm's program, or skip the test."""
    return find_program("helm", beside=[BUILT_TOOLS / "helm"]) or missing("Helm")


@cache
def example(name: str) -> tuple[Object, ...]:
    """Render an example; give its objects."""
    return objects(render_example(helm(), name))


def rendered(values: Mapping[str, Any], *options: str, on: Path | None = MINIMAL) -> tuple[Object, ...]:
    """Render the chart with `values` over those of the minimal example; give its objects."""
    return objects(_render(values, *options, on=on))


def notes(values: Mapping[str, Any], *, namespace: str, on: Path = MINIMAL) -> str:
    """Give the notes that Helm prints after an installation as `aigw`, with `values` over those of `on`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.yaml"
        file.write_text(yaml.safe_dump(dict(values)))
        command = [helm(), "install", "aigw", CHART, "--namespace", namespace, "--dry-run=client"]
        done = subprocess.run(
            [*map(str, command), f"--values={on}", f"--values={file}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=NOTES_SECONDS,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\nNOTES:\n")[2]


def refusal(values: Mapping[str, Any], on: Path | None = MINIMAL) -> str:
    """Give Helm's complaint about values to be refused, on a single line."""
    with pytest.raises(RenderError) as caught:
        _render(values, on=on)
    return " ".join(str(caught.value).split())


def render_or_refusal(values: Mapping[str, Any], on: Path = MINIMAL) -> tuple[str, str]:
    """Give (rendered YAML, "") or ("", Helm's complaint on a single line)."""
    try:
        return _render(values, on=on), ""
    except RenderError as error:
        return "", " ".join(str(error).split())


def _render(values: Mapping[str, Any], *options: str, on: Path | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.yaml"
        file.write_text(yaml.safe_dump(dict(values)))
        return render(helm(), CHART, [path for path in (on, file) if path is not None], *options)


def objects(text: str) -> tuple[Object, ...]:
    """Read rendered YAML."""
    return tuple(one for one in yaml.load_all(text, yaml.CSafeLoader) if one)


def of_kind(found: tuple[Object, ...], *kinds: str) -> list[Object]:
    """Give the objects of some kinds."""
    return [one for one in found if one["kind"] in kinds]


def named(found: tuple[Object, ...], kind: str, ending: str) -> Object:
    """Give the only object of a kind whose name ends so."""
    (one,) = [one for one in of_kind(found, kind) if one["metadata"]["name"].endswith(ending)]
    return one


def pods(found: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    """Give (name, pod spec) of every object making pods."""
    for one in found:
        name = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "Pod":
            yield name, one["spec"]
        elif one["kind"] in {"Deployment", "DaemonSet", "Job"}:
            yield name, one["spec"]["template"]["spec"]


def containers(pod: Object) -> list[Object]:
    """Give the containers of a pod, init containers too."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def environment(container: Object) -> dict[str, str]:
    """Give a container's variables with a value."""
    return {one["name"]: one.get("value", "") for one in container.get("env", [])}
