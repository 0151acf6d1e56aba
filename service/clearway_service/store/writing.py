"""Writing: stores the changes of a batch of decisions with a handful of bulk statements."""

from __future__ import annotations

from collections.abc import Iterable

from clearway_service.core.changes import Changes, RecordedAbort
from clearway_service.core.runs import FlowRunSpec, TaskRunSpec
from clearway_service.core.snapshot import RunEntry, Stage
from clearway_service.core.states import State
from clearway_service.store import rendered_statements as statements
from clearway_service.store.bulk import Cursor, execute_rows
from clearway_service.store.resources import resource_to
from clearway_service.store.result_references import data_facts, references_to
from clearway_service.store.rows import (
    Row,
    flow_run_to,
    progress_to,
    state_to,
    task_run_to,
    waiter_to,
)


def write(cursor: Cursor, changes: Changes, now: int) -> None:
    """Write ``changes`` in the transaction of ``cursor``."""
    _write_runs(cursor, changes.runs)
    if changes.states:
        execute_rows(cursor, statements.INSERT_STATE, [state_to(*entry) for entry in changes.states])
        refer_to_results(cursor, [made.state for made in changes.states])
    # Released before taken, so that a limit also holds in between.
    if changes.slots_freed:
        freed = [(resource_to(resource), run_id) for resource, run_id in changes.slots_freed]
        execute_rows(cursor, statements.DELETE_SLOT, freed)
    if changes.slots_taken:
        taken = [(resource_to(resource), run_id, now) for resource, run_id in changes.slots_taken]
        execute_rows(cursor, statements.INSERT_SLOT, taken)
    if changes.cache or changes.cache_hits:
        _write_cache(cursor, changes, now)
    if changes.aborts:
        execute_rows(cursor, statements.INSERT_ABORT, [_abort(entry) for entry in changes.aborts])
    if changes.any_waiters:
        _write_waiters(cursor, changes, now)


def _write_waiters(cursor: Cursor, changes: Changes, now: int) -> None:
    execute_rows(cursor, statements.DELETE_WAITER, [(id_,) for id_ in changes.waiters_removed])
    moved = [(resource_to(blocker), id_) for id_, blocker in changes.waiters_moved.items()]
    execute_rows(cursor, statements.MOVE_WAITER, moved)
    reattached = [
        (waiter.proposal.session_id, waiter.owner, waiter.until, id_)
        for id_, waiter in changes.waiters_reattached.items()
    ]
    execute_rows(cursor, statements.REATTACH_WAITER, reattached)
    added = [waiter_to(waiter, now) for waiter in changes.waiters_added.values()]
    execute_rows(cursor, statements.INSERT_WAITER, added)
    elders = [(tag, id_) for id_, tags in changes.elders_tracked.items() for tag in tags]
    execute_rows(cursor, statements.INSERT_WAITER_TAG, elders)
    passed = [(count, id_) for id_, count in changes.waiters_passed.items()]
    execute_rows(cursor, statements.PASS_WAITER, passed)
    execute_rows(cursor, statements.DELETE_WAITER_TAGS, [(id_,) for id_ in changes.waiters_removed])
    execute_rows(cursor, statements.INSERT_DELIVERY, changes.deliveries)


def _write_runs(cursor: Cursor, entries: list[RunEntry]) -> None:
    created, updated_flows, updated_tasks = [], [], []
    for entry in entries:
        assert entry.progress is not None
        if entry.stage is Stage.CREATED:
            created.append(entry)
        elif isinstance(entry.run, FlowRunSpec):
            updated_flows.append((*progress_to(entry.progress), entry.run.id))
        else:
            updated_tasks.append((*progress_to(entry.progress), entry.run.id))
    if updated_flows:
        execute_rows(cursor, statements.UPDATE_FLOW_RUN, updated_flows)
    if updated_tasks:
        execute_rows(cursor, statements.UPDATE_TASK_RUN, updated_tasks)
    if created:
        insert_runs(cursor, created)


def insert_runs(cursor: Cursor, entries: list[RunEntry]) -> None:
    """Insert new runs with their tags. The caller inserts their first states."""
    flows, tasks, flow_tags, task_tags = [], [], [], []
    for entry in entries:
        assert entry.progress is not None
        pairs = [(tag, entry.run.id) for tag in entry.run.tags] if entry.run.tags else []
        if isinstance(entry.run, TaskRunSpec):
            tasks.append(task_run_to(entry.run, entry.progress))
            task_tags += pairs
        else:
            flows.append(flow_run_to(entry.run, entry.progress))
            flow_tags += pairs
    execute_rows(cursor, statements.INSERT_FLOW_RUN, flows)
    execute_rows(cursor, statements.INSERT_TASK_RUN, tasks)
    execute_rows(cursor, statements.INSERT_FLOW_RUN_TAG, flow_tags)
    execute_rows(cursor, statements.INSERT_TASK_RUN_TAG, task_tags)


def refer_to_results(cursor: Cursor, states: Iterable[State]) -> None:
    """Record the stored results that new states refer to."""
    for reference in references_to(states):
        # One by one: for several rows with the same name, a single statement would keep only the first.
        cursor.execute(statements.REFER_TO_RESULT, reference)


def _write_cache(cursor: Cursor, changes: Changes, now: int) -> None:
    if changes.cache:
        data = {made.state.id: made.state.data for made in changes.states}
        entries = [(*entry, *data_facts(data[entry.state_id])) for entry in changes.cache]
        execute_rows(cursor, statements.UPSERT_CACHE_ENTRY, entries)
    hits = [(count, now, key) for key, count in changes.cache_hits.items()]
    execute_rows(cursor, statements.HIT_CACHE_ENTRY, hits)


def _abort(entry: RecordedAbort) -> Row:
    return (
        entry.proposal_id,
        entry.kind.value,
        entry.run_id,
        entry.abort.reason,
        entry.abort.message,
        entry.state.id,
    )
