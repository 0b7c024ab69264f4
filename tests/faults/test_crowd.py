"""A fleet with thousands of orgs, and a data plane starting cold in front of all of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.control_plane.store.changes import begin_epoch
from services.control_plane.store.database import Database
from services.control_plane.store.integrations import never_set_up
from services.control_plane.store.tables import OrgTable
from shared.secret import Secret
from shared.secret_document import SecretDocument, to_fields
from tests.faults.boxes import Boxes
from tests.faults.form import FULL_ONLY, MARKS, Form
from tests.faults.site import Site
from tests.faults.trial import on_trial
from tests.support.servers.fleet import Fleet, Plane
from tests.support.servers.vault import MOUNT

pytestmark = MARKS
WRITERS = 8
ASKERS = 40
SERVED_SECONDS = 300.0
MAX_READS_PER_ORG = 1.1


@FULL_ONLY
async def test_a_process_starts_cold_before_a_crowd_of_orgs(site: Site, form: Form, tmp_path: Path) -> None:
    done = f"a data plane of another fleet starts with {form.cold_orgs} orgs, and all of them call at once"
    async with on_trial(site, "cold start, many orgs", done) as trial:
        fleet = await asyncio.to_thread(site.backends.new_fleet, tmp_path)
        fleet.redis_url = fleet.redis_url.replace("/0", "/1")
        with fleet.running():
            control_plane = await asyncio.to_thread(fleet.control_plane)
            async with fleet.client(control_plane):
                labels = await asyncio.to_thread(fill, fleet, site, form.cold_orgs)
            plane = await asyncio.to_thread(fleet.data_plane, control_plane)
            async with Boxes(fleet._node_key) as boxes:
                began = time.monotonic()
                outcomes = await ask_all(boxes, plane, labels)
                seconds = time.monotonic() - began
        trial.row.requests += outcomes.total()
        trial.row.missing += outcomes["integration_missing"]
        reads = count_reads(site, fleet)
        assert set(outcomes) <= {"own key", "config_unavailable"}, outcomes
        # A request that comes just when a prefetched key arrives may ask for it once more.
        assert form.cold_orgs <= reads <= form.cold_orgs * MAX_READS_PER_ORG
        again = outcomes["config_unavailable"]
        trial.row.note = (
            f"all served after {seconds:.1f} s, {reads} reads of Vault, {again} told to try again (503)"
        )


def fill(fleet: Fleet, site: Site, number: int) -> dict[str, str]:
    """Write orgs with a key each straight into the database and Vault; give their labels."""
    labels = {}
    documents = []
    for org in (f"cold-{index:05d}" for index in range(number)):
        key, labels[org] = site.keyring.new_key(org)
        documents.append(SecretDocument(org, "openai", site.endpoint, Secret(key)))
    kv, target = site.backends.vault.root().secrets.kv.v2, fleet.vault.target("data-plane")

    def put(document: SecretDocument) -> None:
        path = target.path(document.org, document.provider)
        kv.create_or_update_secret(path, to_fields(document), cas=0, mount_point=MOUNT)

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(put, documents))
    database = Database(fleet.database_url)
    with database.write() as session:
        session.add_all(
            OrgTable(org=org, name=org, removed=False, revision=1, updated_at=1.0) for org in labels
        )
        session.flush()
        for org in labels:
            row = never_set_up(org, "openai")
            row.state, row.endpoint, row.secret_version = "enabled", site.endpoint, 1
            session.add(row)
        begin_epoch(session)  # as a restore does: these rows have moved no counter
    database.close()
    return labels


async def ask_all(boxes: Boxes, plane: Plane, labels: dict[str, str]) -> Counter[str]:
    """Ask for every org until the org is served; give every outcome."""
    outcomes: Counter[str] = Counter()
    waiting = iter(labels.items())

    async def ask_some() -> None:
        for org, label in waiting:
            while (outcome := await boxes.ask(plane, org)) != label:
                outcomes[outcome] += 1
                assert outcome == "config_unavailable", outcome
                await asyncio.sleep(0.2)
            outcomes["own key"] += 1

    async with asyncio.timeout(SERVED_SECONDS):
        await asyncio.gather(*(ask_some() for _ in range(ASKERS)))
    return outcomes


def count_reads(site: Site, fleet: Fleet) -> int:
    """Count the reads in that fleet's corner of Vault."""
    lines = site.backends.vault.audit_file.read_text().splitlines()
    entries = (json.loads(line) for line in lines if f"{fleet.vault.prefix}/" in line and '"read"' in line)
    return sum(entry["type"] == "request" and entry["request"]["operation"] == "read" for entry in entries)
