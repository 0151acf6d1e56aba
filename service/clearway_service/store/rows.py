"""Conversion between the core's tuples and the tables' rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from clearway_service.core.proposals import Proposal, Waiter
from clearway_service.core.retries import NO_RETRIES, RetryPolicy
from clearway_service.core.runs import FlowRunSpec, Progress, RunKind, TaskRunSpec
from clearway_service.core.states import ProposedState, State, StateType
from clearway_service.store.columns import FLOW_RUN, RUN_PROGRESS, TASK_RUN
from clearway_service.store.resources import resource_from, resource_to

Row = Sequence[Any]

_FLOW_WIDTH = len(FLOW_RUN)
_TASK_WIDTH = len(TASK_RUN)
_PROGRESS_WIDTH = len(RUN_PROGRESS)
_NONE = "[]"


def tags_from(text: str) -> tuple[str, ...]:
    """Return the tags in a value of the tags column."""
    return () if text == _NONE else tuple(json.loads(text))


def tags_to(tags: tuple[str, ...]) -> str:
    """Return the tags column's value for ``tags``."""
    return json.dumps(tags, ensure_ascii=False) if tags else _NONE


def flow_run_from(row: Row) -> tuple[FlowRunSpec, Progress]:
    """Return the flow run in a row of ``select_runs``."""
    id_, flow_name, name, version, parameters, tags, *policy, parent, created = row[:_FLOW_WIDTH]
    spec = FlowRunSpec(
        id_, flow_name, name, version, parameters, tags_from(tags), _policy_from(*policy), parent
    )
    return spec, _progress_from(row[_FLOW_WIDTH:], created)


def task_run_from(row: Row) -> tuple[TaskRunSpec, Progress]:
    """Return the task run in a row of ``select_runs``."""
    (
        id_,
        flow,
        key,
        dynamic_key,
        task_name,
        name,
        version,
        tags,
        max_attempts,
        delays,
        jitter_factor,
        inputs,
        tracks,
        child,
        created,
    ) = row[:_TASK_WIDTH]
    spec = TaskRunSpec(
        id_,
        flow,
        key,
        dynamic_key,
        task_name,
        name,
        version,
        tags_from(tags),
        _policy_from(max_attempts, delays, jitter_factor),
        inputs,
        bool(tracks),
        child,
    )
    return spec, _progress_from(row[_TASK_WIDTH:], created)


def _policy_from(max_attempts: int, delays: str, jitter_factor: float) -> RetryPolicy:
    if max_attempts == 1 and delays == _NONE and not jitter_factor:
        return NO_RETRIES
    return RetryPolicy(max_attempts, tuple(json.loads(delays)), jitter_factor)


def _policy_to(policy: RetryPolicy) -> Row:
    delays = json.dumps(policy.delays) if policy.delays else _NONE
    return policy.max_attempts, delays, policy.jitter_factor


def _progress_from(row: Row, created: int) -> Progress:
    session_id, ordinal, run_count, *times = row[:_PROGRESS_WIDTH]
    return Progress(State(*row[_PROGRESS_WIDTH:]), session_id, ordinal, run_count, created, *times)


def progress_to(progress: Progress) -> Row:
    """Return a run's progress in the order of ``columns.PROGRESS``."""
    state = progress.state
    return (
        state.id,
        state.type,
        state.name,
        progress.session_id,
        progress.ordinal,
        progress.run_count,
        progress.expected_start_time,
        progress.start_time,
        progress.end_time,
        progress.total_run_time,
        progress.running_since,
        progress.due,
    )


def flow_run_to(spec: FlowRunSpec, progress: Progress) -> Row:
    """Return a new flow run's row, in the order of ``columns.FLOW_RUN`` and ``PROGRESS``."""
    return (
        *spec[:5],
        tags_to(spec.tags),
        *_policy_to(spec.retry_policy),
        spec.parent_task_run_id,
        progress.created,
        *progress_to(progress),
    )


def task_run_to(spec: TaskRunSpec, progress: Progress) -> Row:
    """Return a new task run's row, in the order of ``columns.TASK_RUN`` and ``PROGRESS``."""
    return (
        *spec[:7],
        tags_to(spec.tags),
        *_policy_to(spec.retry_policy),
        *spec[9:],
        progress.created,
        *progress_to(progress),
    )


def state_to(kind: RunKind, run_id: str, ordinal: int, state: State, answer: int, answer_message: str) -> Row:
    """Return a state's row, in the order of ``columns.STATE``."""
    return (state.id, kind.value, run_id, ordinal, *state[1:], answer, answer_message)


def waiter_from(row: Row) -> Waiter:
    """Return the waiter in a row: its place, then ``columns.WAITER``."""
    (
        place,
        id_,
        run_id,
        session_id,
        owner,
        blocker,
        _since,
        passed,
        until,
        name,
        message,
        cache_key,
        cache_expiration,
        refresh_cache,
        single_flight,
    ) = row
    state = ProposedState(
        StateType.RUNNING,
        name,
        message,
        cache_key=cache_key,
        cache_expiration=cache_expiration,
        refresh_cache=bool(refresh_cache),
        single_flight=bool(single_flight),
    )
    proposal = Proposal(id_, RunKind.TASK, run_id, state, session_id=session_id, queues=until is None)
    return Waiter(proposal, place, resource_from(blocker), owner, passed, until)


def waiter_to(waiter: Waiter, now: int) -> Row:
    """Return a new waiter's row, in the order of ``columns.WAITER``."""
    proposal = waiter.proposal
    state = proposal.state
    return (
        proposal.id,
        proposal.run_id,
        proposal.session_id,
        waiter.owner,
        resource_to(waiter.blocker),
        now,
        waiter.passed,
        waiter.until,
        state.name,
        state.message,
        state.cache_key,
        state.cache_expiration,
        state.refresh_cache,
        state.single_flight,
    )
