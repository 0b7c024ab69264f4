"""The answers of the operator's listener."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.data_plane.account.metrics import Metrics
from services.data_plane.admin_app import AdminAppParts, admin_app
from services.data_plane.core.limits import RelayLimits
from services.data_plane.key_test.stored_keys import StoredKeyTests
from services.data_plane.relay.upstream.dial import DialConfig
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.secrets import SecretLoader
from shared.endpoint import Endpoint
from shared.key_test import (
    KEY_TESTS_PATH,
    MAX_KEY_TEST_BYTES,
    KeyTestRequest,
    decode_key_test_response,
    encode_key_test_request,
)
from shared.secret import Secret
from tests.support.config_truth import EPOCH, FakeSecretReader, Truth, document, row

TOKEN = "the-token-of-the-fleet"
REQUEST = encode_key_test_request(KeyTestRequest("acme", "openai", EPOCH, 1))


class NoWayOut:
    """No endpoint can be reached."""

    async def connect(self, endpoint: Endpoint, make: object) -> Any:  # noqa: ARG002  # the port's signature
        raise ConnectionRefusedError(111, endpoint.host)


@dataclass
class Bench:
    now: float = 0.0
    ready: bool = False
    token: str = TOKEN
    reader: FakeSecretReader = field(default_factory=FakeSecretReader)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        loader = SecretLoader(self.reader, monotonic=lambda: self.now)
        self.table = ConfigTable(loader, clock=lambda: self.now, max_age_seconds=9, allow_plain_http=False)
        config = DialConfig(NoWayOut(), None, ssl.create_default_context(), 1, allow_plain_http=False)
        key_tests = StoredKeyTests(self.table, loader, config, RelayLimits())
        parts = AdminAppParts(self.table, self.metrics, lambda: self.ready, key_tests, Secret(self.token))
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(admin_app(parts)), base_url="http://admin"
        )

    async def try_key(self, body: bytes, authorization: str | None) -> httpx.Response:
        head = {} if authorization is None else {"authorization": authorization}
        return await self.client.post(KEY_TESTS_PATH, content=body, headers=head)


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
        "unusable_secrets": [],
        "unusable_secrets_in_all": 0,
    }


async def test_the_configuration_is_described_with_its_unusable_secrets_and_without_any_secret(
    bench: Bench,
) -> None:
    truth = Truth()
    truth.put(row())
    truth.put(row("other"))
    bench.reader.put(1, document(key="sk-canary-1"))
    bench.table.apply_snapshot(truth.now)
    for org in ("acme", "other"):
        await bench.table.load(org, "openai")
    bench.now += 3
    answer = await bench.client.get("/debug/config")
    assert answer.json()["unusable_secrets"] == [
        {"org": "other", "provider": "openai", "why": "there is no such version"}
    ]
    assert (answer.json()["revision"], answer.json()["age_seconds"]) == (2, 3)
    assert answer.json()["counts"]["loaded"] == 1
    assert "canary" not in answer.text


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc"])
async def test_nothing_else_is_served(bench: Bench, path: str) -> None:
    assert (await bench.client.get(path)).status_code == 404


async def test_the_fleets_token_opens_the_trial_of_a_stored_key(bench: Bench) -> None:
    truth = Truth()
    truth.put(row(enabled=False))
    bench.reader.put(1, document())
    bench.table.apply_snapshot(truth.now)
    answer = await bench.try_key(REQUEST, f"Bearer {TOKEN}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    found = decode_key_test_response(answer.content)
    assert [step.status for step in found.steps] == ["skipped", "failed", "skipped", "skipped"]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer x", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN} "]
)
async def test_without_the_token_nothing_is_tried(bench: Bench, authorization: str | None) -> None:
    truth = Truth()
    truth.put(row())
    bench.table.apply_snapshot(truth.now)
    answer = await bench.try_key(REQUEST, authorization)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert bench.reader.reads == []


@pytest.mark.parametrize("authorization", [None, "Bearer ", "Bearer"])
async def test_a_process_without_a_token_takes_none(authorization: str | None) -> None:
    bench = Bench(token="")
    async with bench.client:
        assert (await bench.try_key(REQUEST, authorization)).status_code == 401


@pytest.mark.parametrize(("body", "status"), [(b"{}", 400), (b"x" * (MAX_KEY_TEST_BYTES + 1), 413)])
async def test_what_is_no_request_for_a_trial_is_refused(bench: Bench, body: bytes, status: int) -> None:
    assert (await bench.try_key(body, f"Bearer {TOKEN}")).status_code == status
