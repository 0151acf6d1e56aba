"""Logs: what runs said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Select, insert, select

from clearway_service.errors import RunNotFoundError
from clearway_service.store import schema
from clearway_service.store.transaction import Transaction


class LogRow(NamedTuple):
    """One line of a run's log. ``timestamp`` is in microseconds since 1970, or None for when it arrived."""

    flow_run_id: str
    task_run_id: str
    logger: str
    level: int
    message: str
    timestamp: int | None


def write_logs(rows: list[LogRow]) -> Callable[[Transaction], int]:
    """Return the command that writes ``rows`` and answers how many there were."""

    def command(transaction: Transaction) -> int:
        ids = {row.flow_run_id for row in rows}
        flow = schema.flow_run.c.id
        if unknown := ids - set(transaction.connection.scalars(select(flow).where(flow.in_(ids)))):
            raise RunNotFoundError(f"no flow run has the id {min(unknown)}", "logs.flow_run_id")
        values = [
            row._asdict() | {"timestamp": transaction.now if row.timestamp is None else row.timestamp}
            for row in rows
        ]
        if values:
            transaction.connection.execute(insert(schema.log), values)
        return len(values)

    return command


def select_logs(flow_run_id: str, task_run_id: str, min_level: int, after: int, limit: int) -> Select[Any]:
    """Return the query for log lines with an id above ``after``, the oldest first."""
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
