"""What one person and one org may have of this process: requests at a time, the rest over time.

Counted in this process alone: with several replicas a client gets up to as many shares as there are replicas.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from services.control_plane.fair_share.over_limit import OverLimit
from services.control_plane.fair_share.refusal_pace import RefusalPace
from services.control_plane.fair_share.token_buckets import TokenBuckets
from services.control_plane.fair_share.turns import LineTooLong, Turns
from services.control_plane.rules.problems import Problem

REQUESTS_AT_A_TIME: Final = 2
"""Of one person. Two requests of an attacker and one of another person share the process three ways."""
MAX_WAITING_REQUESTS: Final = 64
KEY_TESTS_AT_A_TIME: Final = 2
"""Of one org, so that a slow endpoint leaves turns to the others."""
BUSY_RETRY_SECONDS: Final = 5.0
READ_BURST_SECONDS: Final = 20.0
"""A client may read ahead by the share of this time; the next reads go out at the pace of the limit."""
ITEMS_PER_READ: Final = 20
"""A page of a list counts as one read more for each of so many items."""
_THINGS: Final = {
    Problem.TOO_MANY_READS: "reads",
    Problem.TOO_MANY_CHANGES: "changes",
    Problem.TOO_MANY_KEY_TESTS: "key tests",
}


@dataclass(frozen=True, slots=True)
class ShareSizes:
    """How many of each in a minute: the operator's settings."""

    person_changes: int
    org_changes: int
    platform_changes: int
    person_key_tests: int
    org_key_tests: int
    person_reads: int
    org_reads: int


class Shares:
    """Charges people and orgs for what they ask. Raises `OverLimit`. Turns and key tests: on one event loop.

    Attributes:
        pace: how fast refusals go out.
        refused: how many requests were refused, by problem.
    """

    def __init__(self, sizes: ShareSizes, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.pace = RefusalPace()
        self.refused: Counter[Problem] = Counter()
        self._turns = Turns(REQUESTS_AT_A_TIME, MAX_WAITING_REQUESTS)
        self._person_changes = TokenBuckets(sizes.person_changes, monotonic)
        self._org_changes = TokenBuckets(sizes.org_changes, monotonic)
        self._platform_changes = TokenBuckets(sizes.platform_changes, monotonic)
        self._person_key_tests = TokenBuckets(sizes.person_key_tests, monotonic)
        self._org_key_tests = TokenBuckets(sizes.org_key_tests, monotonic)
        self._running_key_tests: Counter[str] = Counter()
        self._person_reads = TokenBuckets(sizes.person_reads, monotonic, burst_seconds=READ_BURST_SECONDS)
        self._org_reads = TokenBuckets(sizes.org_reads, monotonic, burst_seconds=READ_BURST_SECONDS)

    @asynccontextmanager
    async def turn(self, person: str) -> AsyncIterator[None]:
        """Hold one of the person's few turns inside."""
        try:
            async with self._turns.turn(person):
                yield
        except LineTooLong:
            raise self._over(
                Problem.TOO_MANY_REQUESTS,
                "Too many of your requests are waiting. Wait for their answers before you send more.",
                person,
                BUSY_RETRY_SECONDS,
            ) from None

    def charge_read(self, person: str) -> None:
        """Count a read that a person asks for, before anything is read."""
        self._charge(self._person_reads, Problem.TOO_MANY_READS, person, "You make")

    def charge_page(self, org: str, person: str, items: int) -> None:
        """Count a page of up to `items` items of a list of an org, which a member asks for."""
        problem, reads = Problem.TOO_MANY_READS, max(1, items // ITEMS_PER_READ)
        self._charge(self._person_reads, problem, person, "You make", tokens=reads)
        whose = "The members of your organization make"
        self._charge(self._org_reads, problem, org, whose, person, tokens=reads)

    def charge_change(self, person: str) -> None:
        """Count a change that a person asks for, whatever becomes of it."""
        self._charge(self._person_changes, Problem.TOO_MANY_CHANGES, person, "You make")

    def charge_change_of_org(self, org: str, person: str) -> None:
        """Count a change that an owner of `org` asks for. Strangers are refused before that."""
        self._charge(self._org_changes, Problem.TOO_MANY_CHANGES, org, "Your organization makes", person)

    def charge_change_by_platform(self, org: str) -> None:
        """Count a change of an org or its members by the platform: a share apart from that of its owners."""
        self._charge(self._platform_changes, Problem.TOO_MANY_CHANGES, org, "The platform makes")

    @contextmanager
    def key_test(self, org: str, person: str) -> Iterator[None]:
        """Count a key test that an owner asks for, and let only a few of one org run at a time."""
        problem = Problem.TOO_MANY_KEY_TESTS
        if self._running_key_tests[org] >= KEY_TESTS_AT_A_TIME:
            detail = "Key tests of your organization are still running. Wait for their results."
            raise self._over(problem, detail, person, BUSY_RETRY_SECONDS)
        self._charge(self._person_key_tests, problem, person, "You make")
        self._charge(self._org_key_tests, problem, org, "Your organization makes", person)
        self._running_key_tests[org] += 1
        try:
            yield
        finally:
            self._running_key_tests[org] -= 1
            if not self._running_key_tests[org]:
                del self._running_key_tests[org]

    def too_many_look_ups(self, person: str, *, for_everybody: bool) -> OverLimit:
        """Give the refusal of a request that would need one more look-up of a name."""
        detail = "Names are being looked up for you or your organization already. Wait for these first."
        if for_everybody:
            detail = (
                "The gateway is looking up as many names as it can, for others. Try again in a few seconds."
            )
        return self._over(Problem.TOO_MANY_LOOK_UPS, detail, person, BUSY_RETRY_SECONDS)

    def _charge(
        self,
        buckets: TokenBuckets,
        problem: Problem,
        key: str,
        whose: str,
        pace: str = "",
        tokens: float = 1.0,
    ) -> None:
        wait_seconds = buckets.take(key, tokens)
        if wait_seconds:
            thing = _THINGS[problem]
            detail = f"{whose} {thing} faster than this gateway takes them. Wait as long as Retry-After says."
            raise self._over(problem, detail, pace or key, wait_seconds)

    def _over(self, problem: Problem, detail: str, key: str, wait_seconds: float) -> OverLimit:
        self.refused[problem] += 1
        return OverLimit(problem, detail, key=key, wait_seconds=wait_seconds)
