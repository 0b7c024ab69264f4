"""The nodes that may sign box tokens."""

from __future__ import annotations

from sqlmodel import Session, col, select

from services.control_plane.rules.problems import Problem, refused
from services.control_plane.store.changes import AuditNote, Author, next_revision, record
from services.control_plane.store.tables import NodeTable
from shared.config_feed import NodeRow


def put_node(session: Session, author: Author, node: NodeRow) -> bool:
    """Register a node or change its key; False when it already was exactly so.

    Raises:
        ProblemError: another node has the key id.
    """
    other = session.exec(
        select(NodeTable).where(col(NodeTable.kid) == node.kid, col(NodeTable.node) != node.node)
    ).first()
    if other is not None:
        raise refused(
            Problem.NODE_KEY_TAKEN, "#/kid", "Another node uses this key id; remove it there first."
        )
    row = session.get(NodeTable, node.node)
    if row is not None and (row.kid, row.public_key) == (node.kid, node.public_key):
        return False
    taken = next_revision(session)
    row = row or NodeTable(node=node.node, kid=node.kid, public_key="", revision=0, updated_at=0)
    row.kid, row.public_key, row.revision, row.updated_at = (
        node.kid,
        node.public_key,
        taken.revision,
        author.at,
    )
    session.add(row)
    note = AuditNote(None, "node.put", node.node, {"kid": node.kid})
    record(session, taken, author, note, "put_node", node)
    return True


def remove_node(session: Session, author: Author, node: str) -> bool:
    """Forget a node, so that its tokens are refused; False when it was not known."""
    row = session.get(NodeTable, node)
    if row is None:
        return False
    taken = next_revision(session)
    session.delete(row)
    note = AuditNote(None, "node.removed", node, {"kid": row.kid})
    record(session, taken, author, note, "remove_node", NodeRow(node, row.kid, row.public_key))
    return True
