"""A data plane starting while others are down, or with nothing at all: never a wrong "missing"."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from shared.config_feed import SNAPSHOT_KEY, decode_snapshot
from shared.feed_signature import FeedKeys
from shared.secret import Secret
from tests.faults.form import FULL_ONLY, MARKS
from tests.faults.outages import (
    control_planes_stopped,
    everything_stopped,
    postgres_stopped,
    redis_stopped,
    vault_sealed,
)
from tests.faults.site import Site
from tests.faults.trial import Trial, on_trial
from tests.support.servers.fleet import Plane

pytestmark = MARKS
COPIED_SECONDS = 60.0
FIRST_REQUESTS = 500
BOXES = 10
UNAVAILABLE = "config_unavailable"


@asynccontextmanager
async def stopped_data_plane(site: Site, **environment: str) -> AsyncIterator[Plane]:
    """Another data plane, made and stopped: a test starts the process again in the middle of an outage."""
    plane = await asyncio.to_thread(site.fleet.data_plane, site.control_planes[0], **environment)
    await asyncio.to_thread(plane.process.stop)
    try:
        yield plane
    finally:
        await asyncio.to_thread(plane.process.stop)


@pytest.mark.parametrize("down", ["Redis", "control planes", pytest.param("Postgres", marks=FULL_ONLY)])
async def test_a_process_starts_while_one_source_of_configuration_is_down(site: Site, down: str) -> None:
    outage = {"Redis": redis_stopped, "Postgres": postgres_stopped, "control planes": control_planes_stopped}
    async with on_trial(site, f"cold start without {down}", "a data plane starts meanwhile") as trial:
        await copied(site)
        async with stopped_data_plane(site) as plane, outage[down](site):
            await asyncio.to_thread(plane.start)
            await site.fleet.ready(plane)
            await expect_every_key(trial, plane)


async def test_a_process_starts_without_vault_and_serves_once_it_is_back(site: Site) -> None:
    async with (
        on_trial(site, "cold start without Vault", "503 meanwhile; served once it is unsealed") as trial,
        stopped_data_plane(site) as plane,
    ):
        async with vault_sealed(site):
            await asyncio.to_thread(plane.start)
            await site.fleet.ready(plane)
            for org in site.labels:
                assert await site.boxes.ask(plane, org) == UNAVAILABLE
        await expect_every_key(trial, plane)


async def test_a_process_that_finds_nothing_says_so_and_catches_up(site: Site) -> None:
    done = "a data plane starts with all down; 503, not ready; served once all is back"
    async with (
        on_trial(site, "cold start without anything", done) as trial,
        stopped_data_plane(site) as plane,
    ):
        async with everything_stopped(site):
            await asyncio.to_thread(plane.start)
            for org in list(site.labels)[:5]:
                assert await site.boxes.ask(plane, org) == UNAVAILABLE
            ready = await site.boxes.client.get(f"http://127.0.0.1:{plane.inner_port}/readyz")
            assert ready.status_code == httpx.codes.SERVICE_UNAVAILABLE
        await expect_every_key(trial, plane)


async def test_many_first_requests_of_an_org_are_one_read(site: Site) -> None:
    done = f"{FIRST_REQUESTS} requests at once for one org, to a data plane without prefetch"
    async with (
        on_trial(site, "cold org", done) as trial,
        stopped_data_plane(site, AIGW_PREFETCH_SECRETS="false") as plane,
    ):
        await asyncio.to_thread(plane.start)
        await site.fleet.ready(plane)
        org, label = next(iter(site.labels.items()))
        before = reads_of(site, org)
        asked = (site.boxes.ask(plane, org, f"box-{number % BOXES}") for number in range(FIRST_REQUESTS))
        outcomes = Counter(await asyncio.gather(*asked))
        trial.row.requests += FIRST_REQUESTS
        trial.row.missing += outcomes["integration_missing"]
        assert outcomes == {label: FIRST_REQUESTS}
        assert reads_of(site, org) == before + 1
        trial.row.note = "1 read in Vault's audit log"


def reads_of(site: Site, org: str) -> int:
    """Count the reads of an org's key in Vault's audit log."""
    lines = site.backends.vault.audit_file.read_text().splitlines()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines if f"/{org}/openai" in line]
    return sum(entry["type"] == "request" and entry["request"]["operation"] == "read" for entry in entries)


async def copied(site: Site) -> None:
    """Wait until the copy of the snapshot in Redis holds every org."""
    known = {*site.labels, *site.movers}
    keys = FeedKeys(Secret(site.fleet.feed_key))
    with site.backends.valkey.client() as redis:
        async with asyncio.timeout(COPIED_SECONDS):
            while True:
                body: Any = redis.hget(SNAPSHOT_KEY, "body")
                if body:
                    copy = decode_snapshot(keys.open("snapshot", body))
                    if known <= {row.org for row in copy.integrations}:
                        return
                await asyncio.sleep(0.5)


async def expect_every_key(trial: Trial, plane: Plane) -> None:
    """Wait until the process serves every loaded org, and never reports a key as missing."""
    async with asyncio.timeout(COPIED_SECONDS):
        for org, label in trial.site.labels.items():
            while (outcome := await trial.ask(plane, org)) != label:
                assert outcome in {UNAVAILABLE, "overloaded"}, outcome
                await asyncio.sleep(0.1)
