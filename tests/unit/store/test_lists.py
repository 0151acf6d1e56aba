"""Lists of runs have what is wanted, all of it and nothing else, however many pages it takes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from benchmarks.populated import (
    COMMON_KEY,
    COMMON_TAG,
    COMMON_TASK,
    RARE_KEY,
    RARE_NAME,
    RARE_TAG,
    RARE_TASK,
    populate,
)
from sqlalchemy import select
from sqlalchemy.engine import Connection

from clearway_service.core.runs import RunKind
from clearway_service.core.states import StateType
from clearway_service.store import schema
from clearway_service.store.database import Database
from clearway_service.store.queries import RunFilter, select_run_page

RUNS = 60
KEYS = [(), (COMMON_KEY,), (RARE_KEY,), (RARE_KEY, COMMON_KEY, RARE_KEY), ("unknown", RARE_KEY)]
NAMES = [(), (COMMON_TASK,), (RARE_TASK,), (RARE_TASK, COMMON_TASK, RARE_TASK), ("unknown", RARE_TASK)]
TAGS = [(), (COMMON_TAG,), (RARE_TAG,), (COMMON_TAG, RARE_TAG), (RARE_TAG, COMMON_TAG)]
TYPES = [(), (StateType.FAILED,), (StateType.COMPLETED,), (StateType.FAILED, StateType.COMPLETED)]
STATES = [(), (RARE_NAME,)]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    path: Path = tmp_path_factory.mktemp("store") / "store.db"
    populate(path, RUNS)
    with closing(Database(path)) as database:
        yield database.writer


def paged(connection: Connection, wanted: RunFilter, size: int) -> list[int]:
    numbers: list[int] = []
    before = None
    while page := list(connection.execute(select_run_page(RunKind.TASK, wanted, before, size))):
        numbers += [row[0] for row in page]
        before = numbers[-1]
    return numbers


def has(row: Any, wanted: RunFilter) -> bool:
    return (
        (not wanted.task_keys or row.task_key in wanted.task_keys)
        and (not wanted.task_names or row.task_name in wanted.task_names)
        and set(wanted.tags) <= set(json.loads(row.tags))
        and (not wanted.state_types or row.state_type in wanted.state_types)
        and (not wanted.state_names or row.state_name in wanted.state_names)
        and (not wanted.flow_run_id or row.flow_run_id == wanted.flow_run_id)
    )


@pytest.mark.parametrize("of_flow", [False, True], ids=["of all", "of one flow run"])
@pytest.mark.parametrize("names", [NAMES[0], NAMES[1], NAMES[-1]], ids=str)
@pytest.mark.parametrize("keys", KEYS, ids=str)
def test_each_filter_finds_what_it_says_the_newest_first(
    connection: Connection, keys: tuple[str, ...], names: tuple[str, ...], *, of_flow: bool
) -> None:
    rows = list(connection.execute(select(schema.task_run).order_by(schema.task_run.c.seq.desc())))
    assert len(rows) == RUNS
    flow_run_id = rows[0].flow_run_id if of_flow else ""
    found = 0
    for tags, types, states in itertools.product(TAGS, TYPES, STATES):
        wanted = RunFilter(
            task_keys=keys,
            task_names=names,
            tags=tags,
            state_types=types,
            state_names=states,
            flow_run_id=flow_run_id,
        )
        expected = [row.seq for row in rows if has(row, wanted)]
        found += len(expected)
        assert paged(connection, wanted, 7) == expected, wanted
    rare = RARE_KEY in keys and COMMON_KEY not in keys
    assert found or (rare and names == (COMMON_TASK,)) or (keys == (COMMON_KEY,) and names == NAMES[-1])


@pytest.mark.parametrize("names", NAMES, ids=str)
def test_runs_are_found_by_the_names_of_their_tasks(connection: Connection, names: tuple[str, ...]) -> None:
    rows = list(connection.execute(select(schema.task_run).order_by(schema.task_run.c.seq.desc())))
    wanted = RunFilter(task_names=names)
    expected = [row.seq for row in rows if has(row, wanted)]
    assert paged(connection, wanted, 7) == expected
    assert expected
