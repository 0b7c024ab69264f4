"""A real Prometheus on a free loopback port: scrapes planes, evaluates the rules, answers queries.

A minute of a rule is a second of the server: see `quicker`. Scrapes and evaluations come every second.
"""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

import yaml

from shared.clock import unix_now
from tests.support.servers.process import Server, ServerProcess, short_folder
from tests.support.servers.tools import find_program, missing

INTERVAL_SECONDS: Final = 1
NAMESPACE: Final = "gw"
_ANSWER_SECONDS: Final = 20
_LEAST_RANGE_SECONDS: Final = 5
"""A range with fewer scrapes has no rate when the machine is busy."""
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_RANGE: Final = re.compile(r"\[(\d+)([smh])\]")
_WAIT: Final = re.compile(r"(\d+)([smh])")


class PrometheusServer(Server):
    """`with PrometheusServer(rules, ports) as server` scrapes `/metrics` at each of `ports` of 127.0.0.1.

    `rules` is the text of a rule file.
    """

    def __init__(self, rules: str, ports: Sequence[int]) -> None:
        self._program = find_program("prometheus") or missing("prometheus")
        super().__init__(ServerProcess(short_folder("prometheus")))
        (self.folder / "rules.yaml").write_text(quicker(rules))
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump(_configuration(ports)))

    def start(self) -> None:
        """See `Server`."""
        command = [
            self._program,
            f"--config.file={self.folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self._process.start(command, self._is_ready)

    def firing(self) -> set[str]:
        """Give the names of the alerts that fire now."""
        alerts = self._get("/api/v1/alerts")["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def has_data(self, query: str, seconds: float) -> bool:
        """Whether a panel of the last `seconds` with this query shows a point. Not a number is no point."""
        now = unix_now()
        asked = {"query": query, "start": now - seconds, "end": now, "step": INTERVAL_SECONDS}
        found = self._get(f"/api/v1/query_range?{urllib.parse.urlencode(asked)}")["data"]["result"]
        return any(not math.isnan(float(value)) for series in found for _, value in series["values"])

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=_ANSWER_SECONDS) as answer:
            return json.load(answer)


def quicker(rules: str) -> str:
    """Make the rules' durations shorter by one rule: a minute is a second, and a range has 5 s at least.

    The durations are the ranges in the expressions and the waits in `for`. The numbers that an expression
    compares with stay.
    """
    made = yaml.safe_load(rules)
    for rule in (rule for group in made["groups"] for rule in group["rules"]):
        rule["expr"] = _RANGE.sub(lambda found: f"[{_range_seconds(found)}s]", rule["expr"])
        if "for" in rule:
            rule["for"] = f"{_shorter_seconds(_WAIT.fullmatch(rule['for']))}s"
    return yaml.safe_dump(made, sort_keys=False)


def _range_seconds(found: re.Match[str]) -> int:
    return max(_shorter_seconds(found), _LEAST_RANGE_SECONDS)


def _shorter_seconds(found: re.Match[str] | None) -> int:
    assert found is not None, "a duration has one number and one unit"
    return math.ceil(int(found[1]) * _SECONDS[found[2]] / 60)


def _configuration(ports: Sequence[int]) -> dict[str, Any]:
    targets = [f"127.0.0.1:{port}" for port in ports]
    return {
        "global": {
            "scrape_interval": f"{INTERVAL_SECONDS}s",
            "scrape_timeout": f"{INTERVAL_SECONDS}s",
            "evaluation_interval": f"{INTERVAL_SECONDS}s",
        },
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "planes",
                "static_configs": [{"targets": targets, "labels": {"namespace": NAMESPACE}}],
            }
        ],
    }
