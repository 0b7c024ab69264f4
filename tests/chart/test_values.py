"""Values of the chart: what cannot work is refused with a sentence, and each option does as its row says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.control_plane.settings import ControlPlaneSettings
from services.data_plane.settings import DataPlaneSettings
from tests.support.chart import (
    containers,
    environment,
    example,
    named,
    objects,
    of_kind,
    pods,
    refusal,
    rendered,
)
from tools.chart_pages import CHART, SCHEMA

REFUSED: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("refused_values.yaml").read_text())
BACKENDS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("backend_values.yaml").read_text()
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
def test_values_that_cannot_work_are_refused_with_a_sentence(case: dict[str, Any]) -> None:
    assert case["says"] in refusal(case["values"])


def test_every_sentence_of_the_templates_is_said_in_a_case() -> None:
    lines = (CHART / "templates/_validate.tpl").read_text().splitlines()
    sentences = [line for line in lines if re.match(r"[a-zA-Z]|\{\{ \$name", line)]
    said = [case["says"] for case in REFUSED if case["kind"] == "unfit"]
    assert len(sentences) > 40
    assert not [sentence for sentence in sentences if not any(_can_say(sentence, words) for words in said)]


def _can_say(sentence: str, words: str) -> bool:
    """Tell whether the sentence holds `words`; a placeholder is any word, the first word may be an ending."""
    told, heard = ([word.rstrip(".,:;") for word in text.split()] for text in (_blanked(sentence), words))

    def fits(known: str, word: str) -> bool:
        return known.endswith(word) or bool(re.fullmatch(re.escape(known).replace("\0", r"\S+"), word))

    starts = range(len(told) - len(heard) + 1)
    return any(all(map(fits, told[start:], heard)) for start in starts)


def _blanked(sentence: str) -> str:
    return re.sub(r"\{\{.*?\}\}", "\0", sentence)


def test_the_defaults_alone_are_refused_with_everything_that_is_missing() -> None:
    said = refusal({}, on=None)
    for name in ("tokens", "database", "redis", "vault"):
        assert f"{name}." in said


def test_the_schema_is_closed_except_where_kubernetes_or_a_parent_chart_speaks() -> None:
    schema = json.loads(SCHEMA.read_text())
    assert schema["additionalProperties"] is False
    assert {"global", "enabled"} <= schema["properties"].keys()

    def open_ends(path: str, form: dict[str, Any]) -> list[str]:
        inner = form.get("properties", {})
        found = [path] if form.get("type") == "object" and form.get("additionalProperties") is None else []
        return found + [end for name, one in inner.items() for end in open_ends(f"{path}.{name}", one)]

    kept = (
        "Labels",
        "labels",
        "nnotations",
        "nodeSelector",
        "affinity",
        "ecurityContext",
        "behavior",
        "resources",
    )
    assert not [path for path in open_ends("", schema) if not path.endswith((*kept, ".global"))]


def test_the_names_of_settings_in_the_schema_exist() -> None:
    schema = json.loads(SCHEMA.read_text())["properties"]
    for plane, cls in (("controlPlane", ControlPlaneSettings), ("dataPlane", DataPlaneSettings)):
        names = schema[plane]["properties"]["settings"]["propertyNames"]["enum"]
        assert {name.lower() for name in names} <= cls.model_fields.keys()


def test_switched_off_it_renders_nothing() -> None:
    assert rendered({"enabled": False}) == ()
    assert rendered({"enabled": False}, on=None) == ()


def test_grace_follows_the_one_value_for_draining() -> None:
    for drain in (0, 60, 3_600):
        pod = named(rendered({"dataPlane": {"drainSeconds": drain}}), "Deployment", "data-plane")["spec"][
            "template"
        ]["spec"]
        assert pod["terminationGracePeriodSeconds"] == drain + 60
        assert environment(pod["containers"][0])["AIGW_DRAIN_SECONDS"] == str(drain)


def test_a_rolling_update_takes_no_pod_away_before_another_is_ready() -> None:
    for one in of_kind(example("minimal"), "Deployment"):
        assert one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    daemon = named(example("node-local"), "DaemonSet", "data-plane")
    assert daemon["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_port_below_1024_comes_with_the_sysctl_that_lets_it_be_bound() -> None:
    low = named(example("node-local"), "DaemonSet", "data-plane")["spec"]["template"]["spec"]
    assert low["securityContext"]["sysctls"] == [
        {"name": "net.ipv4.ip_unprivileged_port_start", "value": "1000"}
    ]
    for _, pod in pods(example("minimal")):
        assert "sysctls" not in pod["securityContext"]


def test_vault_is_opened_by_a_projected_token_with_its_audience() -> None:
    found = rendered(
        {
            "vault": {
                "auth": "jwt",
                "authMount": "jwt-x",
                "audience": "v",
                "prefix": "/team/",
                "namespace": "team",
            }
        }
    )
    pod = named(found, "Deployment", "data-plane")["spec"]["template"]["spec"]
    tokens = [
        s["serviceAccountToken"]
        for v in pod["volumes"]
        for s in v.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in s
    ]
    assert tokens == [{"path": "vault/credential", "audience": "v", "expirationSeconds": 3600}]
    assert environment(pod["containers"][0])["AIGW_SECRET_STORE_URL"] == (
        "vault://vault.vault.svc:8200/aigw/team?auth=jwt&role=aigw-data-plane&auth_mount=jwt-x&namespace=team"
        "&credential_file=/run/aigw/vault/credential"
    )


@pytest.mark.parametrize("case", BACKENDS)
def test_the_settings_classes_accept_what_the_chart_sets(case: str) -> None:
    for _, pod in pods(rendered(BACKENDS[case])):
        for container in containers(pod):
            if container["name"] in {"control-plane", "data-plane"}:
                _read_settings(container)


def _read_settings(container: dict[str, Any]) -> None:
    """Read a container's variables as the program would; what a file would hold is made up."""
    cls = DataPlaneSettings if container["name"] == "data-plane" else ControlPlaneSettings
    made_up = {
        "database_url": "postgresql+psycopg://u:p@h/d",
        "egress_proxy_credentials": "u:p",
        "feed_key": "a-made-up-key-of-at-least-32-chars",
    }
    given: dict[str, Any] = {}
    for variable, value in environment(container).items():
        name = variable.removeprefix("AIGW_").lower()
        if name in cls.model_fields:
            given[name] = value
        elif (inner := name.removesuffix("_file")) in cls.model_fields:
            given[inner] = made_up.get(inner, "a-made-up-credential")
    cls(**given)


