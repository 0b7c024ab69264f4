"""Renders the chart's examples by `helm template`, and writes the rendered form beside them.

Called by `make chart-examples`; tests/chart fails when a committed form differs from the chart's output. An
example is a file of values, an Argo CD application that holds values, or a parent chart.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import yaml

from tools.chart_pages import CHART

EXAMPLES: Final = CHART / "examples"
RENDERED: Final = EXAMPLES / "rendered"
RELEASE: Final = "aigw"
NAMESPACE: Final = "ai-gateway"
HELM_SECONDS: Final = 120
KUBE_VERSION: Final = "1.36.0"


class RenderError(Exception):
    """Helm refused the values; `str()` is Helm's own message."""


def example_names() -> list[str]:
    """Give the names of all examples."""
    files = [path.stem for path in EXAMPLES.glob("*.yaml")]
    folders = [path.name for path in EXAMPLES.iterdir() if path.is_dir() and path != RENDERED]
    return sorted(files + folders)


def render_example(helm: Path, name: str, *options: str) -> str:
    """Render an example; raises `RenderError`."""
    with tempfile.TemporaryDirectory() as scratch:
        chart, values = laid_out(name, Path(scratch))
        return render(helm, chart, [values], *options)


def laid_out(name: str, scratch: Path) -> tuple[Path, Path]:
    """Give the chart and the values installed by an example; `scratch` takes the files made on the way."""
    if (EXAMPLES / f"{name}.yaml").exists():
        return CHART, EXAMPLES / f"{name}.yaml"
    folder = EXAMPLES / name
    if (folder / "Chart.yaml").exists():
        parent = scratch / name
        shutil.copytree(folder, parent)
        shutil.copytree(CHART, parent / "charts" / CHART.name, ignore=shutil.ignore_patterns("examples"))
        return parent, parent / "values.yaml"
    application = yaml.safe_load((folder / "application.yaml").read_text())
    values = scratch / "values.yaml"
    values.write_text(yaml.safe_dump(application["spec"]["source"]["helm"]["valuesObject"]))
    return CHART, values


def render(helm: Path, chart: Path, values: list[Path], *options: str) -> str:
    """Run `helm template`; raises `RenderError`."""
    files = [f"--values={path}" for path in values]
    command = [helm, "template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", KUBE_VERSION]
    done = subprocess.run(  # noqa: S603  # helm, and files of this repository
        [*map(str, command), *files, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=HELM_SECONDS,
    )
    if done.returncode:
        raise RenderError(done.stderr.strip())
    return done.stdout


def main() -> None:
    """Write every rendered form; the first argument is Helm's program."""
    RENDERED.mkdir(exist_ok=True)
    for name in example_names():
        (RENDERED / f"{name}.yaml").write_text(render_example(Path(sys.argv[1]), name))


if __name__ == "__main__":
    main()
