"""Parsing: converts the protocol's messages to the core's tuples.

A handler gets requests that ``request_validation`` has already checked. The nested messages that are read
here are checked while they are read; ``path`` is the prefix of their fields' names in errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1 import flow_run_pb2, log_pb2, proposal_pb2, retry_pb2, state_pb2, task_run_pb2
from clearway_service.api.consistency import check_initial_state
from clearway_service.api.field_checks import canonical_uuid
from clearway_service.api.request_validation import (
    read_await,
    read_flow_run_spec,
    read_log,
    read_proposal,
    read_proposed_state,
    read_task_input,
    read_task_run_spec,
)
from clearway_service.core.proposals import Proposal
from clearway_service.core.retries import NO_RETRIES, RetryPolicy
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec
from clearway_service.core.states import ProposedState, StateType
from clearway_service.engine.clock import new_id
from clearway_service.store.logs import LogRow

_PENDING = ProposedState(StateType.PENDING)


def microseconds(value: Timestamp | Duration) -> int:
    """Convert a timestamp, since 1970, or a duration to microseconds."""
    return value.seconds * 1_000_000 + value.nanos // 1_000


def uuid_of(value: str) -> str:
    """Return the canonical form of an id from a checked request; empty if unset."""
    return canonical_uuid(value, "") if value else ""


def parse_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return sorted tags without duplicates."""
    return tuple(sorted(set(tags)))


def parse_state(state: state_pb2.ProposedState, path: str = "state.") -> ProposedState:
    """Check and convert a proposed state.

    Raises:
        InvalidArgumentError: It breaks a rule.
    """
    (
        type_,
        name,
        message,
        data,
        scheduled_time,
        cache_key,
        cache_expiration,
        refresh_cache,
        single_flight,
        no_retry,
    ) = read_proposed_state(state, path)
    if type_ == StateType.FAILED and data is not None and data.error.non_retryable:
        # Set here, since the rules never read the data.
        no_retry = True
    return ProposedState(
        type_,
        name,
        message,
        None if data is None else data.SerializeToString(),
        None if scheduled_time is None else microseconds(scheduled_time),
        cache_key,
        None if cache_expiration is None else microseconds(cache_expiration),
        refresh_cache,
        no_retry,
        single_flight,
    )


def parse_initial_state(
    request: flow_run_pb2.CreateFlowRunRequest | task_run_pb2.CreateTaskRunRequest,
) -> ProposedState:
    """Check and convert the initial state of a new run.

    Raises:
        InvalidArgumentError: It breaks a rule.
    """
    if not request.HasField("initial_state"):
        return _PENDING
    state = parse_state(request.initial_state, "initial_state.")
    check_initial_state("initial_state.", state.type)
    return state


def parse_task_run_spec(spec: task_run_pb2.TaskRunSpec, path: str = "task_run.") -> TaskRunSpec:
    """Check and convert a task run's spec, with a generated id and names if the client gave none.

    Raises:
        InvalidArgumentError: It breaks a rule.
    """
    (
        id_,
        flow_run_id,
        task_key,
        dynamic_key,
        task_name,
        name,
        task_version,
        tags,
        retry_policy,
        inputs,
        tracks_subflow,
    ) = read_task_run_spec(spec, path)
    task_name = task_name or task_key
    return TaskRunSpec(
        id_ or new_id(),
        flow_run_id,
        task_key,
        dynamic_key,
        task_name,
        name or f"{task_name}-{dynamic_key}",
        task_version,
        parse_tags(tags) if tags else (),
        NO_RETRIES if retry_policy is None else _parse_policy(retry_policy),
        _parse_inputs(inputs, path) if inputs else "[]",
        tracks_subflow,
    )


def parse_flow_run_spec(spec: flow_run_pb2.FlowRunSpec, path: str = "flow_run.") -> FlowRunSpec:
    """Check and convert a flow run's spec, with a generated id and name if the client gave none.

    Raises:
        InvalidArgumentError: It breaks a rule.
    """
    id_, flow_name, name, version, parameters, tags, retry_policy, parent = read_flow_run_spec(spec, path)
    id_ = id_ or new_id()
    return FlowRunSpec(
        id_,
        flow_name,
        name or f"{flow_name}-{id_[-8:]}",
        version,
        parameters or "{}",
        parse_tags(tags),
        NO_RETRIES if retry_policy is None else _parse_policy(retry_policy),
        parent,
    )


def _parse_policy(policy: retry_pb2.RetryPolicy) -> RetryPolicy:
    delays = tuple(microseconds(delay) for delay in policy.delays)
    return RetryPolicy(policy.max_attempts or 1, delays, policy.jitter_factor)


def _parse_inputs(inputs: Sequence[task_run_pb2.TaskInput], path: str) -> str:
    read = [read_task_input(entry, f"{path}inputs[{index}].") for index, entry in enumerate(inputs)]
    return json.dumps([(parameter, list(ids)) for parameter, ids in read], ensure_ascii=False)


def parse_proposal(proposal: proposal_pb2.Proposal, session_id: str, *, queues: bool) -> Proposal:
    """Check and convert a proposal of a stream.

    Raises:
        InvalidArgumentError: It breaks a rule.
    """
    id_, run, run_id, state, create_task_run = read_proposal(proposal, "")
    proposed = parse_state(state)
    if create_task_run is not None:
        create = parse_task_run_spec(create_task_run, "create_task_run.")
        return Proposal(id_, RunKind.TASK, create.id, proposed, create, session_id, queues)
    kind = RunKind.TASK if run == "task_run_id" else RunKind.FLOW
    return Proposal(id_, kind, run_id, proposed, None, session_id, queues)


def parse_awaits(awaits: Iterable[proposal_pb2.Await]) -> list[tuple[str, str]]:
    """Check and convert awaits to pairs of task run ids: the one that waits, and the one it waits for.

    Raises:
        InvalidArgumentError: One of them breaks a rule.
    """
    pairs = []
    for index, each in enumerate(awaits):
        task_run_id, awaited_task_run_id = read_await(each, f"awaits[{index}].")
        pairs.append((task_run_id, awaited_task_run_id))
    return pairs


def parse_log(line: log_pb2.Log, path: str) -> LogRow:
    """Check and convert a log line of a run.

    Raises:
        InvalidArgumentError: It breaks a rule.
    """
    _id, flow_run_id, task_run_id, logger, level, message, create_time = read_log(line, path)
    logged = None if create_time is None else microseconds(create_time)
    return LogRow(flow_run_id, task_run_id, logger, level, message, logged)