MIGRATIONS = {"initContainer": 0, "hook": 1, "job": 1, "none": 0}


@pytest.mark.parametrize("mode", MIGRATIONS)
def test_the_migration_runs_once_with_the_contexts_of_the_control_plane(mode: str) -> None:
    placed = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "priorityClassName": "p",
    }
    found = rendered({"migration": {"mode": mode}, "controlPlane": placed})
    jobs = of_kind(found, "Job")
    assert len(jobs) == MIGRATIONS[mode]
    plane = named(found, "Deployment", "control-plane")["spec"]["template"]["spec"]
    begun = [container["name"] for container in plane.get("initContainers", [])]
    assert begun == {"initContainer": ["database-upgrade"], "job": ["database-wait"]}.get(mode, [])
    for job in jobs:
        pod = job["spec"]["template"]["spec"]
        assert pod["containers"][0]["args"] == ["db", "upgrade"]
        for field in (*placed, "securityContext", "automountServiceAccountToken", "enableServiceLinks"):
            assert pod[field] == plane[field], field
        hook = job["metadata"].get("annotations", {}).get("helm.sh/hook")
        assert hook == ("pre-install,pre-upgrade" if mode == "hook" else None)


def test_both_scalers_and_the_budgets_find_what_they_scale() -> None:
    scaled = named(example("production"), "HorizontalPodAutoscaler", "data-plane")
    assert [metric["type"] for metric in scaled["spec"]["metrics"]] == ["Resource", "Pods"]
    assert "replicas" not in named(example("production"), "Deployment", "data-plane")["spec"]
    keda = named(example("sub-chart"), "ScaledObject", "data-plane")
    assert (
        keda["spec"]["scaleTargetRef"]["name"]
        == named(example("sub-chart"), "Deployment", "data-plane")["metadata"]["name"]
    )
    for budget in of_kind(example("production"), "PodDisruptionBudget"):
        plane = named(
            example("production"), "Deployment", budget["metadata"]["labels"]["app.kubernetes.io/component"]
        )
        assert budget["spec"]["selector"] == plane["spec"]["selector"]


