"""The nodes with the right to sign box tokens, and their keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import delete
from sqlmodel import Session, col, select

from services.control_plane.rules.problems import Problem, refused
from services.control_plane.store.changes import AuditNote, Author, next_revision, record
from services.control_plane.store.tables import NodeKeyTable, NodeTable
from shared.config_feed import NodeKeyRow, NodeRow


def all_nodes(session: Session) -> list[NodeRow]:
    """Give every node with its keys, by name."""
    keys: dict[str, list[NodeKeyRow]] = defaultdict(list)
    for row in session.exec(select(NodeKeyTable).order_by(col(NodeKeyTable.place))):
        keys[row.node].append(NodeKeyRow(row.kid, row.public_key))
    return [node_row(node, keys[node]) for node in sorted(keys)]


def node_of(session: Session, node: str) -> NodeRow | None:
    """Give a node with its keys; None for an unknown node."""
    statement = select(NodeKeyTable).where(col(NodeKeyTable.node) == node).order_by(col(NodeKeyTable.place))
    keys = [NodeKeyRow(row.kid, row.public_key) for row in session.exec(statement)]
    return node_row(node, keys) if keys else None


def node_row(node: str, keys: Iterable[NodeKeyRow]) -> NodeRow:
    """Join a node and its keys, at least one."""
    first, *further = keys
    return NodeRow(node, first.kid, first.public_key, tuple(further))


def put_node(session: Session, author: Author, node: NodeRow) -> bool:
    """Register a node or change its keys; False when the node already had exactly these keys.

    Raises:
        ProblemError: another node has a key of the same id.
    """
    _check_ids_are_free(session, node)
    before = node_of(session, node.node)
    if before == node:
        return False
    taken = next_revision(session)
    row = session.get(NodeTable, node.node) or NodeTable(node=node.node, revision=0, updated_at=0)
    row.revision, row.updated_at = taken.revision, author.at
    session.add(row)
    session.flush()
    session.execute(delete(NodeKeyTable).where(col(NodeKeyTable.node) == node.node))
    session.add_all(
        NodeKeyTable(kid=key.kid, node=node.node, public_key=key.public_key, place=place)
        for place, key in enumerate(node.keys)
    )
    had = () if before is None else before.keys
    note = AuditNote(
        None,
        "node.put",
        node.node,
        {
            "kid": node.kid,
            "kids": [key.kid for key in node.keys],
            "added": [key.kid for key in node.keys if key not in had],
            "removed": [key.kid for key in had if key not in node.keys],
        },
    )
    record(session, taken, author, note, "put_node", node)
    return True


def _check_ids_are_free(session: Session, node: NodeRow) -> None:
    wanted = [key.kid for key in node.keys]
    taken = select(NodeKeyTable.kid).where(
        col(NodeKeyTable.kid).in_(wanted), col(NodeKeyTable.node) != node.node
    )
    others = set(session.exec(taken))
    for place, kid in enumerate(wanted):
        if kid in others:
            raise refused(
                Problem.NODE_KEY_TAKEN,
                f"#/keys/{place}/kid",
                "Another node uses this key id; remove it there first.",
            )


def remove_node(session: Session, author: Author, node: str) -> bool:
    """Forget a node, so its tokens are refused; False for an unknown node."""
    before = node_of(session, node)
    if before is None:
        return False
    taken = next_revision(session)
    session.execute(delete(NodeKeyTable).where(col(NodeKeyTable.node) == node))
    session.execute(delete(NodeTable).where(col(NodeTable.node) == node))
    note = AuditNote(
        None, "node.removed", node, {"kid": before.kid, "kids": [key.kid for key in before.keys]}
    )
    record(session, taken, author, note, "remove_node", before)
    return True
