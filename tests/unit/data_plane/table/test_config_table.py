"""The config table against a model of the control plane."""

from __future__ import annotations

import asyncio

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.table.config_table import STALE_SECONDS
from services.data_plane.table.position import Decision, Position
from shared.box_token import public_key_text
from shared.config_feed import NodeRow, OrgRow, Snapshot
from tests.support.config_truth import document, row
from tests.support.table_bench import MAX_AGE_SECONDS, TableBench

ACME = OrgRow("acme", "Acme", ("ann@acme.example",))
NODE = NodeRow("node-1", "kid-1", public_key_text(Ed25519PrivateKey.generate().public_key()))


def test_without_any_snapshot_nothing_is_called_missing() -> None:
    assert TableBench().found() is NotReady.UNKNOWN


async def test_an_integration_is_missing_then_loading_then_there() -> None:
    bench = TableBench()
    bench.snapshot()
    assert bench.found() is NotReady.MISSING
    bench.truth.put(row())
    bench.follow()
    assert bench.found() is NotReady.LOADING
    found = await bench.loaded(key="sk-1")
    assert found.key_bytes == b"sk-1"
    assert bench.found("other") is NotReady.MISSING
    assert bench.found(provider="anthropic") is NotReady.MISSING


async def test_disabling_applies_at_once_and_enabling_needs_no_new_read() -> None:
    bench = TableBench()
    before = await bench.loaded()
    bench.truth.put(row(enabled=False))
    bench.follow()
    assert bench.found() is NotReady.DISABLED
    bench.reader.broken = AssertionError("no read is needed")
    bench.truth.put(row())
    bench.follow()
    assert bench.found() is before


async def test_disabling_and_clearing_cut_running_streams() -> None:
    bench = TableBench()
    await bench.loaded()
    bench.truth.put(row(enabled=False))
    bench.follow()
    assert bench.cuts == [("acme", "openai")]
    bench.truth.clear("acme", "openai")
    bench.follow()
    assert bench.found() is NotReady.MISSING
    assert bench.cuts == [("acme", "openai")] * 2


async def test_a_snapshot_without_the_row_clears_and_cuts_it() -> None:
    bench = TableBench()
    await bench.loaded()
    bench.truth.clear("acme", "openai")
    bench.snapshot()
    assert bench.found() is NotReady.MISSING
    assert bench.cuts == [("acme", "openai")]


async def test_what_is_cut_is_already_gone_when_the_subscriber_looks() -> None:
    bench = TableBench()
    await bench.loaded()
    seen: list[object] = []
    bench.table.subscribe(lambda _org, _provider: seen.append(bench.found()))
    bench.now += MAX_AGE_SECONDS + 1
    bench.truth.put(row(enabled=False))
    bench.follow()
    bench.truth.clear("acme", "openai")
    bench.follow()
    assert seen == [NotReady.DISABLED, NotReady.MISSING]


async def test_a_rotated_key_serves_the_old_one_until_the_new_one_is_in_and_cuts_nothing() -> None:
    bench = TableBench()
    old = await bench.loaded(key="sk-old")
    bench.truth.put(row(version=2))
    bench.follow()
    assert bench.found() is old
    new = await bench.loaded(2, key="sk-new")
    assert new.key_bytes == b"sk-new"
    assert bench.cuts == []


async def test_a_changed_endpoint_cuts_once_the_new_secret_is_in() -> None:
    bench = TableBench()
    await bench.loaded()
    await bench.loaded(2, endpoint="https://other.example/v1")
    assert bench.cuts == [("acme", "openai")]


async def test_a_version_that_cannot_be_read_is_an_unusable_secret_and_the_last_good_one_keeps_serving() -> (
    None
):
    bench = TableBench()
    old = await bench.loaded()
    bench.truth.put(row(version=2))
    bench.follow()
    await bench.table.load("acme", "openai")
    assert bench.found() is old
    assert bench.table.unusable == {("acme", "openai"): "there is no such version"}
    assert bench.table.wanted() == [("acme", "openai")]
    bench.now += 60
    await bench.loaded(2)
    assert (bench.table.unusable, bench.table.wanted()) == ({}, [])


async def test_an_endpoint_that_policy_forbids_is_an_unusable_secret() -> None:
    bench = TableBench()
    old = await bench.loaded()
    bench.reader.put(2, document(endpoint="http://10.0.0.1/v1"))
    bench.truth.put(row(version=2))
    bench.follow()
    await bench.table.load("acme", "openai")
    assert bench.found() is old
    assert "plain http" in bench.table.unusable["acme", "openai"]


async def test_a_forged_event_cannot_aim_a_key() -> None:
    bench = TableBench()
    good = await bench.loaded(key="sk-acme")
    bench.reader.put(9, document(org="evil", endpoint="https://evil.example/v1"))
    bench.reader.documents["acme", "openai", 9] = bench.reader.documents["evil", "openai", 9]
    bench.truth.put(row(version=9))
    bench.follow()
    await bench.table.load("acme", "openai")
    assert bench.found() is good


async def test_a_secret_that_arrives_after_the_integration_moved_on_is_thrown_away() -> None:
    bench = TableBench()
    bench.snapshot()
    bench.reader.put(1, document(key="sk-1"))
    bench.reader.gate = asyncio.Event()
    bench.truth.put(row())
    bench.follow()
    loading = asyncio.gather(bench.table.load("acme", "openai"))
    await asyncio.sleep(0)
    bench.truth.put(row(version=2))
    bench.follow()
    bench.reader.gate.set()
    await loading
    assert bench.found() is NotReady.LOADING
    bench.truth.clear("acme", "openai")
    bench.follow()
    assert bench.found() is NotReady.MISSING


