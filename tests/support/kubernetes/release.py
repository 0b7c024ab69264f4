"""An installation of the chart on the test's node: an example with its backends, taken away at the end."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import yaml

from tests.support.chart import helm
from tests.support.kubernetes.backends import HERE
from tests.support.kubernetes.layout import NAME
from tools.chart_examples import laid_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes.backends import Backends
    from tests.support.kubernetes.node import Node

RELEASE: Final = "aigw"
WAIT: Final = "280s"
HELM_SECONDS: Final = 320
READY_SECONDS: Final = 110.0
PARENTS: Final = {"sub-chart": "ai-gateway"}
"""Examples being a parent chart, with the gateway's name in them."""


@dataclass(slots=True)
class Release:
    """`with Release.of_example(…) as release` installs the release and waits until every pod is ready."""

    backends: Backends
    namespace: str
    chart: Path
    values: Path
    scratch: tempfile.TemporaryDirectory[str]
    parent: str
    prefix: str

    @classmethod
    def of_example(cls, backends: Backends, name: str, namespace: str) -> Self:
        """Lay an example out, and make its namespace with the Secrets named by the example."""
        scratch = tempfile.TemporaryDirectory(prefix="aigw-release-")
        chart, values = laid_out(name, Path(scratch.name))
        parent = PARENTS.get(name, "")
        prefix = "aigw" if parent else f"{RELEASE}-ai-gateway"
        backends.prepare(namespace, prefix)
        return cls(backends, namespace, chart, values, scratch, parent, prefix)

    @property
    def org(self) -> str:
        """The org of its tests."""
        return f"org-{self.namespace}"

    @property
    def node(self) -> Node:
        """The node of the installation."""
        return self.backends.node

    def service(self, name: str) -> str:
        """Give the name of a Service of the release, as boxes address the Service."""
        return f"{self.prefix}-{name}.{self.namespace}"

    def __enter__(self) -> Self:
        try:
            self.install({})
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def install(self, values: dict[str, Any]) -> None:
        """Install the chart without a warning; fails with the output of Helm and the state of the pods."""
        said = self._helm(
            "install", RELEASE, str(self.chart), *self._files(values), "--wait", "--timeout", WAIT
        )
        warnings = [line for line in said.splitlines() if "warn" in line.lower()]
        assert not warnings

    def upgrade(self) -> None:
        """Roll every pod once, as an upgrade would, and wait until the new ones are ready."""
        changed = {"podAnnotations": {"example.com/upgraded": "yes"}}
        values = {"controlPlane": changed, "dataPlane": changed}
        self._helm("upgrade", RELEASE, str(self.chart), *self._files(values), "--wait", "--timeout", WAIT)

    def rollback(self) -> None:
        """Go back to the revision before."""
        self._helm("rollback", RELEASE, "--wait", "--timeout", WAIT)

    def test(self) -> None:
        """Run the chart's own tests."""
        self._helm("test", RELEASE, "--timeout", "180s")

    def is_ready(self) -> None:
        """Wait until every pod is ready, then assert that none was restarted and nothing was refused."""
        deadline = time.monotonic() + READY_SECONDS
        while waited_for := [*self._unready(), *self._growing()]:
            assert time.monotonic() < deadline, waited_for
            time.sleep(1)
        for pod in self._pods():
            name, status = pod["metadata"]["name"], pod["status"]
            assert all(one["restartCount"] == 0 for one in status["containerStatuses"]), f"{name}: {status}"
        events = self.node.kubectl("-n", self.namespace, "get", "events", "-o", "jsonpath={.items[*].reason}")
        assert "FailedCreate" not in events.split()

    def _pods(self) -> list[dict[str, Any]]:
        """Give the pods of the namespace, without those that end or have ended well."""
        found = self._listed("pods")
        assert found
        staying = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return [pod for pod in staying if pod["status"]["phase"] != "Succeeded"]

    def _unready(self) -> Iterator[str]:
        for pod in self._pods():
            states = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
            if states.get("Ready") != "True":
                yield f"{pod['metadata']['name']}: {pod['status']}"

    def _growing(self) -> Iterator[str]:
        """Give the autoscalers below their minimum: a first installation starts with one pod."""
        for scaler in self._listed("hpa"):
            there, least = scaler["status"].get("currentReplicas", 0), scaler["spec"]["minReplicas"]
            if there < least:
                yield f"{scaler['metadata']['name']}: {there} of {least} pods"

    def _listed(self, kind: str, *words: str) -> list[dict[str, Any]]:
        listed = self.node.kubectl("-n", self.namespace, "get", kind, *words, "-o", "json")
        items: list[dict[str, Any]] = json.loads(listed)["items"]
        return items

    def from_a_data_plane(self, wanted: dict[str, Any]) -> Any:
        """Run `box.py` inside a data plane's pod."""
        program = (HERE / "box.py").read_text()
        said = self.in_a_pod("data-plane", "python", "-c", program, json.dumps(wanted))
        return json.loads(said.splitlines()[-1])

    def in_a_pod(self, component: str, *words: str) -> str:
        """Run a command in a pod of `control-plane` or `data-plane`; give its output."""
        label = f"app.kubernetes.io/component={component}"
        listed = self.node.kubectl("-n", self.namespace, "get", "pods", "-l", label, "-o", "name").split()
        return self.node.kubectl("-n", self.namespace, "exec", listed[0], "--", *words)

    def close(self) -> None:
        """Uninstall the release and take its namespace's pods away."""
        with contextlib.suppress(AssertionError):
            self._helm("uninstall", RELEASE, "--wait", "--timeout", "120s")
        self.scratch.cleanup()

    def _files(self, values: dict[str, Any]) -> Iterator[str]:
        """The example's values, then the values leading to the test's backends, then `values`."""
        led = self.backends.values()
        if self.parent:
            outer = {"global": {"imageRegistry": "localhost", "imagePullSecrets": []}}
            led = outer | {self.parent: {key: value for key, value in led.items() if key != "global"}}
            values = {self.parent: values} if values else {}
        for number, more in enumerate((led, values)):
            (Path(self.scratch.name) / f"more-{number}.yaml").write_text(yaml.safe_dump(more))
        yield f"--values={self.values}"
        if "dev" not in self.values.name:
            yield f"--values={self.scratch.name}/more-0.yaml"
        else:
            yield from ("--set", "image.registry=localhost", "--set", "image.pullPolicy=Never")
        yield f"--values={self.scratch.name}/more-1.yaml"

    def _helm(self, *words: str) -> str:
        """Run Helm; give what it wrote on stderr."""
        command = [str(helm()), "--namespace", self.namespace, *words]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=HELM_SECONDS,
            env=self.node.environment("admin"),
        )
        assert done.returncode == 0, f"{words[0]}: {done.stdout[-500:]}{done.stderr}\n{self._state()}"
        return done.stderr

    def _state(self) -> str:
        """Tell the state of the pods, for the message of a failure."""
        kubectl = self.node.kubectl
        shown = kubectl("-n", self.namespace, "get", "pods,events", "-o", "wide", check=False)
        logs = kubectl(
            *("-n", self.namespace, "logs", "-l", "app.kubernetes.io/name=ai-gateway", "--all-containers"),
            *("--tail=15", "--prefix"),
            check=False,
        )
        return f"{shown[-4_000:]}\n{logs[-4_000:]}\n(node {NAME})"
