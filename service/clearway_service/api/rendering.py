"""Rendering: converts the core's tuples to the protocol's messages."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, assert_never

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1 import (
    concurrency_limit_pb2,
    error_pb2,
    flow_run_pb2,
    proposal_pb2,
    retry_pb2,
    state_pb2,
    task_run_pb2,
)
from clearway_service.core.decisions import Abort, Accept, Reject, Wait
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Answer, Problem, Refusal
from clearway_service.core.retries import RetryPolicy
from clearway_service.core.runs import FlowRunSpec, Progress, TaskRunSpec
from clearway_service.core.states import State
from clearway_service.errors import (
    ClearwayError,
    ProposalConflictError,
    RunConflictError,
    RunNotFoundError,
    SessionExpiredError,
)

if TYPE_CHECKING:
    from clearway_service.store.limits import LimitRow
    from clearway_service.store.slots import Holder, Waiting

_MICROSECONDS = 1_000_000
# How many upstream runs of a task run are listed at most: about 400 kB.
_SHOWN_INPUTS = 10_000


def timestamp(microseconds: int) -> Timestamp:
    """Convert microseconds since 1970 to a timestamp."""
    seconds, rest = divmod(microseconds, _MICROSECONDS)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)


def duration(microseconds: int) -> Duration:
    """Convert microseconds to a duration."""
    seconds, rest = divmod(microseconds, _MICROSECONDS)
    return Duration(seconds=seconds, nanos=rest * 1_000)


def optional_timestamp(microseconds: int | None) -> Timestamp | None:
    """Convert microseconds since 1970 to a timestamp, and None to None."""
    return None if microseconds is None else timestamp(microseconds)


def render_state(state: State, run: FlowRunSpec | TaskRunSpec) -> state_pb2.State:
    """Convert a state of ``run``."""
    rendered = state_pb2.State()
    _fill_state(rendered, state, run)
    return rendered


def _fill_state(rendered: state_pb2.State, state: State, run: FlowRunSpec | TaskRunSpec) -> None:
    # Field by field, since passing messages to a constructor copies each of them.
    rendered.id = state.id
    rendered.type = state.type  # type: ignore[assignment] # the numbers are the same
    rendered.name = state.name
    rendered.create_time.CopyFrom(_batch_time(state.timestamp))
    if state.message:
        rendered.message = state.message
    details = rendered.details
    if isinstance(run, TaskRunSpec):
        details.flow_run_id = run.flow_run_id
        details.task_run_id = run.id
        if run.child_flow_run_id:
            details.child_flow_run_id = run.child_flow_run_id
    else:
        details.flow_run_id = run.id
    if state.cache_key:
        details.cache_key = state.cache_key
        if state.cache_expiration is not None:
            details.cache_expiration.CopyFrom(duration(state.cache_expiration))
    if state.scheduled_time is not None:
        details.scheduled_time.CopyFrom(timestamp(state.scheduled_time))
    if state.data is not None:
        rendered.data.ParseFromString(state.data)


# All states of a batch have the same time.
_batch_time = lru_cache(maxsize=16)(timestamp)


def fill_decision(decision: proposal_pb2.Decision, answer: Answer, slot_retry_after: int) -> None:
    """Fill the empty ``decision`` from an answer.

    Args:
        decision: A part of the message to send, filled in place to avoid a copy.
        answer: The answer to a proposal.
        slot_retry_after: The retry delay, in microseconds, for a wait without a place in the queue.
    """
    decision.proposal_id = answer.proposal_id
    decision.run_id = answer.run.id
    _fill_state(decision.state, answer.state, answer.run)
    match answer.decision:
        case Accept():
            decision.accept.SetInParent()
        case Reject(reason, _, message):
            decision.reject.reason = reason  # type: ignore[assignment] # the numbers are the same
            decision.reject.message = message
        case Abort(reason, message):
            decision.abort.message = message
            decision.abort.reason = reason  # type: ignore[assignment] # the numbers are the same
        case Wait(wait_reason, retry_after, message, blocking_tags, _ancestors, cache_key):
            decision.wait.reason = wait_reason  # type: ignore[assignment]
            decision.wait.message = message
            decision.wait.queued = answer.queued
            decision.wait.position = answer.position
            decision.wait.blocking_tags.extend(blocking_tags)
            decision.wait.cache_key = cache_key
            if not answer.queued:
                after = slot_retry_after if retry_after is None else retry_after
                decision.wait.retry_after.CopyFrom(duration(after))
        case _ as unreachable:
            assert_never(unreachable)


def fill_error(decision: proposal_pb2.Decision, proposal_id: str, error: ClearwayError) -> None:
    """Fill the empty ``decision`` with the error of a proposal that could not be decided."""
    decision.proposal_id = proposal_id
    decision.error.reason = error_pb2.ErrorReason.ValueType(error.reason)
    decision.error.field = error.field
    decision.error.message = error.message
    decision.error.metadata.update(error.metadata)


def refusal_error(
    refusal: Refusal, run_field: str = "run", id_field: str = "id", session_field: str = ""
) -> ClearwayError:
    """Convert a refusal to an error.

    Args:
        refusal: The refusal.
        run_field: The request's field with the run's id.
        id_field: The request's field with the proposal's id.
        session_field: The request's field with the session's id; empty if it has none.
    """
    subject = refusal.subject
    match refusal.problem:
        case Problem.RUN_NOT_FOUND:
            return RunNotFoundError(
                f"no such run has the id {subject}; create it first", run_field, run_id=subject
            )
        case Problem.FLOW_RUN_NOT_FOUND:
            return RunNotFoundError(
                f"no flow run has the id {subject}; create it first",
                "create_task_run.flow_run_id",
                run_id=subject,
            )
        case Problem.PROPOSAL_CONFLICT:
            return ProposalConflictError(
                f"proposal id {subject} was used for another run; make a new UUID for each proposal",
                id_field,
                proposal_id=subject,
            )
        case Problem.RUN_CONFLICT:
            return RunConflictError(
                f"id {subject} is another run's; make a new UUID for each run",
                "create_task_run.id",
                run_id=subject,
            )
        case Problem.SESSION_EXPIRED:
            return SessionExpiredError(
                f"session {subject} has ended or is unknown; open a new one",
                session_field,
                session_id=subject,
            )
        case _ as unreachable:
            assert_never(unreachable)


def render_flow_run(spec: FlowRunSpec, progress: Progress) -> flow_run_pb2.FlowRun:
    """Convert a flow run."""
    return flow_run_pb2.FlowRun(
        spec=flow_run_pb2.FlowRunSpec(
            id=spec.id,
            flow_name=spec.flow_name,
            name=spec.name,
            flow_version=spec.flow_version,
            parameters_json=spec.parameters_json,
            tags=spec.tags,
            retry_policy=_render_policy(spec.retry_policy),
            parent_task_run_id=spec.parent_task_run_id,
        ),
        state=render_state(progress.state, spec),
        run_count=progress.run_count,
        create_time=timestamp(progress.created),
        expected_start_time=optional_timestamp(progress.expected_start_time),
        start_time=optional_timestamp(progress.start_time),
        end_time=optional_timestamp(progress.end_time),
        total_run_time=duration(progress.total_run_time),
    )


def render_task_run(spec: TaskRunSpec, progress: Progress) -> task_run_pb2.TaskRun:
    """Convert a task run."""
    inputs, input_count = _render_inputs(spec.inputs_json)
    return task_run_pb2.TaskRun(
        spec=task_run_pb2.TaskRunSpec(
            id=spec.id,
            flow_run_id=spec.flow_run_id,
            task_key=spec.task_key,
            dynamic_key=spec.dynamic_key,
            task_name=spec.task_name,
            name=spec.name,
            task_version=spec.task_version,
            tags=spec.tags,
            retry_policy=_render_policy(spec.retry_policy),
            inputs=inputs,
            tracks_subflow=spec.tracks_subflow,
        ),
        input_count=input_count,
        state=render_state(progress.state, spec),
        run_count=progress.run_count,
        create_time=timestamp(progress.created),
        expected_start_time=optional_timestamp(progress.expected_start_time),
        start_time=optional_timestamp(progress.start_time),
        end_time=optional_timestamp(progress.end_time),
        total_run_time=duration(progress.total_run_time),
    )


def _render_policy(policy: RetryPolicy) -> retry_pb2.RetryPolicy:
    return retry_pb2.RetryPolicy(
        max_attempts=policy.max_attempts,
        delays=[duration(delay) for delay in policy.delays],
        jitter_factor=policy.jitter_factor,
    )


def _render_inputs(inputs_json: str) -> tuple[list[task_run_pb2.TaskInput], int]:
    """Return a task run's inputs, as many as are listed, and the total number of runs in them."""
    inputs, count = [], 0
    for parameter, ids in json.loads(inputs_json):
        shown = ids[: max(0, _SHOWN_INPUTS - count)]
        if shown or not ids:
            inputs.append(task_run_pb2.TaskInput(parameter=parameter, task_run_ids=shown))
        count += len(ids)
    return inputs, count


