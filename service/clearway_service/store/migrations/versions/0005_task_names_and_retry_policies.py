"""Task names as a column; one retry policy for flow runs and task runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A task's name was a part of its run's name, unless the run had a name of its own.
_NAME_TASKS = """
    UPDATE task_run SET
        max_attempts = max_attempts + 1,
        task_name = CASE
            WHEN substr(name, -length(dynamic_key) - 1) = '-' || dynamic_key
            THEN substr(name, 1, length(name) - length(dynamic_key) - 1)
            ELSE name
        END
"""
_JOIN_DELAYS = """
    UPDATE flow_run SET
        max_attempts = max_attempts + 1,
        retry_delays = CASE retry_delays WHEN 0 THEN '[]' ELSE '[' || retry_delays || ']' END
"""
_SPLIT_DELAYS = """
    UPDATE flow_run SET
        max_attempts = max_attempts - 1,
        retry_delays = coalesce(json_extract(retry_delays, '$[0]'), 0)
"""


def upgrade() -> None:
    """Migrate the schema to this revision."""
    op.add_column("task_run", sa.Column("task_name", sa.Text(), nullable=False, server_default=""))
    op.execute("ALTER TABLE task_run RENAME COLUMN retries TO max_attempts")
    op.execute(_NAME_TASKS)
    op.create_index("ix_task_run_task_name", "task_run", ["task_name"], unique=False)
    op.execute("ALTER TABLE flow_run RENAME COLUMN retries TO max_attempts")
    # Renamed, since the oldest SQLite that is supported drops no columns. Its declared type remains that of a
    # number, which SQLite applies only to text that looks like one; a JSON array does not.
    op.execute("ALTER TABLE flow_run RENAME COLUMN retry_delay TO retry_delays")
    op.add_column(
        "flow_run", sa.Column("retry_jitter_factor", sa.Float(), nullable=False, server_default=sa.text("0"))
    )
    op.execute(_JOIN_DELAYS)


def downgrade() -> None:
    """Take the schema back to the revision before; of a flow run's delays the first one is kept."""
    op.execute(_SPLIT_DELAYS)
    op.drop_column("flow_run", "retry_jitter_factor")
    op.execute("ALTER TABLE flow_run RENAME COLUMN retry_delays TO retry_delay")
    op.execute("ALTER TABLE flow_run RENAME COLUMN max_attempts TO retries")
    op.drop_index("ix_task_run_task_name", "task_run")
    op.drop_column("task_run", "task_name")
    op.execute("ALTER TABLE task_run RENAME COLUMN max_attempts TO retries")
    op.execute("UPDATE task_run SET retries = retries - 1")
