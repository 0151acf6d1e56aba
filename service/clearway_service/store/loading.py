"""Loading: reads everything that one batch of proposals needs, in a handful of queries."""

from __future__ import annotations

import json
from collections.abc import Sequence

from clearway_service.core.changes import AnswerKind
from clearway_service.core.decisions import Abort, AbortReason, Accept, recorded_reject
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Proposal
from clearway_service.core.resources import keys_of
from clearway_service.core.runs import RunKind, TaskRunSpec
from clearway_service.core.snapshot import Recorded, RunEntry, Snapshot
from clearway_service.core.states import State, StateType
from clearway_service.core.turn import Work
from clearway_service.store import rendered_statements as statements
from clearway_service.store.loading_parts import (
    Cursor,
    Metered,
    add_task_run,
    add_task_runs,
    load_cache,
    select_by_ids,
)
from clearway_service.store.queue_loading import QueueLoading
from clearway_service.store.row_cache import RowCache
from clearway_service.store.rows import flow_run_from


def load(
    cursor: Cursor, work: Work, moment: Moment, row_cache: RowCache, most: int | None = None
) -> Snapshot:
    """Return the snapshot for one turn.

    Args:
        cursor: Inside a transaction that keeps others from writing.
        work: The work of the turn.
        moment: The time; cache entries and sessions that have expired by then are left out.
        row_cache: Rows that need not be read again.
        most: The approximate maximum of bytes of rows to load; None for no bound.

    Raises:
        TooLargeError: The rows exceed ``most``.
    """
    snapshot = Snapshot()
    if most is not None:
        cursor = Metered(cursor, most)
    proposals = [*work.proposals, *work.recalled] if work.recalled else work.proposals
    touched = [*work.ended_runs, *((RunKind.TASK, run_id) for run_id in work.woken_runs)]
    _load_runs(cursor, snapshot, proposals, touched, row_cache)
    _load_recorded(cursor, snapshot, [proposal.id for proposal in proposals])
    keys = {proposal.state.cache_key for proposal in proposals}
    if work.woken:
        keys |= keys_of(work.woken)
    keys.discard("")
    if keys:
        load_cache(cursor, snapshot, keys, moment.now)
    QueueLoading(cursor, snapshot, proposals, work.woken, moment.now, row_cache).load()
    _load_sessions(cursor, snapshot, proposals, moment.steady, row_cache)
    return snapshot


def _load_runs(
    cursor: Cursor,
    snapshot: Snapshot,
    proposals: Sequence[Proposal],
    touched: Sequence[tuple[RunKind, str]],
    row_cache: RowCache,
) -> None:
    created = [proposal.create for proposal in proposals if proposal.create is not None]
    flow_ids = {proposal.run_id for proposal in proposals if proposal.kind is RunKind.FLOW}
    task_ids = {
        proposal.run_id for proposal in proposals if proposal.kind is RunKind.TASK and proposal.create is None
    }
    if touched:
        flow_ids.update([run_id for kind, run_id in touched if kind is RunKind.FLOW])
        task_ids.update([run_id for kind, run_id in touched if kind is RunKind.TASK])
    if flow_ids:
        for row in select_by_ids(cursor, statements.FLOW_RUNS_BY_ID, flow_ids):
            flow_run, progress = flow_run_from(row)
            snapshot.runs[flow_run.id] = RunEntry(RunKind.FLOW, flow_run, progress)
            if flow_run.parent_task_run_id:
                task_ids.add(flow_run.parent_task_run_id)
    if created:
        keys = json.dumps([(spec.flow_run_id, spec.task_key, spec.dynamic_key) for spec in created])
        add_task_runs(snapshot, cursor.execute(statements.TASK_RUNS_BY_KEY, (keys,)))
        _load_ids(cursor, snapshot, created, row_cache)
    for run_id in row_cache.task_runs.keys() & task_ids:
        entry = row_cache.task_runs[run_id]
        add_task_run(snapshot, RunEntry(entry.kind, entry.run, entry.progress))
    unknown = task_ids - snapshot.runs.keys()
    if unknown:
        add_task_runs(snapshot, select_by_ids(cursor, statements.TASK_RUNS_BY_ID, unknown))


def _load_ids(cursor: Cursor, snapshot: Snapshot, created: list[TaskRunSpec], row_cache: RowCache) -> None:
    """Load which flow runs exist, and which new runs' ids are already taken: both kinds share them."""
    ids = {spec.id for spec in created}
    flow_ids = {spec.flow_run_id for spec in created}
    snapshot.flow_runs = row_cache.flow_runs.keys() & flow_ids
    asked = (ids | flow_ids) - snapshot.flow_runs
    snapshot.flow_runs.update([row[0] for row in select_by_ids(cursor, statements.FLOW_RUN_IDS, asked)])
    snapshot.task_runs.update([row[0] for row in select_by_ids(cursor, statements.TASK_RUN_IDS, ids)])


def _load_recorded(cursor: Cursor, snapshot: Snapshot, proposal_ids: list[str]) -> None:
    ids = frozenset(proposal_ids)
    for row in select_by_ids(cursor, statements.STATES_BY_ID, ids):
        _id, kind, run_id, _ordinal, *columns, answer, answer_message = row
        state = State(row[0], *columns)
        rejected = answer == AnswerKind.REJECT
        decision = recorded_reject(StateType(state.type), answer_message) if rejected else Accept()
        snapshot.recorded[state.id] = Recorded(RunKind(kind), run_id, decision, state)
    aborts = select_by_ids(cursor, statements.ABORTS_BY_ID, ids)
    for proposal_id, kind, run_id, reason, message, *columns in aborts:
        abort = Abort(AbortReason(reason), message)
        snapshot.recorded[proposal_id] = Recorded(RunKind(kind), run_id, abort, State(*columns))


def _load_sessions(
    cursor: Cursor, snapshot: Snapshot, proposals: Sequence[Proposal], steady: int, row_cache: RowCache
) -> None:
    sessions = {proposal.session_id for proposal in proposals}
    sessions.update(entry.progress.session_id for entry in snapshot.runs.values() if entry.progress)
    for limit in snapshot.limits.values():
        sessions.update(waiter.proposal.session_id for waiter in limit.queue)
    sessions.discard("")
    unknown = sessions - row_cache.sessions.keys()
    if unknown:
        for id_, client_name, expires in select_by_ids(cursor, statements.SESSIONS_BY_ID, unknown):
            row_cache.sessions[id_] = client_name, expires
    for id_ in row_cache.sessions.keys() & sessions:
        client_name, expires = row_cache.sessions[id_]
        snapshot.open_sessions.add(id_)
        if expires > steady:
            snapshot.holders[id_] = client_name
