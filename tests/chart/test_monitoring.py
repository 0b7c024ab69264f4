"""Alerts and dashboard of the chart: of metrics that a data plane really gives, right in staged faults."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.chart import example, named, of_kind, rendered
from tests.support.gateway import Gateway
from tests.support.servers.tools import REPOSITORY, find_program, missing
from tools.chart_pages import CHART
from tools.metric_registrations import registrations

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"
STAGED = Path(__file__).with_name("staged_faults.yaml")
RUNBOOK = REPOSITORY / "docs" / "runbook.md"
_METRIC = re.compile(r"\b(?:aigw|process)_[a-z_]+\b")
_LITERAL = re.compile(r"\b(?:job|namespace)\s*=~?\s*\"(?!\$)")


@cache
def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def test_every_metric_that_is_named_is_one_that_a_plane_gives(static_gateway: Gateway) -> None:
    text = httpx.get(f"{static_gateway.ready['admin_url']}/metrics", trust_env=False).text
    given: set[str] = set()
    for family in text_string_to_metric_families(text):
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        given |= {family.name + ending for ending in endings}
    # The gateway of this test has a control plane beside the data plane, and no Vault.
    elsewhere = [one for one in registrations() if one.path.startswith("services/control_plane/")]
    elsewhere += [one for one in registrations() if one.name.startswith("aigw_vault_")]
    given |= {one.name for one in elsewhere}
    expressions = [*queries(), *(rule["expr"] for rule in alerts())]
    unknown = {name for expression in expressions for name in _METRIC.findall(expression)} - given
    assert not unknown, "no plane gives these metrics"


def test_no_expression_names_a_job_or_a_namespace() -> None:
    for text in (*queries(), *(rule["expr"] for rule in alerts())):
        assert not _LITERAL.search(text), text


def test_every_panel_asks_the_data_source_that_is_chosen() -> None:
    variables = {one["name"]: one for one in json.loads(DASHBOARD.read_text())["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_every_alert_says_what_is_wrong_and_has_a_page_of_the_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() >= {"summary", "description"}
        assert rule["alert"] in headings, f"docs/runbook.md has no page {rule['alert']}"
    assert set(headings) == {rule["alert"] for rule in alerts()}


def test_promtool_knows_every_rule() -> None:
    _promtool("check", "rules", ALERTS)


def test_each_alert_fires_in_its_staged_fault_and_is_silent_without_one() -> None:
    _promtool("test", "rules", STAGED)
    staged = yaml.safe_load(STAGED.read_text())["tests"]
    fired = {
        case["alertname"] for test in staged for case in test["alert_rule_test"] if case.get("exp_alerts")
    }
    silent = {
        case["alertname"] for test in staged for case in test["alert_rule_test"] if not case.get("exp_alerts")
    }
    assert fired == silent == {rule["alert"] for rule in alerts()}


def _promtool(*words: object) -> None:
    program = find_program("promtool") or missing("promtool")
    done = subprocess.run(
        [str(program), *map(str, words)], cwd=CHART, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rule_object_holds_the_alerts_with_the_operators_labels_and_pages() -> None:
    rule = named(example("production"), "PrometheusRule", "ai-gateway")
    found = [one for group in rule["spec"]["groups"] for one in group["rules"]]
    assert [one["alert"] for one in found] == [one["alert"] for one in alerts()]
    assert [one["expr"] for one in found] == [one["expr"] for one in alerts()]
    assert found[0]["annotations"]["runbook_url"] == "https://runbooks.example.com/ai-gateway#aigwconfigstale"


def test_an_alert_can_be_left_out_and_labelled() -> None:
    wanted = {"enabled": True, "disabled": ["AigwSlowToSend"], "alertLabels": {"team": "ai"}}
    rule = named(rendered({"monitoring": {"prometheusRule": wanted}}), "PrometheusRule", "ai-gateway")
    found = [one for group in rule["spec"]["groups"] for one in group["rules"]]
    assert len(found) == len(alerts()) - 1
    assert all(one["labels"]["team"] == "ai" for one in found)


def test_the_dashboard_is_in_a_config_map_that_the_sidecar_finds() -> None:
    found = named(example("production"), "ConfigMap", "dashboard")
    assert json.loads(found["data"]["ai-gateway.json"]) == json.loads(DASHBOARD.read_text())
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.parametrize(("name", "kind"), [("production", "ServiceMonitor"), ("sub-chart", "PodMonitor")])
def test_each_plane_has_a_monitor_that_selects_one_object_of_its_own(name: str, kind: str) -> None:
    ports = {}
    for monitor in of_kind(example(name), kind):
        (end,) = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (selected,) = (head for head in _heads(name, kind) if wanted <= head["labels"].items())
        assert end["path"] == "/metrics"
        ports[selected["labels"]["app.kubernetes.io/component"]] = end["port"]
    assert ports == {"data-plane": "admin", "control-plane": "fleet"}


def _heads(name: str, kind: str) -> list[dict[str, Any]]:
    """Give the metadata of what a monitor of this kind can select."""
    if kind == "ServiceMonitor":
        return [one["metadata"] for one in of_kind(example(name), "Service")]
    return [one["spec"]["template"]["metadata"] for one in of_kind(example(name), "Deployment")]