async def test_who_waits_for_a_secret_that_is_replaced_meanwhile_gets_the_new_one() -> None:
    bench = TableBench()
    bench.snapshot()
    bench.reader.put(2, document(key="sk-2"))
    bench.reader.gate = asyncio.Event()
    bench.truth.put(row())
    bench.follow()
    loading = asyncio.gather(bench.table.load("acme", "openai"))
    await asyncio.sleep(0)
    bench.truth.put(row(version=2))
    bench.follow()
    bench.reader.gate.set()
    await loading
    found = bench.found()
    assert isinstance(found, CompiledIntegration)
    assert found.secret_version == 2
    assert bench.reader.reads == [("acme", "openai", 1), ("acme", "openai", 2)]


async def test_many_loads_of_one_secret_are_one_read() -> None:
    bench = TableBench()
    bench.snapshot()
    bench.reader.put(1, document())
    bench.truth.put(row())
    bench.follow()
    await asyncio.gather(*(bench.table.load("acme", "openai") for _ in range(50)))
    assert bench.reader.reads == [("acme", "openai", 1)]
    await bench.table.load("acme", "openai")
    assert len(bench.reader.reads) == 1


async def test_a_config_that_is_too_old_is_unknown_until_it_is_confirmed() -> None:
    bench = TableBench()
    there = await bench.loaded()
    bench.now += MAX_AGE_SECONDS
    assert bench.found() is there
    bench.now += 1
    assert bench.found() is NotReady.UNKNOWN
    assert bench.found("nobody") is NotReady.UNKNOWN
    bench.table.confirm()
    assert bench.found() is there


def test_a_beat_of_here_is_word_from_the_control_plane_and_silence_is_stale() -> None:
    bench = TableBench()

    def is_stale() -> bool:
        return bench.table.is_stale

    assert is_stale()
    bench.snapshot()
    assert not is_stale()
    bench.now += STALE_SECONDS + 1
    assert bench.table.apply_beat(Position("epoch-1", 1)) is Decision.RESYNC
    assert is_stale()
    assert bench.table.apply_beat(Position("epoch-1", 0)) is Decision.ACCEPT
    assert not is_stale()


async def test_without_prefetch_only_a_version_in_use_is_wished_for() -> None:
    bench = TableBench(prefetch=False)
    bench.snapshot()
    bench.truth.put(row())
    bench.follow()
    assert bench.table.wanted() == []
    await bench.loaded()
    bench.truth.put(row(version=2))
    bench.follow()
    assert bench.table.wanted() == [("acme", "openai")]


def test_a_disabled_integration_is_not_wished_for() -> None:
    bench = TableBench()
    bench.truth.put(row(enabled=False))
    bench.snapshot()
    assert bench.table.wanted() == []
    assert bench.found() is NotReady.DISABLED


async def test_an_event_lets_a_failed_secret_be_read_again_at_once() -> None:
    bench = TableBench()
    bench.snapshot()
    bench.truth.put(row())
    bench.follow()
    await bench.table.load("acme", "openai")
    assert bench.table.unusable
    await bench.loaded()


async def test_a_snapshot_that_tells_of_a_change_lets_it_be_read_again_at_once_too() -> None:
    bench = TableBench()
    await bench.loaded()
    bench.truth.put(row(version=2))
    bench.follow()
    await bench.table.load("acme", "openai")
    assert bench.table.unusable
    bench.reader.put(2, document(key="sk-2"))
    for enabled in (False, True):
        bench.truth.put(row(version=2, enabled=enabled))
        bench.snapshot()
    await bench.table.load("acme", "openai")
    assert not bench.table.unusable
    found = bench.found()
    assert isinstance(found, CompiledIntegration)
    assert found.secret_version == 2


def test_orgs_and_nodes_come_and_go() -> None:
    bench = TableBench()
    bench.snapshot()
    bench.truth.put_org(ACME)
    bench.truth.put_node(NODE)
    bench.follow()
    assert bench.table.org("acme") == ACME
    assert list(bench.table.node_keys) == ["kid-1"]
    bench.truth.put(row())
    bench.truth.remove_org(ACME)
    bench.truth.remove_node(NODE)
    bench.follow()
    assert bench.table.org("acme") is None
    assert bench.found() is NotReady.MISSING
    assert not bench.table.node_keys


def test_counts_tell_what_is_held() -> None:
    bench = TableBench()
    bench.truth.put(row())
    bench.truth.put(row("other", enabled=False))
    bench.truth.put_org(ACME)
    bench.snapshot()
    assert bench.table.counts() == {"integrations": 2, "enabled": 1, "loaded": 0, "orgs": 1, "nodes": 0}


def test_a_restored_database_is_believed_although_its_revision_is_lower() -> None:
    bench = TableBench()
    bench.truth.put(row())
    bench.truth.put(row("other"))
    bench.snapshot()
    restored = Snapshot("epoch-2", 1, (row("other"),), (), ())
    assert bench.table.apply_snapshot(restored) is Decision.ACCEPT
    assert bench.table.position == Position("epoch-2", 1)
    assert bench.found() is NotReady.MISSING


def test_an_event_before_any_snapshot_is_not_applied() -> None:
    bench = TableBench()
    assert bench.table.apply_event(bench.truth.put(row())) is Decision.RESYNC
    assert bench.found() is NotReady.UNKNOWN
