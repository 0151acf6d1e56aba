"""Stored results: results outside the database, by SHA-256."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clearway_service.store.result_references import data_facts, reference_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REFER = """
    INSERT INTO stored_result (name, location, state_id, size, cache_key, created, referred, keep)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name, location) DO UPDATE
    SET referred = max(referred, excluded.referred), keep = max(keep, excluded.keep)
"""
# In the order of ids, which mostly follow time, so that the first state is the oldest.
_STATES = """
    SELECT id, data, cache_key, timestamp FROM state
    WHERE data IS NOT NULL AND id NOT IN (SELECT state_id FROM dropped_result) ORDER BY id
"""
_ENTRIES = "SELECT key, data FROM cache_entry JOIN state ON state.id = state_id WHERE data IS NOT NULL"
# The number of rows in memory at once; each may have 128 KiB of data.
_ROWS = 64


def upgrade() -> None:
    """Migrate the schema to this revision."""
    op.create_table(
        "stored_result",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state_id", sa.String(length=36), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("cache_key", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("referred", sa.BigInteger(), nullable=False),
        sa.Column("keep", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "location", name=op.f("pk_stored_result")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_stored_result_created",
        "stored_result",
        ["created", "state_id"],
        sqlite_where=sa.text("keep < 2"),
    )
    op.create_index("ix_stored_result_referred", "stored_result", ["name", "referred"])
    op.create_index("ix_stored_result_keep", "stored_result", ["name", "keep"])
    op.create_index("ix_stored_result_state_id", "stored_result", ["state_id"])
    op.add_column("cache_entry", sa.Column("result", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_cache_entry_result", "cache_entry", ["result"], sqlite_where=sa.text("result != ''"))
    connection = op.get_bind()
    for states in connection.exec_driver_sql(_STATES).partitions(_ROWS):
        references = (reference_of(id_, data, key, entered) for id_, data, key, entered in states)
        for reference in filter(None, references):
            connection.exec_driver_sql(_REFER, tuple(reference))
    named = []
    for entries in connection.exec_driver_sql(_ENTRIES).partitions(_ROWS):
        facts = ((key, data_facts(data)) for key, data in entries)
        named += [(name, key) for key, (_size, name) in facts if name]
    if named:
        connection.exec_driver_sql("UPDATE cache_entry SET result = ? WHERE key = ?", named)
    op.drop_table("dropped_result")


def downgrade() -> None:
    """Migrate the schema back to the previous revision; results that were dropped are listed again."""
    op.create_table(
        "dropped_result",
        sa.Column("state_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("state_id", name=op.f("pk_dropped_result")),
        sqlite_with_rowid=False,
    )
    op.drop_index("ix_cache_entry_result", "cache_entry", sqlite_where=sa.text("result != ''"))
    op.drop_column("cache_entry", "result")
    op.drop_table("stored_result")
