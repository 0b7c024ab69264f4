"""What the operator's listener answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.data_plane.account.metrics import Metrics
from services.data_plane.admin_app import AdminAppParts, admin_app
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.secrets import SecretLoader
from tests.support.config_truth import FakeSecretReader, Truth, document, row


@dataclass
class Bench:
    now: float = 0.0
    ready: bool = False
    reader: FakeSecretReader = field(default_factory=FakeSecretReader)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        loader = SecretLoader(self.reader, monotonic=lambda: self.now)
        self.table = ConfigTable(loader, clock=lambda: self.now, max_age_seconds=9, allow_plain_http=False)
        app = admin_app(AdminAppParts(self.table, self.metrics, lambda: self.ready))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    async with made.client:
        yield made


async def test_it_is_alive_before_it_is_ready(bench: Bench) -> None:
    assert (await bench.client.get("/livez")).status_code == 200
    assert (await bench.client.get("/readyz")).status_code == 503


async def test_it_stays_ready_when_its_configuration_grows_old(bench: Bench) -> None:
    bench.ready = True
    bench.now += 1_000_000
    assert (await bench.client.get("/readyz")).status_code == 200


async def test_metrics_are_readable_by_prometheus(bench: Bench) -> None:
    answer = await bench.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "aigw_exchanges" in {family.name for family in text_string_to_metric_families(answer.text)}


async def test_the_configuration_is_described_before_there_is_any(bench: Bench) -> None:
    assert (await bench.client.get("/debug/config")).json() == {
        "epoch": None,
        "revision": None,
        "age_seconds": None,
        "counts": {"integrations": 0, "enabled": 0, "loaded": 0, "orgs": 0, "nodes": 0},
        "nacks": [],
        "nacks_in_all": 0,
    }


async def test_the_configuration_is_described_with_its_nacks_and_without_any_secret(bench: Bench) -> None:
    truth = Truth()
    truth.put(row())
    truth.put(row("other"))
    bench.reader.put(1, document(key="sk-canary-1"))
    bench.table.apply_snapshot(truth.now)
    for org in ("acme", "other"):
        await bench.table.load(org, "openai")
    bench.now += 3
    answer = await bench.client.get("/debug/config")
    assert answer.json()["nacks"] == [
        {"org": "other", "provider": "openai", "why": "there is no such version"}
    ]
    assert (answer.json()["revision"], answer.json()["age_seconds"]) == (2, 3)
    assert answer.json()["counts"]["loaded"] == 1
    assert "canary" not in answer.text


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc"])
async def test_nothing_else_is_served(bench: Bench, path: str) -> None:
    assert (await bench.client.get(path)).status_code == 404
