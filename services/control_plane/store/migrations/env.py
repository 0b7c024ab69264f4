"""Runs migrations on the connection handed over by `store/migrate.py`, inside its transaction."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from services.control_plane.store import tables

assert tables.COUNTER_ID  # the import is what fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=True,
)
context.run_migrations()
