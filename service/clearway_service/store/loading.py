"""Loading: what one batch of proposals is about, in a handful of queries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from clearway_service.core.changes import AnswerKind
from clearway_service.core.decisions import Abort, AbortReason, Accept, Ancestor, Reject
from clearway_service.core.proposals import Proposal, Waiter
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec
from clearway_service.core.snapshot import Limit, Recorded, RunEntry, Snapshot
from clearway_service.core.states import ProposedState, State, StateType
from clearway_service.store import statements
from clearway_service.store.rows import Row, flow_run_from, task_run_from, waiter_from

# A queue's head is loaded as far as this batch can need it, and this much further.
_HEAD = 8
# How many waiters one turn may answer where a tag's limit was changed; the rest follow in the next turns.
_WOKEN = 256
# How many elders of a tag are loaded: only the first is counted, the others follow when it goes.
_ELDERS = 8


class Cursor(Protocol):
    """The driver's connection, as far as it is used here."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run ``sql`` and return its rows."""


def load(
    cursor: Cursor,
    proposals: Sequence[Proposal],
    now: int,
    *,
    ended_runs: Sequence[tuple[RunKind, str]] = (),
    woken_tags: Iterable[str] = (),
) -> Snapshot:
    """Return the snapshot for one batch.

    Args:
        cursor: Inside a transaction that keeps others from writing.
        proposals: The batch.
        now: The service's clock; cache entries and sessions that have expired by then are left out.
        ended_runs: Runs that lose their session.
        woken_tags: Tags whose waiters are to be decided about again.
    """
    snapshot = Snapshot()
    _load_runs(cursor, snapshot, proposals, ended_runs)
    ids = [proposal.id for proposal in proposals]
    _load_recorded(cursor, snapshot, ids)
    _load_waiting(cursor, snapshot, statements.WAITERS_BY_ID, ids)
    _load_queues(cursor, snapshot, proposals, set(woken_tags))
    _load_cache(cursor, snapshot, proposals, now)
    _load_sessions(cursor, snapshot, proposals, now)
    return snapshot


def _load_runs(
    cursor: Cursor,
    snapshot: Snapshot,
    proposals: Sequence[Proposal],
    ended_runs: Sequence[tuple[RunKind, str]],
) -> None:
    created = [proposal.create for proposal in proposals if proposal.create is not None]
    flow_ids = {proposal.run_id for proposal in proposals if proposal.kind is RunKind.FLOW}
    flow_ids.update(run_id for kind, run_id in ended_runs if kind is RunKind.FLOW)
    task_ids = {proposal.run_id for proposal in proposals if proposal.kind is RunKind.TASK}
    task_ids.update(run_id for kind, run_id in ended_runs if kind is RunKind.TASK)
    if flow_ids:
        for row in cursor.execute(statements.FLOW_RUNS_BY_ID, (_array(flow_ids),)):
            flow_run, progress = flow_run_from(row)
            snapshot.runs[flow_run.id] = RunEntry(RunKind.FLOW, flow_run, progress)
            if flow_run.parent_task_run_id:
                task_ids.add(flow_run.parent_task_run_id)
    if created:
        keys = json.dumps([(spec.flow_run_id, spec.task_key, spec.dynamic_key) for spec in created])
        _add_task_runs(snapshot, cursor.execute(statements.TASK_RUNS_BY_KEY, (keys,)))
        parents = _array({spec.flow_run_id for spec in created})
        snapshot.flow_runs = {row[0] for row in cursor.execute(statements.FLOW_RUN_IDS, (parents,))}
    if task_ids:
        _add_task_runs(snapshot, cursor.execute(statements.TASK_RUNS_BY_ID, (_array(task_ids),)))


def _add_task_runs(snapshot: Snapshot, rows: Iterable[Row]) -> None:
    for row in rows:
        run, progress = task_run_from(row)
        if run.id not in snapshot.runs:
            snapshot.runs[run.id] = RunEntry(RunKind.TASK, run, progress)
            snapshot.task_runs_by_key[run.flow_run_id, run.task_key, run.dynamic_key] = run.id


