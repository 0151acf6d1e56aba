"""Query plans: what is asked finds its rows by an index; what has to read a table that grows is named here.

The plans are those of a file without statistics, as users have it, with some rows of each kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from benchmarks.populated import populate
from sqlalchemy import Select

from clearway_service.core.moment import Moment
from clearway_service.core.retries import NO_RETRIES
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec
from clearway_service.core.states import ProposedState, StateType
from clearway_service.store import (
    cache,
    cache_expiry,
    orphaned_results,
    queries,
    runs,
    schema,
    session_ends,
    sessions,
    timeline,
)
from clearway_service.store import (
    rendered_statements as statements,
)
from clearway_service.store.ancestors import select_ancestors_of
from clearway_service.store.building import DIALECT
from clearway_service.store.bulk import of_rows
from clearway_service.store.database import Database
from clearway_service.store.limits import delete_limit, reset_limit, select_limits, set_limit
from clearway_service.store.loading_parts import of_one
from clearway_service.store.log_queries import select_logs
from clearway_service.store.logs import LogRow, write_logs
from clearway_service.store.queries import RunFilter
from clearway_service.store.result_references import Reference
from clearway_service.store.slots import (
    count_waiting,
    select_first_holders,
    select_holders,
    select_place,
    select_runner,
    select_tags_held,
    select_waiting,
)
from clearway_service.store.transaction import Transaction

# Limits are set by people, so they are few, and there is one revision and one timeline; what else is scanned
# is made by the statement itself.
FEW = {"concurrency_limit", "timeline"}
GROWING = {table.name for table in schema.metadata.sorted_tables} - FEW
MADE = re.compile(
    r"json_each|given|keys|wanted|own|chain|descent|waits|found|alembic_version|anon_\d+|\(subquery-\d+\)|"
    r"CONSTANT ROW|\d+ C.*"
)
# In these indexes are few at any time: what runs now.
SMALL = ("INDEX ix_flow_run_running", "INDEX ix_task_run_running")

HOT = {
    name: value
    for name, value in vars(statements).items()
    if isinstance(value, str) and re.match(r"(SELECT|UPDATE|DELETE|INSERT|WITH)\b", value)
}

TASKS, FLOWS = RunKind.TASK, RunKind.FLOW
NAMES = ("one", "two")
FAILED = (int(StateType.FAILED), int(StateType.CRASHED))

# What is asked for. `names` stands for the field of a filter that names flows or tasks, or has their keys.
LISTED: dict[str, dict[str, Any]] = {
    "with a name": {"names": NAMES[:1]},
    "with one of some names": {"names": NAMES},
    "with a tag": {"tags": ("common",)},
    "with two tags": {"tags": ("common", "rare")},
    "in a state": {"state_types": FAILED[:1]},
    "in one of some states": {"state_types": FAILED},
    "running": {"state_types": (int(StateType.RUNNING),)},
    "with a name, in a state": {"names": NAMES, "state_types": FAILED},
    "with a name and a tag": {"names": NAMES, "tags": ("common",)},
    "with a tag, in a state": {"tags": ("common",), "state_types": FAILED},
    "with a tag, late": {"tags": ("common",), "created_after": 1, "state_names": ("Late",)},
}
OF_A_FLOW_RUN: dict[str, dict[str, Any]] = {
    "of a flow run": {"flow_run_id": "id"},
    "of a flow run, with a name": {"flow_run_id": "id", "names": NAMES},
    "of a flow run, with a tag": {"flow_run_id": "id", "tags": ("common",)},
    "of a flow run, in a state": {"flow_run_id": "id", "state_types": FAILED},
}
NAMED = ((FLOWS, "flow_names"), (TASKS, "task_keys"), (TASKS, "task_names"))

READ: dict[str, Select[Any]] = {
    "a run": queries.select_run(TASKS, "id"),
    "unfinished runs": queries.select_unfinished(["a", "b"], 100),
    "how many are unfinished": queries.count_unfinished(["a", "b"]),
    "a history": queries.select_history(TASKS, "id", None, 100),
    "a later page of a history": queries.select_history(TASKS, "id", 5, 100),
    "who runs a run": select_runner("id"),
    "a cache entry": cache.select_entry("key", 1),
    "keys that are computed": cache.select_in_flight(),
    "a limit": select_limits().where(schema.concurrency_limit.c.tag == "disk"),
    "all limits": select_limits(),
    "holders": select_holders("disk", 100),
    "later holders": select_holders("disk", 100, (5, "id")),
    "some holders": select_holders("disk", 1, among=["a", "b"]),
    "the first holders of some limits": select_first_holders(["disk", "net"]),
    "tags that a run holds": select_tags_held("id"),
    "a queue": select_waiting("disk", 100),
    "a later part of a queue": select_waiting("disk", 100, 5),
    "how many stand before": count_waiting("disk", 5),
    "a place": select_place("id"),
    "ancestors": select_ancestors_of("id"),
    "a flow run's log": select_logs("id", "", 0, 0, 100),
    "a flow run's log, later lines": select_logs("id", "", 30, 500, 100),
    "all logs": select_logs("", "", 0, 0, 100),
    "a task run's log": select_logs("", "id", 0, 0, 100),
}

CACHED: dict[str, cache.CacheFilter] = {
    "with a key": cache.CacheFilter(key="key"),
    "with a prefix": cache.CacheFilter(key_prefix="key"),
    "with a prefix, of a task": cache.CacheFilter(key_prefix="key", task="task"),
    "expired": cache.CacheFilter(expired=True),
    "of a time": cache.CacheFilter(created_after=1, created_before=9),
}

# Pages that are read in the order of creation, the newest first, until they are full: quick where what is
# wanted is not rare, and all of a table where it is.
WALKED: dict[str, tuple[Select[Any], str]] = {
    **{
        f"{kind.value} runs {name}": (queries.select_run_page(kind, wanted, None, 100), why)
        for kind in RunKind
        for name, wanted, why in (
            ("of all kinds", RunFilter(), "the page is full at once"),
            ("completed", RunFilter(state_types=(int(StateType.COMPLETED),)), "most runs are"),
            ("with a part of a name", RunFilter(name_contains="x"), "no index has parts of names"),
            ("with a state's name", RunFilter(state_names=("Late",)), "its type narrows it by an index"),
            ("of a time", RunFilter(created_after=1), "an index would cost each run; most ask for today"),
        )
    },
    **{
        f"entries {name}": (cache.select_page(wanted, 1, None, 100), why)
        for name, wanted, why in (
            ("of all kinds", cache.CacheFilter(), "the page is full at once"),
            ("that live", cache.CacheFilter(expired=False), "most do, since others are swept"),
            ("of a task", cache.CacheFilter(task="x"), "people ask so, by a key or a name"),
            ("of runs with a tag", cache.CacheFilter(tags=("x",)), "people ask so, seldom"),
        )
    },
}

# Sums over all entries have to read all entries; people ask for them.
SUMMED: dict[str, Select[Any]] = {
    "entries by task": cache.select_task_stats(1, None, 100),
    "entries by task, a later page": cache.select_task_stats(1, (5, "key"), 100),
    "entries": cache.select_total(1),
    "tasks with entries": cache.select_task_count(),
    "entries that would be removed": cache.select_count(cache.CacheFilter(), 1),
}

COMMANDS: dict[str, Any] = {
    "a flow run is created": runs.create_flow_run(
        FlowRunSpec("new-flow", "f", "n", "", "{}", ("a",), NO_RETRIES, ""), ProposedState(StateType.PENDING)
    ),
    "awaits are noted": runs.note_awaits([("id", "other"), ("id", "")]),
    "a session is opened": sessions.open_session("id", sessions.Client("n", "l", "v"), 1),
    "sessions are renewed": sessions.renew_sessions({"id": 9}),
    "a session is shortened": sessions.shorten_session("id", 1),
    "all sessions are extended": sessions.extend_all_sessions(1),
    "sessions expire": session_ends.expire_sessions(1, lambda _process: False),
    "the steady clock is noted": timeline.note_steady(),
    "a timeline is joined": timeline.join_timeline("boot", lambda: 1, 1),
    "a session ends": session_ends.end_session("id", "gone"),
    "a limit is set": set_limit("disk", 1),
    "a limit is reset": reset_limit("disk"),
    "a limit is removed": delete_limit("disk"),
    "an entry is removed": cache.invalidate(cache.CacheFilter(key="key"), 10),
    "expired entries are deleted": cache_expiry.delete_expired(10),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("store") / "store.db"
    populate(path, 2_000)
    return path


@pytest.fixture(scope="module")
def flow_run_id(path: Path) -> str:
    with closing(Database(path)) as database:
        found: str = database.writer.scalar(schema.flow_run.select().with_only_columns(schema.flow_run.c.id))
        return found


@pytest.fixture(scope="module")
def writer(path: Path) -> Iterator[Database]:
    with closing(Database(path)) as database:
        yield database


def plan(database: Database, sql: str, parameters: Any = ()) -> list[str]:
    return [row[3] for row in database.driver.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]


def tables_of(sql: str) -> dict[str, str]:
    """Return which table each name of a statement stands for."""
    pairs = re.findall(rf"\b({'|'.join(sorted(GROWING))})(?: AS (\w+))?\b", sql)
    return {alias or table: table for table, alias in pairs}


def scans(database: Database, sql: str, parameters: Any = ()) -> list[str]:
    """Return the steps of a statement's plan that read a growing table, or an index, from end to end."""
    names = tables_of(sql)
    found = []
    for step in plan(database, sql, parameters):
        scanned = re.match(r"SCAN (.+?)(?: USING .*| VIRTUAL TABLE.*)?$", step)
        if scanned is None or step.endswith(SMALL):
            continue
        assert scanned[1] in names or scanned[1] in FEW or MADE.fullmatch(scanned[1]), step
        if scanned[1] in names:
            found.append(step)
    return found


