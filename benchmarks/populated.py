"""A database as after long use: flow runs, task runs with states, tags, cache entries and logs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.rows import Rows
from clearway_service.core.states import StateType
from clearway_service.engine.clock import new_id
from clearway_service.store import rendered_statements as statements
from clearway_service.store import schema
from clearway_service.store.database import Database

_FLOW, _TASKS_A_FLOW = "populated", 1_000
_BATCH = 10_000
_STEP = 1_000
"""Microseconds from one run to the next; the newest is from the year 2025."""
_NEWEST = 1_750_000_000_000_000

COMMON_TAG, RARE_TAG = "common", "rare"
COMMON_KEY, RARE_KEY = "benchmarks.common", "benchmarks.rare"
COMMON_TASK, RARE_TASK = "common-task", "rare-task"
RARE_NAME = "rare-name"


class Populated(NamedTuple):
    """Ids and keys to query in the database.

    Attributes:
        task_run_ids: Some runs of all ages.
        flow_run_id: A flow run.
        cache_keys: Some keys with an entry.
    """

    task_run_ids: list[str]
    flow_run_id: str
    cache_keys: list[str]


def populate(path: Path, task_runs: int) -> Populated:
    """Fill a new database with ended task runs and their states.

    Half of the runs have the common tag. The first three runs have the rare tag, the rare task key and
    name, and a rare state. One run in a hundred has a cache entry, and one in ten a log line.
    """
    with closing(Database(path)) as database:
        driver: Any = database.driver
        driver.execute("PRAGMA synchronous=OFF")
        driver.execute("PRAGMA wal_autocheckpoint=10000")
        found = _fill(driver, task_runs)
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def _fill(driver: sqlite3.Connection, task_runs: int) -> Populated:
    found = Populated([], new_id(), [])
    sample = max(1, task_runs // 100)
    numbers = iter(range(task_runs))
    flow_run_id = found.flow_run_id
    while batch := list(islice(numbers, _BATCH)):
        rows: dict[str, list[tuple[object, ...]]] = {}
        for number in batch:
            created = _NEWEST - (task_runs - number) * _STEP
            if number % _TASKS_A_FLOW == 0:
                flow_run_id = new_id() if number else found.flow_run_id
                _add(rows, _flow_run(flow_run_id, number, created))
            run_id, state_id = new_id(), new_id()
            _add(rows, _task_run(run_id, state_id, flow_run_id, number, created))
            if number % sample == 0:
                found.task_run_ids.append(run_id)
            if number % 100 == 0:
                key = f"populated-{number:09}"
                entry = _CACHE_ENTRY.row(key=key, state_id=state_id, task_run_id=run_id, created=created)
                _add(rows, [(_CACHE_ENTRY.sql, entry)])
                if number % sample == 0:
                    found.cache_keys.append(key)
        driver.execute("BEGIN IMMEDIATE")
        for sql, values in rows.items():
            driver.executemany(sql, values)
        driver.execute("COMMIT")
    return found


_Made = Iterable[tuple[str, tuple[object, ...]]]


def _add(rows: dict[str, list[tuple[object, ...]]], made: _Made) -> None:
    for sql, row in made:
        rows.setdefault(sql, []).append(row)


_FLOW_RUN, _TASK_RUN, _STATE = Rows(schema.flow_run), Rows(schema.task_run), Rows(schema.state)
_LOG, _CACHE_ENTRY = Rows(schema.log), Rows(schema.cache_entry)


def _flow_run(id_: str, number: int, created: int) -> _Made:
    state_id, rare = new_id(), number == 0
    type_, state_name = (StateType.FAILED, "Failed") if rare else (StateType.COMPLETED, "Completed")
    tags = [COMMON_TAG, RARE_TAG] if rare else [COMMON_TAG]
    yield (
        _FLOW_RUN.sql,
        _FLOW_RUN.row(
            id=id_,
            name=f"{_FLOW}-{number}",
            flow_name=f"{_FLOW}-rare" if rare else _FLOW,
            parameters="{}",
            tags=json.dumps(tags),
            max_attempts=1,
            retry_delays="[]",
            created=created,
            **_ended(state_id, type_, state_name, created),
        ),
    )
    yield from ((statements.INSERT_FLOW_RUN_TAG, (tag, id_)) for tag in tags)
    yield from _states("flow", id_, state_id, type_, state_name, created)


def _task_run(id_: str, state_id: str, flow_run_id: str, number: int, created: int) -> _Made:
    rare = number < 3  # noqa: PLR2004 - as described in ``populate``
    type_, state_name = (StateType.FAILED, RARE_NAME) if rare else (StateType.COMPLETED, "Completed")
    tags = [COMMON_TAG] if number % 2 else []
    tags += [RARE_TAG] if rare else []
    key = RARE_KEY if rare else COMMON_KEY
    yield (
        _TASK_RUN.sql,
        _TASK_RUN.row(
            id=id_,
            flow_run_id=flow_run_id,
            task_key=key,
            dynamic_key=str(number % _TASKS_A_FLOW),
            task_name=RARE_TASK if rare else COMMON_TASK,
            name=f"task-{number}",
            tags=json.dumps(tags),
            max_attempts=1,
            retry_delays="[]",
            inputs="[]",
            created=created,
            **_ended(state_id, type_, state_name, created),
        ),
    )
    yield from ((statements.INSERT_TASK_RUN_TAG, (tag, id_)) for tag in tags)
    yield from _states("task", id_, state_id, type_, state_name, created)
    if number % 10 == 0:
        line = {"logger": "populated", "level": 20, "message": f"line {number}", "timestamp": created}
        yield _LOG.sql, _LOG.row(flow_run_id=flow_run_id, task_run_id=id_, **line)


def _ended(state_id: str, type_: int, name: str, created: int) -> dict[str, object]:
    return {
        "state_id": state_id,
        "state_type": type_,
        "state_name": name,
        "ordinal": 2,
        "run_count": 1,
        "start_time": created,
        "end_time": created + 1,
        "total_run_time": 1,
    }


def _states(kind: str, run_id: str, last_id: str, type_: int, name: str, created: int) -> _Made:
    common = {"kind": kind, "run_id": run_id, "answer": 1}
    first = {"id": new_id(), "ordinal": 1, "type": StateType.RUNNING, "name": "Running", "timestamp": created}
    last = {"id": last_id, "ordinal": 2, "type": type_, "name": name, "timestamp": created + 1}
    yield _STATE.sql, _STATE.row(**common, **first)
    yield _STATE.sql, _STATE.row(**common, **last)
