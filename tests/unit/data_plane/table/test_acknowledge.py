"""Reports to the control plane: their content and their time, and nothing depends on them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from services.data_plane.table.acknowledge import PATH, SPACING_SECONDS, Acknowledger
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.secrets import SecretLoader
from shared.acknowledgement import Acknowledgement, Pending, Seen, decode_acknowledgement
from shared.secret import Secret
from tests.support.config_truth import FakeSecretReader, Truth, document, row

SEEN = Seen("acme", "openai", "accepted", 5.0)


@dataclass
class FakeVerdicts:
    left: tuple[Seen, ...] = (SEEN,)

    def news(self) -> tuple[Seen, ...]:
        return self.left

    def told(self, seen: Sequence[Seen]) -> None:
        self.left = tuple(one for one in self.left if one not in seen)


@dataclass
class Bench:
    """A table, a control plane taking reports or down, and the reporter between them."""

    truth: Truth = field(default_factory=Truth)
    reader: FakeSecretReader = field(default_factory=FakeSecretReader)
    verdicts: FakeVerdicts = field(default_factory=FakeVerdicts)
    reports: list[Acknowledgement] = field(default_factory=list)
    down: bool = False
    is_ready: bool = True

    def __post_init__(self) -> None:
        self.table = ConfigTable(
            SecretLoader(self.reader, monotonic=lambda: 0.0),
            clock=lambda: 0.0,
            max_age_seconds=100.0,
            allow_plain_http=False,
        )
        self.acknowledger = Acknowledger(
            "http://control-plane.test/",
            Secret("the-fleets-token"),
            self.table,
            self.verdicts,
            ready=lambda: self.is_ready,
            clock=lambda: 1000.0,
            report_seconds=1000.0,
            transport=httpx.MockTransport(self._answer),
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == PATH
        assert request.headers["authorization"] == "Bearer the-fleets-token"
        if self.down:
            return httpx.Response(503)
        self.reports.append(decode_acknowledgement(request.content))
        return httpx.Response(204)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.reports) < count:  # noqa: ASYNC110  # the reporter tells nobody
                await asyncio.sleep(0.01)


async def test_before_the_first_snapshot_it_says_that_it_has_nothing() -> None:
    bench = Bench(is_ready=False)
    assert await bench.acknowledger.report()
    (report,) = bench.reports
    assert (report.epoch, report.applied_revision, report.ready) == ("", 0, False)


async def test_a_secret_that_is_not_read_yet_is_pending_until_it_is() -> None:
    bench = Bench()
    bench.truth.put(row("acme", version=1))
    bench.table.apply_snapshot(bench.truth.now)
    await bench.acknowledger.report()
    bench.reader.put(1, document("acme"))
    await bench.table.load("acme", "openai")
    await bench.acknowledger.report()
    before, after = bench.reports
    assert (before.pending, before.is_all_pending) == ((Pending("acme", "openai"),), True)
    assert after.pending == ()
    assert after.applied_revision == bench.truth.now.revision


async def test_what_traffic_showed_is_told_once_it_has_arrived() -> None:
    bench = Bench(down=True)
    assert not await bench.acknowledger.report()
    assert bench.verdicts.news() == (SEEN,)
    bench.down = False
    assert await bench.acknowledger.report()
    assert bench.verdicts.news() == ()
    assert bench.reports[0].seen == (SEEN,)


async def test_what_does_not_fit_into_one_report_is_told_by_the_next() -> None:
    many = tuple(
        Seen(f"{number:03}" + "\U0001f512" * 125, "openai", "accepted", 5.0) for number in range(200)
    )
    bench = Bench(verdicts=FakeVerdicts(many))
    while bench.verdicts.news():
        assert await bench.acknowledger.report()
        assert len(bench.reports) < 10
    assert len(bench.reports) > 1
    assert tuple(seen for report in bench.reports for seen in report.seen) == many


async def test_a_change_is_reported_at_once_and_an_outage_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(down=True)
    await bench.acknowledger.report()
    await bench.acknowledger.report()
    assert [record.message for record in caplog.records] == [
        "the control plane takes no reports: HTTPStatusError"
    ]
    bench.down = False
    running = asyncio.create_task(bench.acknowledger.run())  # noqa: TID251  # cancelled below
    await bench.until(1)
    bench.table.apply_snapshot(bench.truth.now)
    await bench.until(2)
    assert bench.reports[1].epoch == bench.truth.now.epoch
    assert bench.reports[1].process == bench.reports[0].process
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_each_kind_of_change_is_reported_without_waiting_for_the_next_turn() -> None:
    bench = Bench()
    running = asyncio.create_task(bench.acknowledger.run())  # noqa: TID251  # cancelled below
    bench.table.apply_snapshot(bench.truth.now)
    await bench.until(1)
    bench.table.apply_event(bench.truth.put(row("acme", version=1)))
    await bench.until(2)
    await bench.table.load("acme", "openai")  # there is no such secret
    await bench.until(3)
    bench.table.apply_event(bench.truth.put(row("acme", version=2)))
    await bench.until(4)
    bench.reader.put(2, document("acme"))
    await bench.table.load("acme", "openai")
    await bench.until(5)
    bench.is_ready = False
    bench.acknowledger.report_change()
    await bench.until(6)
    acme = (Pending("acme", "openai"),)
    assert [(report.pending, report.ready) for report in bench.reports] == [
        ((), True),
        (acme, True),
        (acme, True),
        (acme, True),
        ((), True),
        ((), False),
    ]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_is_as_it_was_is_not_reported_again() -> None:
    bench = Bench()
    bench.table.apply_snapshot(bench.truth.now)
    running = asyncio.create_task(bench.acknowledger.run())  # noqa: TID251  # cancelled below
    await bench.until(1)
    bench.acknowledger.report_change()
    bench.table.confirm()
    await asyncio.sleep(4 * SPACING_SECONDS)
    assert len(bench.reports) == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_last_report_says_the_end_and_leaves_after_the_report_under_way() -> None:
    bench = Bench()
    bench.acknowledger.take_seat("seat")
    running = asyncio.create_task(bench.acknowledger.run())  # noqa: TID251  # cancelled below
    await bench.until(1)
    await bench.acknowledger.report_end()
    running.cancel()
    assert [report.ended for report in bench.reports] == [False, True]
    assert {(report.process, report.seat) for report in bench.reports} == {(bench.reports[0].process, "seat")}


async def test_a_control_plane_that_is_down_does_not_hold_up_the_end() -> None:
    bench = Bench()
    bench.down = True
    async with asyncio.timeout(20):
        await bench.acknowledger.report_end()
    assert not bench.reports
