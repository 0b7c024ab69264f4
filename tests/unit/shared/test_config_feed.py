"""Tests of `shared/config_feed.py`: what is written reads back, and nothing else is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config_feed import (
    Event,
    FeedError,
    IntegrationRow,
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
NODES = st.builds(NodeRow, node=TEXT, kid=TEXT, public_key=TEXT)
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
SNAPSHOT: dict[str, Any] = {
    "schema": 1,
    "epoch": "e1",
    "revision": 7,
    "integrations": [ROW],
    "orgs": [{"org": "acme", "name": "Acme", "owners": ["o@acme.example"]}],
    "nodes": [{"node": "n1", "kid": "k1", "public_key": "AAAA"}],
}


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
    assert json.loads(encode_snapshot(decode_snapshot(json.dumps(SNAPSHOT).encode()))) == SNAPSHOT


def test_no_type_of_the_feed_has_a_field_for_a_key_or_an_endpoint() -> None:
    written = encode_event(decode_event(json.dumps(EVENT).encode())).decode() + json.dumps(SNAPSHOT)
    for word in ("api_key", "endpoint", 'secret"', "last4", "token"):
        assert word not in written


@pytest.mark.parametrize("op", ["put_integration", "clear_integration", "put_org", "remove_node"])
def test_an_event_without_its_row_is_refused(op: str) -> None:
    bare = {**EVENT, "op": op}
    del bare["integration"]
    with pytest.raises(FeedError, match=op):
        decode_event(json.dumps(bare).encode())


def test_an_event_with_another_row_than_its_own_is_refused() -> None:
    for extra in ({"op": "put_org"}, {"node": SNAPSHOT["nodes"][0]}):
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
        decode_snapshot(json.dumps({key: value for key, value in SNAPSHOT.items() if key != name}).encode())


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
