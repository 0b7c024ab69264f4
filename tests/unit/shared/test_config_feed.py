"""Tests of `shared/config_feed.py`: a written message reads back, and nothing else is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config_feed import (
    ROWS_PER_LINE,
    Event,
    FeedError,
    IntegrationRow,
    NodeKeyRow,
    NodeRow,
    OrgRow,
    Snapshot,
    decode_event,
    decode_snapshot,
    encode_event,
    encode_snapshot,
    snapshot_etag,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
REVISIONS = st.integers(0, 2**62)
INTEGRATIONS = st.builds(
    IntegrationRow,
    org=TEXT,
    provider=st.sampled_from(["openai", "anthropic"]),
    enabled=st.booleans(),
    secret_version=REVISIONS,
)
ORGS = st.builds(OrgRow, org=TEXT, name=TEXT, owners=st.lists(TEXT, max_size=3).map(tuple))
NODE_KEYS = st.builds(NodeKeyRow, kid=TEXT, public_key=TEXT)
NODES = st.builds(
    NodeRow, node=TEXT, kid=TEXT, public_key=TEXT, further_keys=st.lists(NODE_KEYS, max_size=3).map(tuple)
)
SNAPSHOTS = st.builds(
    Snapshot,
    epoch=TEXT,
    revision=REVISIONS,
    integrations=st.lists(INTEGRATIONS, max_size=4).map(tuple),
    orgs=st.lists(ORGS, max_size=4).map(tuple),
    nodes=st.lists(NODES, max_size=4).map(tuple),
)
EVENTS = st.one_of(
    st.builds(
        Event,
        epoch=TEXT,
        revision=REVISIONS,
        op=st.sampled_from(["put_integration", "clear_integration"]),
        integration=INTEGRATIONS,
        org=st.none(),
        node=st.none(),
    ),
    st.builds(
        Event,
        epoch=TEXT,
        revision=REVISIONS,
        op=st.sampled_from(["put_org", "remove_org"]),
        integration=st.none(),
        org=ORGS,
        node=st.none(),
    ),
    st.builds(
        Event,
        epoch=TEXT,
        revision=REVISIONS,
        op=st.sampled_from(["put_node", "remove_node"]),
        integration=st.none(),
        org=st.none(),
        node=NODES,
    ),
)

ROW = {"org": "acme", "provider": "openai", "enabled": True, "secret_version": 3}
EVENT: dict[str, Any] = {
    "schema": 1,
    "epoch": "e1",
    "revision": 7,
    "op": "put_integration",
    "integration": ROW,
}
HEAD: dict[str, Any] = {
    "schema": 1,
    "epoch": "e1",
    "revision": 7,
    "integrations": 1,
    "orgs": 1,
    "nodes": 1,
}
LINES: list[dict[str, Any]] = [
    {"integrations": [ROW]},
    {"orgs": [{"org": "acme", "name": "Acme", "owners": ["o@acme.example"]}]},
    {"nodes": [{"node": "n1", "kid": "k1", "public_key": "AAAA"}]},
]


def written(head: object, lines: Sequence[object] = LINES) -> bytes:
    return "\n".join(map(json.dumps, (head, *lines))).encode()


@given(SNAPSHOTS)
def test_a_snapshot_reads_back_as_it_was_written(snapshot: Snapshot) -> None:
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot


@given(EVENTS)
def test_an_event_reads_back_as_it_was_written(event: Event) -> None:
    assert decode_event(encode_event(event)) == event


def test_the_written_form_is_the_documented_one() -> None:
    assert decode_event(json.dumps(EVENT).encode()) == Event(
        "e1", 7, "put_integration", IntegrationRow("acme", "openai", enabled=True, secret_version=3)
    )
    assert json.loads(encode_event(decode_event(json.dumps(EVENT).encode()))) == EVENT
    lines = encode_snapshot(decode_snapshot(written(HEAD))).splitlines()
    assert list(map(json.loads, lines)) == [HEAD, *LINES]


def test_a_large_snapshot_is_many_lines_and_reads_back() -> None:
    rows = tuple(
        IntegrationRow(f"org-{number}", "openai", enabled=True, secret_version=1)
        for number in range(2 * ROWS_PER_LINE + 7)
    )
    snapshot = Snapshot("e1", 7, rows, (), ())
    data = encode_snapshot(snapshot)
    assert [line.count(b"secret_version") for line in data.splitlines()] == [
        0,
        ROWS_PER_LINE,
        ROWS_PER_LINE,
        7,
    ]
    assert decode_snapshot(data) == decode_snapshot(data + b"\n") == snapshot


@pytest.mark.parametrize("lines", [LINES[:2], LINES[1:], [*LINES, LINES[0]], []])
def test_a_snapshot_that_was_cut_or_grew_is_refused(lines: list[dict[str, Any]]) -> None:
    with pytest.raises(FeedError, match="other rows than its head says"):
        decode_snapshot(written(HEAD, lines))


def test_no_type_of_the_feed_has_a_field_for_a_key_or_an_endpoint() -> None:
    fields = encode_event(decode_event(json.dumps(EVENT).encode())) + encode_snapshot(
        decode_snapshot(written(HEAD))
    )
    for word in ("api_key", "endpoint", 'secret"', "last4", "token"):
        assert word not in fields.decode()


@pytest.mark.parametrize("op", ["put_integration", "clear_integration", "put_org", "remove_node"])
def test_an_event_without_its_row_is_refused(op: str) -> None:
    bare = {**EVENT, "op": op}
    del bare["integration"]
    with pytest.raises(FeedError, match=op):
        decode_event(json.dumps(bare).encode())


def test_an_event_with_another_row_than_its_own_is_refused() -> None:
    for extra in ({"op": "put_org"}, {"node": LINES[2]["nodes"][0]}):
        with pytest.raises(FeedError, match="one row"):
            decode_event(json.dumps(EVENT | extra).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": "1"},
        {"schema": None},
        {"revision": "7"},
        {"revision": 7.5},
        {"revision": True},
        {"revision": None},
        {"epoch": 1},
        {"op": "put_key"},
        {"op": ""},
        {"integration": {**ROW, "enabled": "yes"}},
        {"integration": {**ROW, "enabled": 1}},
        {"integration": {**ROW, "provider": "azure"}},
        {"integration": {**ROW, "secret_version": "3"}},
        {"integration": {**ROW, "org": None}},
        {"integration": {"org": "acme"}},
        {"integration": [ROW]},
    ],
)
def test_an_event_of_another_schema_or_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FeedError):
        decode_event(json.dumps(EVENT | change).encode())


@pytest.mark.parametrize("name", ["epoch", "revision", "op"])
def test_an_event_that_lacks_a_field_is_refused(name: str) -> None:
    with pytest.raises(FeedError):
        decode_event(json.dumps({key: value for key, value in EVENT.items() if key != name}).encode())


@pytest.mark.parametrize("name", ["epoch", "revision", "integrations", "orgs", "nodes"])
def test_a_snapshot_that_lacks_a_part_is_refused_and_not_taken_for_an_empty_one(name: str) -> None:
    with pytest.raises(FeedError):
        decode_snapshot(written({key: value for key, value in HEAD.items() if key != name}))


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b"{", b"\xff\xfe", b"[" * 10_000, b'{"schema":1}', b"1e999"]
)
def test_bytes_that_are_no_feed_are_a_feed_error(data: bytes) -> None:
    with pytest.raises(FeedError):
        decode_event(data)
    with pytest.raises(FeedError):
        decode_snapshot(data)


def test_an_unknown_field_is_passed_over_so_that_the_planes_can_be_upgraded_one_by_one() -> None:
    assert decode_event(json.dumps(EVENT | {"later": 1}).encode()) == decode_event(json.dumps(EVENT).encode())


def test_an_error_shows_nothing_of_what_was_read() -> None:
    with pytest.raises(FeedError) as caught:
        decode_event(json.dumps(EVENT | {"epoch": ["canary"]}).encode())
    assert "canary" not in str(caught.value)


def test_the_etag_is_quoted_and_differs_by_epoch_and_revision() -> None:
    assert snapshot_etag("e1", 7) == '"e1-7"'
    assert len({snapshot_etag(epoch, revision) for epoch in ("e1", "e2") for revision in (7, 8)}) == 4


def test_a_node_row_of_the_form_with_one_key_is_still_read() -> None:
    row = b'{"node":"n","kid":"k","public_key":"p"}'
    old = b'{"epoch":"e","revision":7,"op":"put_node","node":%b,"schema":1}' % row
    event = decode_event(old)
    assert event.node == NodeRow("n", "k", "p")
    assert event.node.keys == (NodeKeyRow("k", "p"),)


def test_a_node_with_several_keys_shows_its_first_where_an_old_reader_looks() -> None:
    row = NodeRow("n", "k2", "p2", (NodeKeyRow("k1", "p1"),))
    written = encode_event(Event("e", 8, "put_node", node=row))
    assert decode_event(written).node == row
    assert b'"kid":"k2","public_key":"p2"' in written


def test_an_event_says_when_the_change_was_made_and_an_older_one_need_not() -> None:
    event = decode_event(json.dumps(EVENT | {"at": 1_700_000_000.25}).encode())
    assert event.at == 1_700_000_000.25
    assert decode_event(encode_event(event)) == event
    assert decode_event(json.dumps(EVENT).encode()).at is None