def _load_recorded(cursor: Cursor, snapshot: Snapshot, proposal_ids: list[str]) -> None:
    ids = _array(proposal_ids)
    for row in cursor.execute(statements.STATES_BY_ID, (ids,)):
        _id, kind, run_id, _ordinal, *columns, answer, answer_message = row
        state = State(row[0], *columns)
        decision = (
            Reject(ProposedState(state.type), answer_message) if answer == AnswerKind.REJECT else Accept()
        )
        snapshot.recorded[state.id] = Recorded(RunKind(kind), run_id, decision, state)
    for proposal_id, kind, run_id, reason, message, *columns in cursor.execute(
        statements.ABORTS_BY_ID, (ids,)
    ):
        abort = Abort(AbortReason(reason), message)
        snapshot.recorded[proposal_id] = Recorded(RunKind(kind), run_id, abort, State(*columns))


def _load_queues(
    cursor: Cursor, snapshot: Snapshot, proposals: Sequence[Proposal], woken_tags: set[str]
) -> None:
    """Load limits, slots and the heads of queues, for the tags of the batch and of those who wait on them."""
    tags = woken_tags.union(*(spec.limited_tags for spec in _task_runs(snapshot, proposals)))
    if not tags:
        return
    _load_limits(cursor, snapshot, tags, woken_tags)
    if not snapshot.limits:
        return
    leaving = len(proposals) + _HEAD
    for limit in tuple(snapshot.limits.values()):
        woken = limit.tag in woken_tags
        depth = _WOKEN if woken else min(leaving, _WOKEN)
        limit.queue, limit.complete = _head(cursor, statements.WAITERS_BY_TAG, limit.tag, depth)
        limit.cut = None if limit.complete else limit.queue[-1].position
        _load_elders(cursor, limit, _WOKEN if woken and limit.limit == 0 else _ELDERS)
    _count_queues(cursor, snapshot, proposals)
    _load_waiters_runs(cursor, snapshot)
    limited = [run_id for run_id, entry in snapshot.runs.items() if entry.run.limited_tags]
    _load_waiting(cursor, snapshot, statements.WAITERS_BY_RUN, limited)
    running = [
        run_id
        for run_id, entry in snapshot.runs.items()
        if entry.run.limited_tags and entry.progress and entry.progress.state.type == StateType.RUNNING
    ]
    if running:
        for tag, run_id in cursor.execute(statements.SLOTS_BY_RUN, (_array(running),)):
            snapshot.slots.setdefault(run_id, set()).add(tag)
    _load_ancestors(cursor, snapshot, proposals)


def _load_ancestors(cursor: Cursor, snapshot: Snapshot, proposals: Sequence[Proposal]) -> None:
    """Load whose code waits for the runs that ask for a slot, where slots are held at all."""
    if not any(limit.taken for limit in snapshot.limits.values()):
        return
    asking = set()
    for proposal in proposals:
        if proposal.state.type == StateType.RUNNING:
            asking.add(proposal.run_id)
            if (spec := proposal.create) is not None:
                key = spec.flow_run_id, spec.task_key, spec.dynamic_key
                asking.add(snapshot.task_runs_by_key.get(key, spec.id))
    if asking:
        for run_id, *columns in cursor.execute(statements.ANCESTORS_BY_RUN, (_array(asking),)):
            snapshot.ancestors.setdefault(run_id, []).append(Ancestor(*columns))


def _count_queues(cursor: Cursor, snapshot: Snapshot, proposals: Sequence[Proposal]) -> None:
    """Count the queues that a proposal may join; where nobody can, their length does not matter."""
    joins = any(proposal.state.type == StateType.RUNNING for proposal in proposals)
    for limit in snapshot.limits.values():
        limit.queued = len(limit.queue)
        if joins and not limit.complete:
            limit.queued = cursor.execute(statements.WAITERS_COUNT, (limit.tag,)).fetchone()[0]


def _head(cursor: Cursor, sql: str, tag: str, depth: int) -> tuple[list[Waiter], bool]:
    """Return the first ``depth`` waiters of a tag, and whether they are all."""
    waiters = [waiter_from(row) for row in cursor.execute(sql, (tag, depth + 1, 0))]
    return waiters[:depth], len(waiters) <= depth