def render_limit(limit: LimitRow) -> concurrency_limit_pb2.ConcurrencyLimit:
    """Convert a limit, without its holders and waiters."""
    return concurrency_limit_pb2.ConcurrencyLimit(
        id=limit.id,
        tag=limit.tag,
        limit=limit.slots,
        taken_count=limit.taken,
        waiting_count=limit.waiting,
        create_time=timestamp(limit.created),
        update_time=timestamp(limit.updated),
    )


def render_holder(holder: Holder, moment: Moment) -> concurrency_limit_pb2.SlotHolder:
    """Convert the holder of a slot; the end of its lease is converted to the wall clock of ``moment``."""
    return concurrency_limit_pb2.SlotHolder(
        task_run_id=holder.task_run_id,
        task_run_name=holder.task_run_name,
        flow_run_id=holder.flow_run_id,
        flow_run_name=holder.flow_run_name,
        flow_name=holder.flow_name,
        acquire_time=timestamp(holder.since),
        client_name=holder.client_name or "",
        lease_expire_time=None if holder.expires is None else timestamp(moment.wall_time(holder.expires)),
    )


def render_waiter(waiter: Waiting, position: int) -> concurrency_limit_pb2.SlotWaiter:
    """Convert a waiter for a slot, at ``position`` in its queue."""
    return concurrency_limit_pb2.SlotWaiter(
        task_run_id=waiter.task_run_id,
        task_run_name=waiter.task_run_name,
        flow_run_id=waiter.flow_run_id,
        flow_run_name=waiter.flow_run_name,
        flow_name=waiter.flow_name,
        enqueue_time=timestamp(waiter.since),
        client_name=waiter.client_name or "",
        position=position,
        proposal_id=waiter.proposal_id,
    )
