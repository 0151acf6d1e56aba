"""The query for log lines, read beside the writer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from clearway_service.store import schema


def select_logs(flow_run_id: str, task_run_id: str, min_level: int, after: int, limit: int) -> Select[Any]:
    """Return the query for log lines with an id above ``after``, oldest first."""
    log = schema.log
    query = select(
        log.c.id,
        log.c.flow_run_id,
        log.c.task_run_id,
        log.c.logger,
        log.c.level,
        log.c.message,
        log.c.timestamp,
    )
    query = query.where(log.c.id > after).order_by(log.c.id).limit(limit)
    if flow_run_id:
        query = query.where(log.c.flow_run_id == flow_run_id)
    if task_run_id:
        query = query.where(log.c.task_run_id == task_run_id, log.c.task_run_id != "")
    if min_level:
        query = query.where(log.c.level >= min_level)
    return query