def _task_runs(snapshot: Snapshot, proposals: Sequence[Proposal]) -> Iterable[TaskRunSpec | FlowRunSpec]:
    yield from (entry.run for entry in snapshot.runs.values() if entry.run.tags)
    yield from (proposal.create for proposal in proposals if proposal.create and proposal.create.tags)


def _load_limits(cursor: Cursor, snapshot: Snapshot, tags: set[str], woken_tags: set[str]) -> None:
    wanted = tags - snapshot.limits.keys()
    if not wanted:
        return
    for tag, slots in cursor.execute(statements.LIMITS_BY_TAG, (_array(wanted),)):
        taken = cursor.execute(statements.SLOTS_TAKEN, (tag,)).fetchone()[0]
        snapshot.limits[tag] = Limit(tag, slots, taken)
    for tag in woken_tags - snapshot.limits.keys():
        snapshot.limits[tag] = Limit(tag, None, 0)


def _load_waiters_runs(cursor: Cursor, snapshot: Snapshot) -> None:
    """Load the runs of those who stand in the queues, and the limits of their other tags."""
    waiters: list[Waiter] = [waiter for limit in snapshot.limits.values() for waiter in limit.queue]
    for limit in snapshot.limits.values():
        if limit.limit == 0:
            waiters += limit.elders
    unknown = {waiter.proposal.run_id for waiter in waiters} - snapshot.runs.keys()
    if unknown:
        _add_task_runs(snapshot, cursor.execute(statements.TASK_RUNS_BY_ID, (_array(unknown),)))
        tags = {tag for run_id in unknown for tag in snapshot.runs[run_id].run.limited_tags}
        known = set(snapshot.limits)
        _load_limits(cursor, snapshot, tags, set())
        for tag in snapshot.limits.keys() - known:
            # Their queues are left to a later turn: while one stands there, the tag is full or kept.
            snapshot.limits[tag].complete = False
            _load_elders(cursor, snapshot.limits[tag], _ELDERS)


def _load_elders(cursor: Cursor, limit: Limit, depth: int) -> None:
    limit.elders, limit.elders_complete = _head(cursor, statements.ELDERS_BY_TAG, limit.tag, depth)


def _load_waiting(cursor: Cursor, snapshot: Snapshot, sql: str, ids: list[str]) -> None:
    """Load the proposals in the queue that ``sql`` finds by ``ids``."""
    known = {waiter.proposal.id for waiters in snapshot.waiting.values() for waiter in waiters}
    for row in cursor.execute(sql, (_array(ids),)):
        waiter = waiter_from(row)
        if waiter.proposal.id not in known:
            snapshot.waiting.setdefault(waiter.proposal.run_id, []).append(waiter)


def _load_cache(cursor: Cursor, snapshot: Snapshot, proposals: Sequence[Proposal], now: int) -> None:
    keys = {proposal.state.cache_key for proposal in proposals}
    for limit in snapshot.limits.values():
        keys.update(waiter.proposal.state.cache_key for waiter in limit.queue)
    keys.discard("")
    if keys:
        for key, *columns in cursor.execute(statements.CACHE_BY_KEY, (_array(keys), now)):
            snapshot.cache[key] = State(*columns)


def _load_sessions(cursor: Cursor, snapshot: Snapshot, proposals: Sequence[Proposal], now: int) -> None:
    sessions = {proposal.session_id for proposal in proposals}
    sessions.update(entry.progress.session_id for entry in snapshot.runs.values() if entry.progress)
    for limit in snapshot.limits.values():
        sessions.update(waiter.proposal.session_id for waiter in limit.queue)
    sessions.discard("")
    if sessions:
        for id_, client_name, expires in cursor.execute(statements.SESSIONS_BY_ID, (_array(sessions),)):
            snapshot.open_sessions.add(id_)
            if expires > now:
                snapshot.holders[id_] = client_name


def _array(values: Iterable[str]) -> str:
    return json.dumps(list(values))
