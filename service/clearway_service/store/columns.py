"""Columns, in the order in which statements take and return them."""

from __future__ import annotations

PROGRESS = (
    "state_id",
    "state_type",
    "state_name",
    "session_id",
    "ordinal",
    "run_count",
    "expected_start_time",
    "start_time",
    "end_time",
    "total_run_time",
    "running_since",
    "due",
)
STATE = (
    "id",
    "kind",
    "run_id",
    "ordinal",
    "type",
    "name",
    "timestamp",
    "message",
    "data",
    "scheduled_time",
    "cache_key",
    "cache_expiration",
    "answer",
    "answer_message",
)
FLOW_RUN = (
    "id",
    "flow_name",
    "name",
    "flow_version",
    "parameters",
    "tags",
    "max_attempts",
    "retry_delays",
    "retry_jitter_factor",
    "parent_task_run_id",
    "created",
)
TASK_RUN = (
    "id",
    "flow_run_id",
    "task_key",
    "dynamic_key",
    "task_name",
    "name",
    "task_version",
    "tags",
    "max_attempts",
    "retry_delays",
    "retry_jitter_factor",
    "inputs",
    "tracks_subflow",
    "child_flow_run_id",
    "created",
)
RUN_PROGRESS = PROGRESS[3:]
RUN_STATE = STATE[:1] + STATE[4:12]
WAITER = (
    "proposal_id",
    "task_run_id",
    "session_id",
    "owner",
    "blocking_tag",
    "since",
    "passed",
    "until",
    "state_name",
    "state_message",
    "cache_key",
    "cache_expiration",
    "refresh_cache",
    "single_flight",
)
SESSION = ("id", "client_name", "language", "version", "opened", "expires", "process", "ended")
LOG = ("flow_run_id", "task_run_id", "logger", "level", "message", "timestamp")
STORED_RESULT = ("name", "location", "state_id", "size", "cache_key", "created", "referred", "keep")
