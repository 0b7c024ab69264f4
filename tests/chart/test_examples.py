"""Every example of the chart: rendered as committed, known to Kubernetes, hardened, and of real settings."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from services.control_plane.settings import ControlPlaneSettings
from services.data_plane.settings import DataPlaneSettings
from services.node_agent.settings import NodeAgentSettings
from shared.settings_base import GatewaySettings
from tests.support.chart import NAMES, containers, environment, example, helm, of_kind, pods
from tests.support.servers.tools import BUILT_TOOLS, find_program, missing
from tools import chart_pages
from tools.chart_examples import RENDERED, laid_out, render_example

SECRET_WORDS = (
    "TOKEN",
    "PASSWORD",
    "CREDENTIAL",
    "FINGERPRINT_KEY",
    "CLIENT_SECRET",
    "DATABASE_URL",
    "NODE_KEY",
)
CLASSES: dict[str, type[GatewaySettings]] = {
    "data-plane": DataPlaneSettings,
    "node-agent": NodeAgentSettings,
}
"""By the name of a container; all others read the control plane's settings."""
FOREIGN_NAMES = {"FORWARDED_ALLOW_IPS", "NODE_NAME"}
"""The first is uvicorn's, the second stands in another variable's value."""
FOREIGN_KINDS = {
    *("ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute", "CiliumNetworkPolicy"),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_rendered_form_is_the_committed_one(name: str) -> None:
    committed = (RENDERED / f"{name}.yaml").read_text()
    assert render_example(helm(), name) == committed, "Run `make chart-examples` and commit what it writes."


@pytest.mark.parametrize("name", NAMES)
def test_helm_finds_no_fault_in_strict_mode(name: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        chart, values = laid_out(name, Path(scratch))
        command = [helm(), "lint", "--strict", chart, "--values", values]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, check=False, timeout=120
        )
    faults = [line for line in done.stdout.splitlines() if "[ERROR]" in line or "[WARNING]" in line]
    assert done.returncode == 0, done.stdout + done.stderr
    assert not faults


@pytest.mark.parametrize("version", ["1.30", "1.36"])
@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_knows_every_field(name: str, version: str) -> None:
    for one in example(name):
        if one["kind"] not in FOREIGN_KINDS:
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_passes_the_restricted_standard_except_the_agents(name: str) -> None:
    for where, pod in pods(example(name)):
        if where.endswith("-node-agent"):
            continue
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, where
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert not any(pod.get(right) for right in ("hostNetwork", "hostPID", "hostIPC")), where
        assert {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"} <= {
            "emptyDir",
            "projected",
        }, where
        for container in containers(pod):
            inner = container["securityContext"]
            assert inner["allowPrivilegeEscalation"] is False, where
            assert inner["readOnlyRootFilesystem"] is True, where
            assert inner["capabilities"] == {"drop": ["ALL"]}, where
            assert all("hostPort" not in port for port in container.get("ports", [])), where


@pytest.mark.parametrize("name", NAMES)
def test_no_pod_gets_an_api_token_or_the_names_of_services(name: str) -> None:
    for where, pod in pods(example(name)):
        assert pod["automountServiceAccountToken"] is False, where
        assert pod["enableServiceLinks"] is False, where
    for account in of_kind(example(name), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", NAMES)
def test_every_container_asks_for_resources_and_is_bounded_in_memory(name: str) -> None:
    for where, pod in pods(example(name)):
        for container in containers(pod):
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, where
            assert "memory" in container["resources"]["limits"], where


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_is_a_setting_and_credentials_are_in_files(name: str) -> None:
    for where, pod in pods(example(name)):
        for container in containers(pod):
            fields = CLASSES.get(container["name"], ControlPlaneSettings).model_fields
            for variable in set(environment(container)) - FOREIGN_NAMES:
                setting = variable.removeprefix("AIGW_").lower()
                assert variable.startswith("AIGW_"), f"{where}: {variable}"
                known = setting in fields or setting.removesuffix("_file") in fields
                assert known, f"{where}: {variable} is no setting"
                if any(word in variable for word in SECRET_WORDS):
                    assert variable.endswith("_FILE"), f"{where}: {variable}"


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_a_variable_names_is_mounted(name: str) -> None:
    for where, pod in pods(example(name)):
        paths = set(_credential_paths(pod))
        for container in containers(pod):
            text = yaml.safe_dump(environment(container))
            wanted = {word.strip("'\"&,") for word in _paths_below_run(text)}
            assert wanted <= paths, f"{where}: {wanted - paths}"


def _paths_below_run(text: str) -> list[str]:
    return [f"/run/aigw/{part.split('&')[0].split()[0]}" for part in text.split("/run/aigw/")[1:]]


def _credential_paths(pod: dict[str, Any]) -> list[str]:
    found = []
    for volume in pod.get("volumes", []):
        for source in volume.get("projected", {}).get("sources", []):
            for kind, one in source.items():
                items = [one["path"]] if kind == "serviceAccountToken" else [i["path"] for i in one["items"]]
                found += [f"/run/aigw/{path}" for path in items]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_no_data_plane_mounts_what_the_control_plane_opens_with(name: str) -> None:
    for where, pod in pods(example(name)):
        if pod["containers"][0]["name"] == "data-plane":
            paths = " ".join(_credential_paths(pod))
            for word in ("database", "platform-token", "fingerprint-key", "oidc"):
                assert word not in paths, where


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_that_serves_has_time_to_drain(name: str) -> None:
    for where, pod in pods(example(name)):
        (container,) = pod["containers"]
        if container["name"] not in {"data-plane", "control-plane"}:
            continue
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain = int(environment(container)["AIGW_DRAIN_SECONDS"])
        assert pod["terminationGracePeriodSeconds"] >= pause + drain + 15, where
        admin = "admin" if container["name"] == "data-plane" else "fleet"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == admin, where


@pytest.mark.parametrize("name", NAMES)
def test_kube_score_finds_nothing_critical(name: str) -> None:
    score = find_program("kube-score", beside=[BUILT_TOOLS / "kube-score"]) or missing("kube-score")
    known = [one for one in example(name) if one["kind"] not in FOREIGN_KINDS]
    ignored = ",".join([*IGNORED_SCORES, *IGNORED_SCORES_OF.get(name, {})])
    done = subprocess.run(
        [str(score), "score", "--ignore-test", ignored, "--output-format", "ci", "-"],
        input=yaml.safe_dump_all(known),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "[CRITICAL]" not in done.stdout, done.stdout


IGNORED_SCORES_OF = {
    "node-local": {"pod-networkpolicy": "its policies are Cilium's, which kube-score does not know"},
    "node-agent": {"pod-networkpolicy": "no policy holds for a pod in the host's network"},
}
IGNORED_SCORES = {
    "container-image-pull-policy": "a version or digest is pinned: Always would ask a registry at each start",
    "container-resources": "no CPU limit on purpose: throttling would hold every stream up",
    "container-ephemeral-storage-request-and-limit": "the root is read-only and /tmp is memory",
    "container-security-context-user-group-id": "the pod's context says both",
    "pod-probes": "a plane's listeners share one process, so readiness and liveness ask the same one",
    "deployment-replicas": "the development installation has one replica, and autoscalers own theirs",
    "deployment-has-host-podantiaffinity": "topology spread constraints do that",
    "deployment-has-poddisruptionbudget": "the development installation has one replica",
}


@pytest.mark.parametrize(
    ("path", "text"),
    [(chart_pages.PAGE, chart_pages.page), (chart_pages.SCHEMA, chart_pages.schema)],
    ids=["table", "schema"],
)
def test_a_generated_file_of_the_chart_is_the_one_that_its_values_make(path: Path, text: Any) -> None:
    assert path.read_text() == text(), "Run `make docs` and commit what it writes."


def test_every_value_is_described() -> None:
    told = chart_pages.descriptions()

    def undescribed(path: str, value: object) -> list[str]:
        if path in told:
            return []
        if isinstance(value, dict) and value:
            return [
                fault
                for name, inner in value.items()
                for fault in undescribed(f"{path}.{name}".lstrip("."), inner)
            ]
        return [path]

    faults = [path for path in undescribed("", chart_pages.values()) if path]
    assert not [path for path in faults if not path.rpartition(".")[0] or path not in PAIRED]


PAIRED = {
    *(
        f"dataPlane.{one}.{bound}"
        for one in ("autoscaling", "keda")
        for bound in ("minReplicas", "maxReplicas")
    ),
    "networkPolicy.providers.ports",
    "networkPolicy.providers.except",
}
"""Values that the comment of their neighbour describes."""


def test_the_agent_has_the_rights_that_it_needs_and_no_more() -> None:
    ((_, pod),) = pods(example("node-agent"))
    (container,) = pod["containers"]
    assert pod["hostNetwork"] is True
    assert not any(pod.get(right) for right in ("hostPID", "hostIPC"))
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    rights = container["securityContext"]["capabilities"]
    assert rights["drop"] == ["ALL"]
    assert set(rights["add"]) == {"SYS_ADMIN", "NET_BIND_SERVICE", "DAC_OVERRIDE", "FOWNER"}