def rendered(query: Select[Any]) -> str:
    return str(query.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


def nothing(sql: str) -> list[None]:
    return [None] * sql.count("?")


def asked_by(database: Database, command: Any) -> list[str]:
    """Return the statements of a command, which is undone."""
    seen: list[str] = []
    driver = database.driver
    driver.set_trace_callback(seen.append)
    driver.execute("BEGIN")
    try:
        command(Transaction(database, Moment(1, 1), lambda: "made"))
    finally:
        driver.execute("ROLLBACK")
        driver.set_trace_callback(None)
    return [sql for sql in seen if re.match(r"(SELECT|UPDATE|DELETE|INSERT|WITH)\b", sql)]


def test_the_statements_of_the_hot_path_are_found() -> None:
    assert len(HOT) > 35


@pytest.mark.parametrize("name", sorted(HOT))
def test_a_hot_statement_scans_nothing_that_grows(writer: Database, name: str) -> None:
    if name == "LAST_PLACE":  # the end of the queues, found at once from the table's own order
        assert plan(writer, HOT[name]) == ["SEARCH waiter"]
    if name != "WAITED_BLOCKERS":  # read once when a client is lost, see below
        assert scans(writer, HOT[name], nothing(HOT[name])) == []


@pytest.mark.parametrize("name", sorted(name for name in HOT if re.fullmatch(r"\w+_(BY_ID|RUN_IDS)", name)))
def test_a_hot_statement_for_one_id_scans_nothing_that_grows(writer: Database, name: str) -> None:
    one = of_one(HOT[name])
    assert one.count("?") == 1
    assert scans(writer, one, nothing(one)) == []


@pytest.mark.parametrize("name", sorted(name for name, sql in HOT.items() if "VALUES" in sql))
def test_a_hot_statement_for_many_rows_scans_nothing_that_grows(writer: Database, name: str) -> None:
    many = of_rows(HOT[name], 64)
    assert scans(writer, many, nothing(many)) == []


@pytest.mark.parametrize("name", sorted(READ))
def test_a_query_for_one_thing_scans_nothing_that_grows(writer: Database, name: str) -> None:
    assert scans(writer, rendered(READ[name])) == []


@pytest.mark.parametrize("before", [None, 1_000], ids=["first page", "later page"])
@pytest.mark.parametrize(
    ("kind", "field", "name"),
    [(kind, field, name) for kind, field in NAMED for name in LISTED]
    + [(kind, field, name) for kind, field in NAMED[1:] for name in OF_A_FLOW_RUN],
)
def test_a_list_of_runs_reads_an_index_of_what_is_wanted(
    writer: Database, kind: RunKind, field: str, name: str, before: int | None
) -> None:
    given = (LISTED | OF_A_FLOW_RUN)[name]
    wanted = RunFilter(**{field if key == "names" else key: value for key, value in given.items()})
    sql = rendered(queries.select_run_page(kind, wanted, before, 100))
    steps = scans(writer, sql)
    # Those that did not complete are read in order, the newest first.
    assert [step for step in steps if not step.endswith("_run_not_completed")] == []
    if name in LISTED:
        sorting = [step for step in plan(writer, sql) if "TEMP B-TREE" in step]
        assert sorting == [] or "UNION ALL" in sql, "all that is wanted would be sorted for one page"


def test_a_list_by_keys_and_names_reads_the_index_of_keys(writer: Database) -> None:
    wanted = RunFilter(task_keys=NAMES, task_names=NAMES)
    sql = rendered(queries.select_run_page(TASKS, wanted, None, 100))
    assert scans(writer, sql) == []
    assert any("ix_task_run_task_key" in step for step in plan(writer, sql))


@pytest.mark.parametrize("before", [None, (5, "key")], ids=["first page", "later page"])
@pytest.mark.parametrize("name", sorted(CACHED))
def test_a_list_of_cache_entries_reads_an_index_of_what_is_wanted(
    writer: Database, name: str, before: tuple[int, str] | None
) -> None:
    assert scans(writer, rendered(cache.select_page(CACHED[name], 1, before, 100))) == []


@pytest.mark.parametrize("name", sorted(WALKED))
def test_what_no_index_serves_is_read_in_order_until_the_page_is_full(writer: Database, name: str) -> None:
    sql = rendered(WALKED[name][0])
    assert len(scans(writer, sql)) == 1, "it is served now: it belongs to those above"
    assert [step for step in plan(writer, sql) if "TEMP B-TREE" in step] == []
    assert "LIMIT" in sql


@pytest.mark.parametrize("name", sorted(SUMMED))
def test_a_sum_reads_each_entry_once(writer: Database, name: str) -> None:
    (step,) = scans(writer, rendered(SUMMED[name]))
    assert step.startswith("SCAN cache_entry")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_what_a_command_does_scans_nothing_that_grows(writer: Database, name: str) -> None:
    def command(transaction: Transaction) -> None:
        if name in {"a limit is reset", "a limit is removed"}:
            set_limit("disk", 3)(transaction)
        COMMANDS[name](transaction)

    asked = asked_by(writer, command)
    assert asked
    assert {sql: steps for sql in asked if (steps := scans(writer, sql))} == {}


def test_when_a_client_is_lost_the_tags_that_are_waited_for_are_read_once(writer: Database) -> None:
    def command(transaction: Transaction) -> None:
        sessions.open_session("lost", sessions.Client("n", "l", "v"), -1)(transaction)
        session_ends.expire_sessions(1, lambda _process: False)(transaction)

    asked = asked_by(writer, command)
    found = [step for sql in asked for step in scans(writer, sql)]
    assert found == ["SCAN waiter USING INDEX ix_waiter_blocking_tag"]


def test_a_task_run_is_created_and_logs_are_written_by_index(writer: Database, flow_run_id: str) -> None:
    spec = TaskRunSpec(
        "new",
        flow_run_id,
        "key",
        "1",
        "task",
        "n",
        "",
        ("a", "b"),
        NO_RETRIES,
        "",
        tracks_subflow=False,
        child_flow_run_id="",
    )
    asked = asked_by(writer, runs.create_task_run(spec, ProposedState(StateType.PENDING)))
    asked += asked_by(writer, write_logs([LogRow(flow_run_id, "", "logger", 20, "line", None)]))
    assert len(asked) > 6
    assert {sql: steps for sql in asked if (steps := scans(writer, sql))} == {}


@pytest.mark.parametrize("after", [None, (1, "id")], ids=["first page", "later page"])
def test_orphaned_results_are_listed_by_index(writer: Database, after: tuple[int, str] | None) -> None:
    for query in (
        orphaned_results.select_position(2, after, 100),
        orphaned_results.select_page(1, 2, after, None),
        orphaned_results.select_page(1, 2, after, (2, "id")),
    ):
        sql = rendered(query)
        assert scans(writer, sql) == []
        assert not [step for step in plan(writer, sql) if "TEMP B-TREE" in step]


def test_orphaned_results_are_dropped_by_index(writer: Database) -> None:
    reference = Reference("0" * 64, "there", "id", 1, "key", 1, 1, 0)
    listed = [orphaned_results.OrphanedResult(reference, "0" * 64)]
    asked = asked_by(writer, orphaned_results.restore(listed))

    def drop(transaction: Transaction) -> None:
        orphaned_results.restore(listed)(transaction)
        assert orphaned_results.droppable(["id"], 2)(transaction) == (listed, {"0" * 64})
        assert orphaned_results.drop_orphaned(["id"], 2, set())(transaction) == []
        assert orphaned_results.drop_orphaned(["id"], 2, {"0" * 64})(transaction) == listed

    asked += asked_by(writer, drop)
    assert len(asked) == 10
    assert {sql: steps for sql in asked if (steps := scans(writer, sql))} == {}
