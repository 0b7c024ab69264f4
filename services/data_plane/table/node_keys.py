"""The keys for signing box tokens, by key id, as named by the config feed for each node."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.box_token import read_public_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from shared.config_feed import NodeKeyRow, NodeRow

logger = logging.getLogger(__name__)


class NodeKeys:
    """Holds each node's keys, parsed once; an unchanged key keeps its object while its node changes.

    Attributes:
        keys: the keys by key id; replaced as a whole, never changed in place. Read for every request.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, dict[NodeKeyRow, Ed25519PublicKey]] = {}
        self.keys: Mapping[str, Ed25519PublicKey] = {}

    def add(self, row: NodeRow, before: NodeKeys) -> None:
        """Add a node for the next `publish`, with the key objects of `before` where the keys are the same."""
        known = before._nodes.get(row.node, {})
        self._nodes[row.node] = {}
        for key_row in row.keys:
            key = known.get(key_row) or _parsed(row.node, key_row)
            if key is not None:
                self._nodes[row.node][key_row] = key

    def publish(self) -> None:
        """Have `keys` show the additions."""
        self.keys = {row.kid: key for keys in self._nodes.values() for row, key in keys.items()}

    def put(self, row: NodeRow) -> frozenset[str]:
        """Add a node or change its keys; gives the ids of keys without validity from now on."""
        before = self.keys
        self.add(row, self)
        self.publish()
        return self.lost_since(before)

    def remove(self, node: str) -> frozenset[str]:
        """Forget a node, whose tokens prove nothing from now on; gives the ids of its keys."""
        before = self.keys
        self._nodes.pop(node, None)
        self.publish()
        return self.lost_since(before)

    def lost_since(self, before: Mapping[str, Ed25519PublicKey]) -> frozenset[str]:
        """Give the ids under which another key or none stands now; tokens proved by the old key are void."""
        return frozenset(kid for kid, key in before.items() if self.keys.get(kid) is not key)


def _parsed(node: str, row: NodeKeyRow) -> Ed25519PublicKey | None:
    try:
        return read_public_key(row.public_key)
    except ValueError:
        logger.warning("a public key of node %s is not an Ed25519 key; boxes that it signs are refused", node)
        return None
