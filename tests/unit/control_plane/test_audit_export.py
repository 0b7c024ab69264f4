"""Committed rows of the audit become log records; rows of a failed transaction do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.control_plane.audit_export import log_record_of
from services.control_plane.store import audit, migrate
from services.control_plane.store.changes import AuditNote, Author
from services.control_plane.store.database import Database
from services.control_plane.store.tables import AuditTable

ROW = AuditTable(
    id=7, org="acme", at=5.0, actor="a@x", action="member.put", target="b@x", revision=3, details='{"role":1}'
)


def test_a_row_becomes_a_log_record_with_all_its_fields() -> None:
    record = log_record_of(ROW)
    assert (record.at, record.event, record.body) == (5.0, "aigw.audit", "a@x member.put b@x")
    assert record.attributes == {
        "aigw.audit.id": 7,
        "aigw.org": "acme",
        "aigw.audit.actor": "a@x",
        "aigw.audit.action": "member.put",
        "aigw.audit.target": "b@x",
        "aigw.audit.revision": 3,
        "aigw.audit.details": '{"role":1}',
    }


def test_a_committed_row_is_given_to_the_listener_once(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'db'}")
    migrate.upgrade(database)
    heard: list[AuditTable] = []
    database.on_audit(heard.append)
    note = AuditNote(None, "sign_in", "portal", {})
    with database.write() as session:
        audit.note(session, Author("a@x", 5.0), note)
        assert not heard
    assert [(row.id, row.actor, row.revision) for row in heard] == [(1, "a@x", 0)]
    with pytest.raises(RuntimeError, match="undone"):
        _fail_after_a_note(database, note)
    assert len(heard) == 1
    database.close()


def _fail_after_a_note(database: Database, note: AuditNote) -> None:
    with database.write() as session:
        audit.note(session, Author("b@x", 6.0), note)
        raise RuntimeError("undone")
