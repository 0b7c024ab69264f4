"""The config table always holds the truth at its revision, whatever comes in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.position import Decision
from shared.box_token import public_key_text
from shared.config_feed import NodeRow, OrgRow, Snapshot
from shared.providers import PROVIDERS
from tests.support.config_truth import Truth, row
from tests.support.table_bench import TableBench

NODE = NodeRow("node-1", "kid-1", public_key_text(Ed25519PrivateKey.generate().public_key()))

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "off", "clear", "org", "no org", "node", "no node"]), st.integers(0, 3)
    ),
    max_size=25,
)


def change(truth: Truth, what: str, number: int) -> None:
    provider = list(PROVIDERS)[number % 2]
    org, node = f"org-{number // 2}", replace(NODE, node=f"node-{number}", kid=f"kid-{number}")
    match what:
        case "put" | "off":
            truth.put(row(org, provider, enabled=what == "put", version=truth.now.revision + 1))
        case "clear":
            truth.clear(org, provider)
        case "org":
            truth.put_org(OrgRow(org, f"name at {truth.now.revision}", ()))
        case "no org":
            truth.remove_org(OrgRow(org, "", ()))
        case "node":
            truth.put_node(node)
        case "no node":
            truth.remove_node(node)
        case _:
            raise AssertionError(what)


def held(table: ConfigTable) -> tuple[object, ...]:
    """Everything told to the table by the feed, in comparable form."""
    rows = {slot.row for by_org in table._slots.values() for slot in by_org.values()}
    nodes = {(node, frozenset(keys)) for node, keys in table._nodes._nodes.items()}
    return rows, set(table._orgs.values()), nodes


def told(snapshot: Snapshot) -> tuple[object, ...]:
    return (
        set(snapshot.integrations),
        set(snapshot.orgs),
        {(node.node, frozenset(node.keys)) for node in snapshot.nodes},
    )


@pytest.mark.parametrize("prefetch", [True, False])
@settings(max_examples=150, deadline=None)
@given(changes=CHANGES, schedule=st.lists(st.tuples(st.booleans(), st.integers(0, 24)), max_size=60))
def test_lost_repeated_and_reordered_events_and_old_snapshots_never_make_an_untrue_table(
    prefetch: bool,  # noqa: FBT001  # a parameter of the test
    changes: list[tuple[str, int]],
    schedule: list[tuple[bool, int]],
) -> None:
    bench = TableBench(prefetch=prefetch)
    for what, number in changes:
        change(bench.truth, what, number)
    for is_event, index in schedule:
        if is_event and bench.truth.events:
            bench.table.apply_event(bench.truth.events[index % len(bench.truth.events)])
        elif not is_event:
            bench.table.apply_snapshot(bench.truth.snapshots[index % len(bench.truth.snapshots)])
        if bench.table.position is not None:
            assert held(bench.table) == told(bench.truth.snapshots[bench.table.position.revision])
    assert bench.snapshot() is Decision.ACCEPT
    assert held(bench.table) == told(bench.truth.now)
    wanted = {(one.org, one.provider) for one in bench.truth.now.integrations if one.enabled and prefetch}
    assert set(bench.table.wanted()) == wanted
