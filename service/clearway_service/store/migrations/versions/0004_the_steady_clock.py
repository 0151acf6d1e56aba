"""The steady clock: its position, and when on it a run started running or may start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("flow_run", "task_run")
_COLUMNS = ("running_since", "due")


def upgrade() -> None:
    """Migrate the schema to this revision."""
    op.create_table(
        "timeline",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("anchor", sa.BigInteger(), nullable=False),
        sa.Column("latest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_timeline")),
        sqlite_with_rowid=False,
    )
    for table in _TABLES:
        for name in _COLUMNS:
            op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Migrate the schema back to the previous revision."""
    for table in _TABLES:
        for name in _COLUMNS:
            op.drop_column(table, name)
    op.drop_table("timeline")
