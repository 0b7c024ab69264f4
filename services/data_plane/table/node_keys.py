"""The nodes that may sign box tokens, by key id, as the config feed names them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.box_token import read_public_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from shared.config_feed import NodeRow

logger = logging.getLogger(__name__)


class NodeKeys:
    """Holds each node's key, parsed once; an unchanged row keeps its key object."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[NodeRow, Ed25519PublicKey]] = {}
        self._keys: dict[str, Ed25519PublicKey] = {}

    @property
    def keys(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys by key id; replaced as a whole, never changed in place."""
        return self._keys

    def add(self, row: NodeRow, before: NodeKeys) -> None:
        """Add a node for the next `publish`, with the key object of `before` where the row is the same."""
        known = before._nodes.get(row.node)
        if known is not None and known[0] == row:
            self._nodes[row.node] = known
        else:
            self._add(row)

    def publish(self) -> None:
        """Have `keys` show what was added."""
        self._keys = {row.kid: key for row, key in self._nodes.values()}

    def put(self, row: NodeRow) -> None:
        """Add a node, or give it another key."""
        self._nodes.pop(row.node, None)
        self._add(row)
        self.publish()

    def remove(self, node: str) -> None:
        """Forget a node: its tokens prove nothing from now on."""
        self._nodes.pop(node, None)
        self.publish()

    def _add(self, row: NodeRow) -> None:
        try:
            self._nodes[row.node] = (row, read_public_key(row.public_key))
        except ValueError:
            logger.warning("the public key of node %s is not an Ed25519 key; its boxes are refused", row.node)
