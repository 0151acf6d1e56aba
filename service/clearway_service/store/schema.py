"""The schema, in SQLAlchemy Core; Alembic migrates a database to it.

Times are microseconds since 1970 and ids are UUID strings, so that no value needs conversion. Leases and
delays use the steady clock instead (``core.moment``); their columns say so. Columns in which an empty string
means "none" are never null.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite assigns a rowid only to INTEGER; elsewhere the sequence is a bigint.
_Sequence = BigInteger().with_variant(Integer(), "sqlite")


def _id(name: str, **options: bool) -> Column[str]:
    return Column(name, String(36), nullable=False, **options)  # type: ignore[arg-type]


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _progress_columns() -> list[Column[int] | Column[str]]:
    """Return the columns that each transition updates, the same for both kinds of run."""
    return [
        _id("state_id"),
        _number("state_type"),
        _text("state_name"),
        _id("session_id"),
        _number("ordinal"),
        _number("run_count"),
        _number("expected_start_time", nullable=True),
        _number("start_time", nullable=True),
        _number("end_time", nullable=True),
        _number("total_run_time"),
        # On the steady clock.
        _number("running_since", nullable=True),
        _number("due", nullable=True),
    ]


def _retry_policy_columns() -> list[Column[Any]]:
    """Return the columns of a retry policy, the same for both kinds of run."""
    return [
        _number("max_attempts"),
        _text("retry_delays"),
        Column("retry_jitter_factor", Float, nullable=False, server_default=text("0")),
    ]


flow_run = Table(
    "flow_run",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    _id("id", unique=True),
    _text("flow_name"),
    _text("name"),
    _text("flow_version"),
    _text("parameters"),
    _text("tags"),
    *_retry_policy_columns(),
    _id("parent_task_run_id"),
    _number("created"),
    *_progress_columns(),
)

task_run = Table(
    "task_run",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    _id("id", unique=True),
    _id("flow_run_id"),
    _text("task_key"),
    _text("dynamic_key"),
    Column("task_name", Text, nullable=False, server_default=""),
    _text("name"),
    _text("task_version"),
    _text("tags"),
    *_retry_policy_columns(),
    _text("inputs"),
    Column("tracks_subflow", Boolean, nullable=False),
    _id("child_flow_run_id"),
    _number("created"),
    # The run whose result this run's code waits for, as reported by its client. Meaningful only while
    # Running.
    Column("awaits", String(36), nullable=False, server_default=""),
    *_progress_columns(),
    UniqueConstraint("flow_run_id", "task_key", "dynamic_key"),
)

# The Running runs by the session that holds them: read when the session ends, and counted by a new limit.
for _table in (flow_run, task_run):
    Index(
        f"ix_{_table.name}_running",
        _table.c.session_id,
        sqlite_where=_table.c.state_type == text("3"),
    )

# For lists of runs by name, and by a state other than Completed, in which most runs end.
Index(None, flow_run.c.flow_name)
Index(None, task_run.c.task_key)
Index(None, task_run.c.task_name)
for _table in (flow_run, task_run):
    Index(
        f"ix_{_table.name}_not_completed",
        _table.c.seq,
        _table.c.state_type,
        sqlite_where=text("state_type != 4"),
    )

# Finds the runs whose code waits for a given run. Few runs wait at any time.
Index("ix_task_run_awaits", task_run.c.awaits, sqlite_where=text("awaits != ''"))

# A tag's runs in creation order, as lists show them, independent of their ids.
flow_run_tag, task_run_tag = (
    Table(
        name,
        metadata,
        Column("tag", Text, primary_key=True),
        Column("run_seq", _Sequence, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    for name in ("flow_run_tag", "task_run_tag")
)

# The proposal's id is the key of the state that records its decision, so a replay needs no other index.
state = Table(
    "state",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(4), nullable=False),
    _id("run_id"),
    _number("ordinal"),
    _number("type"),
    _text("name"),
    _number("timestamp"),
    _text("message"),
    Column("data", LargeBinary, nullable=True),
    _number("scheduled_time", nullable=True),
    _text("cache_key"),
    _number("cache_expiration", nullable=True),
    _number("answer"),
    _text("answer_message"),
    Index("ix_state_run_id", "run_id", "ordinal"),
    sqlite_with_rowid=False,
)

# An abort creates no state, so its decision is recorded here.
abort = Table(
    "abort",
    metadata,
    Column("proposal_id", String(36), primary_key=True),
    Column("kind", String(4), nullable=False),
    _id("run_id"),
    _number("reason"),
    _text("message"),
    _id("state_id"),
)

concurrency_limit = Table(
    "concurrency_limit",
    metadata,
    Column("tag", Text, primary_key=True),
    _id("id", unique=True),
    _number("slots"),
    _number("created"),
    _number("updated"),
)

# The holders of limits. They are counted from here, never with a counter that could be wrong. Runs that
# compute a cache key are here too (store.resources says how they are distinguished from tags).
slot = Table(
    "slot",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("task_run_id", String(36), primary_key=True),
    _number("taken"),
    Index("ix_slot_task_run_id", "task_run_id"),
    sqlite_with_rowid=False,
)

# The queue for slots. A waiter is in the queue of one tag whose limit is reached. When that tag releases a
# slot, the waiter starts, or moves to the queue of another full tag and keeps its place. So a hand-off looks
# only at heads. A run that waits for another one to compute its cache key is in the queue of that key
# (store.resources).
waiter = Table(
    "waiter",
    metadata,
    Column("place", _Sequence, primary_key=True, autoincrement=True),
    _id("proposal_id", unique=True),
    _id("task_run_id"),
    _id("session_id"),
    _id("owner"),
    _text("blocking_tag"),
    _number("since"),
    _number("passed"),
    _number("until", nullable=True),  # on the steady clock
    _text("state_name"),
    _text("state_message"),
    _text("cache_key"),
    _number("cache_expiration", nullable=True),
    Column("refresh_cache", Boolean, nullable=False),
    Column("single_flight", Boolean, nullable=False),
    # Waiters that are away are in no queue. The type is a literal, so that the index's condition applies.
    Index(
        "ix_waiter_blocking_tag",
        "blocking_tag",
        "place",
        sqlite_where=text("until IS NULL"),
    ),
    Index("ix_waiter_cache_key", "cache_key", "place", sqlite_where=text("cache_key != ''")),
    Index("ix_waiter_task_run_id", "task_run_id"),
    # Waiters that are away, whose places are kept for a limited time.
    Index("ix_waiter_until", "until", sqlite_where=text("until IS NOT NULL")),
    Index("ix_waiter_session_id", "session_id"),
    sqlite_autoincrement=True,
)

# The elders of a tag: waiters, in this queue or another, that need slots of this tag and of others.
waiter_tag = Table(
    "waiter_tag",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("place", _Sequence, primary_key=True, autoincrement=False),
    _id("proposal_id"),
    Index("ix_waiter_tag_proposal_id", "proposal_id"),
    sqlite_with_rowid=False,
)

# Decisions on waiters that another engine has to deliver.
delivery = Table(
    "delivery",
    metadata,
    Column("owner", String(36), primary_key=True),
    Column("proposal_id", String(36), primary_key=True),
    sqlite_with_rowid=False,
)

session = Table(
    "session",
    metadata,
    Column("id", String(36), primary_key=True),
    _text("client_name"),
    _text("language"),
    _text("version"),
    _number("opened"),
    # On the steady clock. ``lost`` is when its stream broke; null while it is connected, or if it went
    # silent.
    _number("expires"),
    _number("lost", nullable=True),
    _text("process"),
    Column("ended", Boolean, nullable=False, server_default=text("0")),
    Index("ix_session_expires", "ended", "expires"),
)

cache_entry = Table(
    "cache_entry",
    metadata,
    Column("key", Text, primary_key=True),
    _id("state_id"),
    _id("task_run_id"),
    _number("created"),
    _number("expires", nullable=True),
    _number("size"),
    Column("hits", BigInteger, nullable=False, server_default=text("0")),
    _number("last_hit", nullable=True),
    # The name of its result in stored_result; empty if the result is in the state itself.
    Column("result", Text, nullable=False, server_default=""),
    Index("ix_cache_entry_created", "created", "key"),
    Index("ix_cache_entry_expires", "expires", sqlite_where=text("expires IS NOT NULL")),
    Index("ix_cache_entry_result", "result", sqlite_where=text("result != ''")),
)

# Results stored outside the database, so that orphans are found without reading the histories. A row is
# deleted when its result is dropped. The name is the SHA-256, or the location if a state of an earlier
# version has none.
stored_result = Table(
    "stored_result",
    metadata,
    Column("name", Text, primary_key=True),
    Column("location", Text, primary_key=True),
    # The first state that referred to it.
    _id("state_id"),
    _number("size"),
    _text("cache_key"),
    _number("created"),
    # When the last state that refers to it was entered.
    _number("referred"),
    # Why it is not deleted (result_references.Keep).
    _number("keep"),
    # Possible orphans. The number is a literal, as in the queries for them.
    Index("ix_stored_result_created", "created", "state_id", sqlite_where=text("keep < 2")),
    Index("ix_stored_result_referred", "name", "referred"),
    Index("ix_stored_result_keep", "name", "keep"),
    Index("ix_stored_result_state_id", "state_id"),
    sqlite_with_rowid=False,
)

log = Table(
    "log",
    metadata,
    Column("id", _Sequence, primary_key=True, autoincrement=True),
    _id("flow_run_id"),
    _id("task_run_id"),
    _text("logger"),
    _number("level"),
    _text("message"),
    _number("timestamp"),
    Index("ix_log_flow_run_id", "flow_run_id", "id"),
    Index(
        "ix_log_task_run_id",
        "task_run_id",
        "id",
        sqlite_where=text("task_run_id != ''"),
    ),
)

# The steady clock of the file, in one row: see ``store.timeline``.
timeline = Table(
    "timeline",
    metadata,
    Column("name", Text, primary_key=True),
    _number("anchor"),
    _number("latest"),
    sqlite_with_rowid=False,
)

# Alembic's table for the revision, as it creates it.
version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
version.primary_key.name = "alembic_version_pkc"
