"""Which nodes may sign, as the feed names and forgets them."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.data_plane.table.node_keys import NodeKeys
from shared.box_token import public_key_text
from shared.config_feed import NodeKeyRow, NodeRow


def node(name: str) -> NodeRow:
    return NodeRow(name, f"kid-{name}", public_key_text(Ed25519PrivateKey.generate().public_key()))


def test_an_unchanged_node_keeps_its_key_object_over_a_snapshot() -> None:
    before, after, one, two = NodeKeys(), NodeKeys(), node("1"), node("2")
    before.put(one)
    before.put(two)
    after.add(one, before)
    assert not after.keys
    after.publish()
    assert after.keys["kid-1"] is before.keys["kid-1"]
    assert "kid-2" not in after.keys


def test_a_node_with_a_new_key_loses_the_old_one() -> None:
    nodes, old = NodeKeys(), node("1")
    nodes.put(old)
    nodes.put(replace(node("1"), kid="kid-new"))
    assert list(nodes.keys) == ["kid-new"]


def test_a_removed_node_is_forgotten_and_an_unknown_one_is_no_fault() -> None:
    nodes = NodeKeys()
    nodes.put(node("1"))
    nodes.remove("1")
    nodes.remove("never seen")
    assert not nodes.keys


def test_a_malformed_key_is_reported_and_trusts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    nodes = NodeKeys()
    with caplog.at_level(logging.WARNING):
        nodes.put(node("1"))
        nodes.put(NodeRow("2", "kid-2", "AAAA"))
    assert list(nodes.keys) == ["kid-1"]
    assert "node 2" in caplog.text


def test_a_malformed_new_key_takes_the_old_one_away() -> None:
    nodes = NodeKeys()
    nodes.put(node("1"))
    nodes.put(NodeRow("1", "kid-1", "AAAA"))
    assert not nodes.keys


def test_a_key_that_stays_keeps_its_object_while_others_come_and_go() -> None:
    nodes, old, new = NodeKeys(), node("1"), node("2")
    nodes.put(old)
    kept = nodes.keys["kid-1"]
    further = NodeKeyRow(new.kid, new.public_key)
    assert nodes.put(replace(old, further_keys=(further,))) == frozenset()
    assert nodes.keys["kid-1"] is kept
    assert nodes.put(NodeRow("1", new.kid, new.public_key)) == {"kid-1"}
    assert list(nodes.keys) == ["kid-2"]


def test_another_key_under_the_same_id_is_a_lost_one() -> None:
    nodes = NodeKeys()
    nodes.put(node("1"))
    assert nodes.put(node("1")) == {"kid-1"}
    assert nodes.remove("1") == {"kid-1"}
    assert nodes.remove("1") == frozenset()
