"""A fault under load: the changes made meanwhile, when each was enforced where, and the failures.

Leaving the context waits until all is well again, checks the invariants of every fault, and adds the row.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import httpx

from shared.clock import unix_now
from shared.tasks import TaskSet
from tests.faults.load import Load
from tests.faults.row import Row
from tests.faults.site import Mover, Site
from tests.faults.witness import Witness
from tests.support.servers.fleet import Plane

ENFORCED_SECONDS: Final = 60.0
"""A change not enforced by then counts as lost: several times every bar."""
LOOK_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Change:
    """A commit: the org, the answer due to its boxes from then on, and the time (Unix seconds)."""

    org: str
    expected: str
    revision: int
    committed_at: float


@dataclass(slots=True)
class Trial:
    """`toggle` and `rotate` wait until every process enforces the change; `commit` and `wait_for` are halves.

    Attributes:
        planes: the data planes to enforce a change.
        look_seconds: the pause between two looks at a data plane.
        checks_live: whether each change is also waited for in the words of the REST interface.
    """

    site: Site
    row: Row
    load: Load
    planes: list[Plane]
    look_seconds: float = LOOK_SECONDS
    checks_live: bool = False
    _tasks: TaskSet = field(default_factory=TaskSet)

    @property
    def orgs(self) -> list[str]:
        """The orgs open to change."""
        return list(self.site.movers)

    @property
    def on(self) -> list[str]:
        """The orgs open to change and switched on."""
        return [org for org, mover in self.site.movers.items() if mover.on]

    async def card(self, org: str) -> dict[str, Any]:
        """The REST interface's view of an org's integration."""
        async with self.site.rest() as client:
            answer: dict[str, Any] = (await client.card(org, "openai")).json()
        return answer

    async def adopt(self, org: str, label: str) -> None:
        """Count a change of the key committed by somebody else; wait until the change is enforced."""
        becomes, card = Mover(label), await self.card(org)
        self.site.movers[org] = becomes
        self.row.changes += 1
        await self.wait_for(_change(org, becomes, card))

    async def toggle(self, org: str, via: int = 0) -> Change:
        """Switch an org on or off, whichever changes its state."""
        return await self._make(org, *self._toggled(org), via)

    async def rotate(self, org: str, via: int = 0) -> Change:
        """Give a switched-on org another key."""
        assert self.site.movers[org].on, "only a key in use can be seen"
        key, label = self.site.keyring.new_key(org)
        return await self._make(org, Mover(label), {"api_key": key}, via)

    async def commit_toggle(self, org: str, via: int = 0) -> Change:
        """Commit a switch, and do not wait for its effect."""
        return await self._commit(org, *self._toggled(org), via)

    async def try_to_rotate(self, org: str, via: int = 0) -> httpx.Response:
        """Ask for another key; give the answer, good or bad. A good answer counts as a change."""
        key, label = self.site.keyring.new_key(org)
        async with self.site.rest(via) as client:
            answer = await client.change("PATCH", org, "openai", api_key=key)
        if answer.is_success:
            self.site.movers[org].label = label
            self.row.changes += 1
        return answer

    def _toggled(self, org: str) -> tuple[Mover, dict[str, Any]]:
        mover = self.site.movers[org]
        return replace(mover, on=not mover.on), {"enabled": not mover.on}

    async def _commit(self, org: str, becomes: Mover, body: dict[str, Any], via: int) -> Change:
        async with self.site.rest(via) as client:
            answer = await client.change("PATCH", org, "openai", **body)
        assert answer.is_success, answer.text
        self.site.movers[org] = becomes
        self.row.changes += 1
        return _change(org, becomes, answer.json())

    async def _make(self, org: str, becomes: Mover, body: dict[str, Any], via: int) -> Change:
        # Looked for from before the commit: a process may be quicker than the answer to whoever saved.
        looks = [
            self._tasks.start(self._enforced_at(plane, org, becomes.expected), "look")
            for plane in self.planes
        ]
        try:
            change = await self._commit(org, becomes, body, via)
            if self.checks_live:
                await self.called_live(change, via)
            self._book(change, await asyncio.gather(*looks))
        finally:
            for look in looks:
                look.cancel()
        return change

    async def wait_for(self, change: Change, planes: Sequence[Plane] | None = None) -> None:
        """Wait until processes enforce a change of `commit_toggle`."""
        looks = (self._enforced_at(plane, change.org, change.expected) for plane in planes or self.planes)
        self._book(change, await asyncio.gather(*looks))

    async def called_live(self, change: Change, via: int = 0) -> None:
        """Wait until the REST interface calls a change live on every process, and check the claim."""
        async with asyncio.timeout(ENFORCED_SECONDS), self.site.rest(via) as client:
            while True:
                found = await client.rollout(change.org, "openai")
                if found["live"] == found["total"] >= len(self.planes):
                    break
                await asyncio.sleep(self.look_seconds)
        self.row.live_checks += 1
        said = await asyncio.gather(*(self.ask(plane, change.org) for plane in self.planes))
        self.row.false_live += any(outcome != change.expected for outcome in said)

    def _book(self, change: Change, seen: Sequence[float | None]) -> None:
        self.row.lost += None in seen
        self.row.seconds += [max(0.0, at - change.committed_at) for at in seen if at is not None]

    async def _enforced_at(self, plane: Plane, org: str, expected: str) -> float | None:
        """Give the time at which a box's request first showed the change; None when no request did."""
        try:
            async with asyncio.timeout(ENFORCED_SECONDS):
                while await self.ask(plane, org) != expected:  # noqa: ASYNC110  # another process changes
                    await asyncio.sleep(self.look_seconds)
        except TimeoutError:
            return None
        return unix_now()

    async def ask(self, plane: Plane, org: str) -> str:
        """Ask as a box of an org with an integration: "missing" would be wrong."""
        outcome = await self.site.boxes.ask(plane, org)
        self.row.missing += outcome == "integration_missing"
        return outcome

    async def settle(self) -> None:
        """Wait until every process has the database's revision, and gives every org the right answer."""
        for plane in self.planes:
            await self.site.caught_up(plane)
            found = await asyncio.gather(
                *(self._enforced_at(plane, org, mover.expected) for org, mover in self.site.movers.items())
            )
            self.row.lost += found.count(None)

    async def close(self) -> None:
        """Stop looking."""
        await self._tasks.aclose()


def _change(org: str, becomes: Mover, card: dict[str, Any]) -> Change:
    at = datetime.fromisoformat(card["updated_at"]).timestamp()
    return Change(org, becomes.expected, card["revision"], at)


@asynccontextmanager
async def on_trial(site: Site, fault: str, done: str, *, with_load: bool = True) -> AsyncIterator[Trial]:
    """Run a fault inside; the fault must be over at the end."""
    row = Row(fault, done)
    load = Load(site.boxes, site.labels if with_load else {}, list(site.data_planes))
    trial = Trial(site, row, load, list(site.data_planes))
    site.upstream.requests.clear()
    await site.switch_all_on()
    await trial.settle()
    try:
        async with Witness(site) as witness, load:
            yield trial
            await trial.settle()
        row.twice += witness.steps_back + site.repeated_revisions()
    except BaseException:
        row.note = "**the test failed**"
        raise
    finally:
        await trial.close()
        row.requests, row.failed = load.requests, load.failed
        row.missing += load.wrong_missing
        row.machine_load = os.getloadavg()[0]
        site.rows.append(row)
    assert not load.failures, f"requests of loaded orgs failed: {dict(load.failures)}"
    assert (row.lost, row.twice, row.missing, row.false_live) == (0, 0, 0, 0), row