def test_selectors_of_services_and_policies_match_the_pods() -> None:
    for name in ("minimal", "production", "node-local", "sub-chart"):
        labels = [
            one["spec"]["template"]["metadata"]["labels"].items()
            for one in of_kind(example(name), "Deployment", "DaemonSet")
        ]
        for service in of_kind(example(name), "Service"):
            assert any(service["spec"]["selector"].items() <= found for found in labels), service["metadata"][
                "name"
            ]


def test_every_pod_is_under_a_policy_for_both_directions() -> None:
    for name in ("minimal", "production", "sub-chart", "dev"):
        covered = [
            one["spec"]["podSelector"]["matchLabels"].items()
            for one in of_kind(example(name), "NetworkPolicy")
        ]
        assert all(
            one["spec"]["policyTypes"] == ["Ingress", "Egress"]
            for one in of_kind(example(name), "NetworkPolicy")
        )
        for one in example(name):
            template = (
                one["spec"].get("template", one)
                if one["kind"] in {"Deployment", "DaemonSet", "Job", "Pod"}
                else None
            )
            if template is not None:
                assert any(labels <= template["metadata"]["labels"].items() for labels in covered), one[
                    "metadata"
                ]["name"]


def test_boxes_and_the_admin_port_are_open_to_different_peers() -> None:
    policy = named(example("production"), "NetworkPolicy", "data-plane")["spec"]
    peers = {rule["ports"][0]["port"]: json.dumps(rule["from"]) for rule in policy["ingress"]}
    assert "sandboxes" in peers[8000]
    assert "sandboxes" not in peers[9901]
    assert "monitoring" in peers[9901]
    assert "monitoring" not in peers[8000]


def test_a_node_local_agent_is_the_host_to_cilium() -> None:
    policy = named(example("node-local"), "CiliumNetworkPolicy", "data-plane")["spec"]
    assert {"port": "1000", "protocol": "TCP"} in policy["ingress"][0]["toPorts"][0]["ports"]
    assert policy["ingress"][0]["fromEntities"] == ["host"]
    assert not of_kind(example("node-local"), "NetworkPolicy")


def test_what_an_operator_adds_reaches_the_pods() -> None:
    further: dict[str, Any] = {
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
    }
    found = rendered(
        {
            "dataPlane": further,
            "extraObjects": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}}
            ],
        }
    )
    template = named(found, "Deployment", "data-plane")["spec"]["template"]
    container = template["spec"]["containers"][0]
    assert container["env"][-1] == further["extraEnv"][0]
    assert template["spec"]["volumes"][-1] == further["extraVolumes"][0]
    assert container["volumeMounts"][-1] == further["extraVolumeMounts"][0]
    assert template["metadata"]["annotations"]["a"] == "b"
    assert template["metadata"]["labels"]["c"] == "d"
    assert named(found, "ConfigMap", "aigw-x")


def test_a_parent_chart_gives_its_registry_and_pull_secrets() -> None:
    for _, pod in pods(example("sub-chart")):
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        assert all(one["image"] == "registry.example/run9-ai-gateway:0.1.0" for one in containers(pod))


def test_a_digest_wins_over_a_tag() -> None:
    digest = "sha256:" + "a" * 64
    for _, pod in pods(rendered({"image": {"digest": digest, "tag": "9"}})):
        assert all(one["image"] == f"run9-ai-gateway@{digest}" for one in containers(pod))


def test_an_empty_document_is_no_object() -> None:
    assert objects("---\n---\na: 1\n") == ({"a": 1},)
