"""After an integration is switched off to be replaced, the table never serves the old integration."""

from __future__ import annotations

from services.data_plane.core.integration import NotReady
from tests.support.config_truth import row
from tests.support.table_bench import TableBench


async def test_what_was_replaced_while_switched_off_does_not_come_back() -> None:
    bench = TableBench()
    await bench.loaded()
    bench.truth.put(row(enabled=False))
    bench.follow()
    bench.truth.put(row(enabled=False, version=2))
    bench.follow()
    bench.truth.put(row(version=2))
    bench.follow()
    assert bench.found() is NotReady.LOADING


async def test_what_is_replaced_as_it_is_switched_on_does_not_serve_the_old_key() -> None:
    bench = TableBench()
    await bench.loaded()
    bench.truth.put(row(enabled=False))
    bench.follow()
    bench.truth.put(row(version=2))
    bench.follow()
    assert bench.found() is NotReady.LOADING
