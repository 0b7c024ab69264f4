"""PostgreSQL gone, or restored from an old backup: loaded keys serve on, and nothing mixes."""

from __future__ import annotations

import asyncio
import copy
import subprocess
from pathlib import Path

import httpx
import pytest

from shared.clock import unix_now
from tests.faults.form import FULL_ONLY, MARKS, Form
from tests.faults.outages import postgres_stopped
from tests.faults.site import Site
from tests.faults.trial import on_trial
from tests.support.commands import AIGW

pytestmark = MARKS
TOOL_SECONDS = 120


async def test_without_postgres_everything_loaded_serves(site: Site, form: Form) -> None:
    done = f"stopped for {form.down_seconds:g} s; a change is refused meanwhile, and made afterwards"
    async with on_trial(site, "Postgres stopped", done) as trial:
        await trial.toggle(trial.orgs[0])
        async with postgres_stopped(site):
            with pytest.raises(httpx.HTTPStatusError, match="Server error"):
                await trial.commit_toggle(trial.orgs[1])
            await asyncio.sleep(form.down_seconds)
        for via in (0, 1):
            await trial.toggle(trial.orgs[1], via=via)


@pytest.mark.parametrize("how", ["announced", pytest.param("without a word", marks=FULL_ONLY)])
async def test_a_restored_database_begins_a_new_epoch(
    site: Site, form: Form, tmp_path: Path, how: str
) -> None:
    number, announced = form.restored_changes, how == "announced"
    fault, by = ("Postgres restored", "`aigw db restored`") if announced else ("Restored without a word", "")
    steps = filter(None, ("pg_dump", f"{number} changes", "control planes stopped", "pg_restore", by))
    async with on_trial(site, fault, f"{', '.join(steps)}, started again") as trial:
        backup = tmp_path / "backup"
        await asyncio.to_thread(run_tool, site, "pg_dump", "--format=custom", f"--file={backup}")
        was = copy.deepcopy(site.movers)
        await trial.rotate(trial.on[0])
        for turn in range(number - 1):
            await trial.toggle(trial.orgs[1 + turn % 4], via=turn % 2)
        epoch, revision = site.truth()
        for plane in site.control_planes:
            await asyncio.to_thread(plane.process.stop)
        await asyncio.to_thread(run_tool, site, "pg_restore", "--clean", "--if-exists", str(backup))
        if announced:
            await asyncio.to_thread(say_that_it_was_restored, site)
        site.movers = was
        old_epoch, old_revision = site.truth()
        assert (old_epoch != epoch) == announced
        assert old_revision == revision - number
        await asyncio.gather(*(asyncio.to_thread(plane.start) for plane in site.control_planes))
        began = unix_now()
        if not announced:
            await begun_anew(site, epoch)
        for plane in trial.planes:
            await site.caught_up(plane)
        assert site.truth()[0] != epoch, "the first report that stands above the counter begins it"
        trial.checks_live = True
        trial.row.note = f"new epoch on every process {unix_now() - began:.1f} s after the start"
        await trial.toggle(trial.orgs[0])


async def begun_anew(site: Site, epoch: str) -> None:
    """Wait until a control plane has begun another epoch by itself."""
    async with asyncio.timeout(TOOL_SECONDS):
        while (await asyncio.to_thread(site.truth))[0] == epoch:  # noqa: ASYNC110  # another process changes
            await asyncio.sleep(0.05)


def run_tool(site: Site, name: str, *options: str) -> None:
    """Run a program of PostgreSQL's own on the site's database."""
    url = site.fleet.database_url.replace("postgresql+psycopg://", "postgresql://")
    program = site.backends.postgres._programs / name
    done = subprocess.run(
        [program, *options, f"--dbname={url}"], capture_output=True, timeout=TOOL_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def say_that_it_was_restored(site: Site) -> None:
    """Do the operator's part after a restore."""
    subprocess.run(
        [*AIGW, "db", "restored"],
        env=site.control_planes[0].environment,
        capture_output=True,
        timeout=TOOL_SECONDS,
        check=True,
    )
