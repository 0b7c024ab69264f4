"""Writers dying at every point of a change, and many writers at once: a single history, without gaps."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.faults.dying_writer import POINTS
from tests.faults.form import FULL_ONLY, MARKS, Form
from tests.faults.site import Site
from tests.faults.trial import Trial, on_trial

pytestmark = MARKS
MAX_TRIES = 20
WRITERS = 8
CONTENDED_ORGS = 4
WRITE_SECONDS = 60


@pytest.mark.parametrize("point", [pytest.param(POINTS[0], marks=FULL_ONLY), *POINTS[1:]])
async def test_a_writer_that_dies_leaves_all_of_its_change_or_nothing(
    site: Site, form: Form, point: str
) -> None:
    done = f"a process with the real adapters, SIGKILL {point}; {form.kills} times"
    async with on_trial(site, f"writer killed {point}", done) as trial:
        for org in trial.on[: form.kills]:
            await die_once(trial, org, point)
        await trial.rotate(trial.on[0])


async def die_once(trial: Trial, org: str, point: str) -> None:
    """Have a writer die; adopt its change if committed."""
    before = (await trial.card(org))["revision"]
    for _ in range(MAX_TRIES):
        key, label = trial.site.keyring.new_key(org)
        code = await asyncio.to_thread(run_writer, trial.site, point, org, key)
        if code == -signal.SIGKILL:
            break
        # One of the fleet's relays published first, so there was nothing to die of: a change like any other.
        assert (code, point) == (0, "after the publication")
        await trial.adopt(org, label)
        before = (await trial.card(org))["revision"]
    else:
        pytest.fail("the writer never got to publish")
    if point in {"before the secret", "after the secret"}:
        assert (await trial.card(org))["revision"] == before
    else:
        await trial.adopt(org, label)


def run_writer(site: Site, point: str, org: str, key: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.dying_writer", point],
        input=json.dumps({"org": org, "key": key}).encode(),
        env=site.control_planes[0].environment,
        capture_output=True,
        timeout=WRITE_SECONDS,
        check=False,
    ).returncode


async def test_a_killed_control_plane_loses_nothing_that_it_acknowledged(site: Site, form: Form) -> None:
    done = f"SIGKILL amid changes, {form.kills} times; the other control plane goes on"
    victim = site.control_planes[1]
    async with on_trial(site, "control plane killed", done) as trial:
        for number in range(form.kills):
            changes = [await trial.commit_toggle(org, via=1) for org in trial.orgs[:4]]
            await asyncio.to_thread(victim.process.kill)
            try:
                for change in changes:
                    await trial.wait_for(change)
                await trial.toggle(trial.orgs[4 + number % 4], via=0)
            finally:
                await asyncio.to_thread(victim.start)


@dataclass(frozen=True, slots=True)
class Write:
    """A successful write: the value set, the revision given, the times of request and acknowledgement."""

    org: str
    enabled: bool
    revision: int
    began: float
    ended: float


async def test_concurrent_writers_make_one_history(site: Site, form: Form) -> None:
    done = f"{form.concurrent_writes} writes to {CONTENDED_ORGS} orgs, {WRITERS} at a time, by both of them"
    async with on_trial(site, "concurrent writers", done) as trial:
        orgs = trial.orgs[:CONTENDED_ORGS]
        each = form.concurrent_writes // WRITERS
        made = await asyncio.gather(*(write(trial, number, orgs, each) for number in range(WRITERS)))
        history = sorted((one for writes in made for one in writes), key=lambda one: one.revision)
        trial.row.changes += len(history)
        trial.row.note = f"{form.concurrent_writes - len(history)} writes were refused: somebody was faster"
        assert len({one.revision for one in history}) == len(history)
        # Linearizable: whoever began after another was acknowledged has the higher revision.
        latest_began = 0.0
        for one in history:
            assert one.ended >= latest_began
            latest_began = max(latest_began, one.began)
        for org in orgs:
            own = [one for one in history if one.org == org]
            # Each was made on top of the one before it, so they alternate.
            assert all(one.enabled != following.enabled for one, following in pairwise(own))
            if own:
                site.movers[org].on = own[-1].enabled


async def write(trial: Trial, number: int, orgs: list[str], times: int) -> list[Write]:
    """Flip orgs again and again, each time on top of the present state; give the successful writes."""
    made = []
    async with trial.site.rest(number % 2) as client:
        for turn in range(times):
            org = orgs[(number + turn) % len(orgs)]
            began = time.monotonic()
            card = await client.card(org, "openai")
            enabled = card.json()["state"] != "enabled"
            head = client._head | {"if-match": card.headers["etag"]}
            url, body = client._path(org, "openai"), {"enabled": enabled}
            answer = await client.client.patch(url, json=body, headers=head)
            assert answer.status_code in {200, 412}, answer.text
            if answer.is_success:
                made.append(Write(org, enabled, answer.json()["revision"], began, time.monotonic()))
    return made
