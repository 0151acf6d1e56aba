"""Lists by index: runs by name, by state, by tag in creation order; waiters by their time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KINDS = (("flow_run", "flow_name"), ("task_run", "task_key"))


def upgrade() -> None:
    """Migrate the schema to this revision."""
    for table, name in _KINDS:
        op.create_index(f"ix_{table}_{name}", table, [name], unique=False)
        op.create_index(
            f"ix_{table}_not_completed",
            table,
            ["seq", "state_type"],
            unique=False,
            sqlite_where=sa.text("state_type != 4"),
        )
        _replace_tags(table, sa.Column("run_seq", sa.Integer(), nullable=False), "seq", "id")

    op.create_index(
        "ix_waiter_until", "waiter", ["until"], unique=False, sqlite_where=sa.text("until IS NOT NULL")
    )


def downgrade() -> None:
    """Migrate the schema back to the previous revision."""
    op.drop_index("ix_waiter_until", "waiter", sqlite_where=sa.text("until IS NOT NULL"))
    for table, name in _KINDS:
        _replace_tags(table, sa.Column("run_id", sa.String(length=36), nullable=False), "id", "seq")
        op.drop_index(f"ix_{table}_not_completed", table, sqlite_where=sa.text("state_type != 4"))
        op.drop_index(f"ix_{table}_{name}", table)


def _replace_tags(table: str, column: sa.Column[object], wanted: str, present: str) -> None:
    """Rebuild the tables of tags so that they refer to runs by another column."""
    tags, before = f"{table}_tag", f"{table}_tag_before"
    op.rename_table(tags, before)
    op.create_table(
        tags,
        sa.Column("tag", sa.Text(), nullable=False),
        column,
        sa.PrimaryKeyConstraint("tag", column.name, name=op.f(f"pk_{tags}")),
        sqlite_with_rowid=False,
    )
    op.execute(
        f"INSERT INTO {tags} (tag, run_{wanted}) SELECT before.tag, run.{wanted} "  # noqa: S608 - no input
        f"FROM {before} AS before JOIN {table} AS run ON run.{present} = before.run_{present}"
    )
    op.drop_table(before)
