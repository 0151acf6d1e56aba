"""Parsing: from the protocol's messages to the core's tuples, checking each field on the way."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NoReturn

from clearway.v1 import flow_run_pb2, proposal_pb2, state_pb2, task_run_pb2
from clearway_service.api import validation as valid
from clearway_service.core.locations import RIGHT, is_digest, is_location_of
from clearway_service.core.proposals import Proposal
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec
from clearway_service.core.states import ProposedState, StateType
from clearway_service.engine.clock import new_id
from clearway_service.errors import InvalidArgumentError

MAX_INLINE = 65_536
MAX_LOCATION = 2_048
MAX_ERROR = 65_536
MAX_ERROR_DEPTH = 16
MAX_ERROR_MESSAGE = 4_096
MAX_ERROR_MEMBERS = 16
MAX_STACK_TRACE = 16_384
MAX_ENCODING = 64
MAX_PARAMETERS = 524_288
MAX_INPUTS = 1_000
MAX_INPUT_RUNS = 50_000
MAX_RETRY_DELAYS = 50
MAX_JITTER_FACTOR = 100
_STATE_TYPES = "one of " + ", ".join(f"STATE_TYPE_{type_.name}" for type_ in StateType)
_KNOWN_TYPES = frozenset(int(type_) for type_ in StateType)
_INITIAL = (StateType.SCHEDULED, StateType.PENDING)


def parse_state(state: state_pb2.State, field: str = "state") -> ProposedState:
    """Return the proposed state."""
    type_: int = state.type
    if type_ not in _KNOWN_TYPES:
        if type_ == 0:
            raise valid.missing(f"{field}.type", _STATE_TYPES)
        raise valid.invalid(f"{field}.type", type_, _STATE_TYPES)
    name = valid.text(f"{field}.name", state.name, valid.MAX_NAME) if state.name else ""
    message = valid.text(f"{field}.message", state.message, valid.MAX_MESSAGE) if state.message else ""
    data = _parse_data(state.data, f"{field}.data") if state.HasField("data") else None
    if not state.HasField("details"):
        if type_ == StateType.SCHEDULED:
            raise valid.missing(f"{field}.details.scheduled_time", "the time from which the run may begin")
        return ProposedState(type_, name, message, data)
    scheduled_time, cache_key, cache_expiration = _parse_details(state, f"{field}.details")
    proposed = ProposedState(type_, name, message, data, scheduled_time, cache_key, cache_expiration)
    details = state.details
    if details.cache_single_flight or details.refresh_cache or details.no_retry:
        return _with_wishes(proposed, details, f"{field}.details")
    return proposed


def _with_wishes(proposed: ProposedState, details: state_pb2.StateDetails, field: str) -> ProposedState:
    keyed = proposed.type == StateType.RUNNING and proposed.cache_key
    for name in ("cache_single_flight", "refresh_cache"):
        if getattr(details, name) and not keyed:
            raise valid.invalid(f"{field}.{name}", value=True, right="set with RUNNING and a cache_key only")
    if details.no_retry and proposed.type != StateType.FAILED:
        raise valid.invalid(f"{field}.no_retry", value=True, right="set with FAILED only")
    return proposed._replace(
        single_flight=details.cache_single_flight,
        refresh_cache=details.refresh_cache,
        no_retry=details.no_retry,
    )


def _parse_details(state: state_pb2.State, field: str) -> tuple[int | None, str, int | None]:
    details = state.details
    scheduled_time = cache_expiration = None
    if details.HasField("scheduled_time"):
        if int(state.type) != StateType.SCHEDULED:
            raise InvalidArgumentError(
                f"{field}.scheduled_time is set for {StateType(state.type).name}; only SCHEDULED has one",
                f"{field}.scheduled_time",
            )
        scheduled_time = valid.timestamp(f"{field}.scheduled_time", details.scheduled_time)
    elif int(state.type) == StateType.SCHEDULED:
        raise valid.missing(f"{field}.scheduled_time", "the time from which the run may begin")
    cache_key = valid.key(f"{field}.cache_key", details.cache_key, valid.MAX_CACHE_KEY)
    if details.HasField("cache_expiration"):
        if not cache_key:
            raise valid.missing(f"{field}.cache_key", "set where cache_expiration is")
        cache_expiration = valid.duration(f"{field}.cache_expiration", details.cache_expiration)
        if cache_expiration == 0:
            raise valid.invalid(f"{field}.cache_expiration", "0 s", "above 0, or unset for no end")
    return scheduled_time, cache_key, cache_expiration


def _parse_data(data: state_pb2.Data, field: str) -> bytes:
    body = data.WhichOneof("body")
    if data.HasField("error"):
        _check_error(data.error, f"{field}.error")
    elif body is None and data.encoding:
        raise valid.missing(f"{field}.body", "`inline` bytes or a `location`")
    if body is not None or not data.HasField("error"):
        valid.required_text(f"{field}.encoding", data.encoding, MAX_ENCODING)
    if body == "inline":
        if len(data.inline) > MAX_INLINE:
            raise InvalidArgumentError(
                f"{field}.inline has {len(data.inline)} bytes; it must have at most {MAX_INLINE}",
                f"{field}.inline",
            )
    elif body == "location":
        _check_location(data, field)
    if data.size < 0:
        raise valid.invalid(f"{field}.size", data.size, "0 or more")
    if data.sha256 and not is_digest(data.sha256):
        raise valid.invalid(f"{field}.sha256", data.sha256, "64 lower-case hexadecimal digits, or empty")
    valid.text(f"{field}.compression", data.compression, MAX_ENCODING)
    if data.signature and not is_digest(data.signature):
        raise valid.invalid(
            f"{field}.signature", data.signature, "64 lower-case hexadecimal digits, or empty"
        )
    return data.SerializeToString()


def _check_location(data: state_pb2.Data, field: str) -> None:
    """Refuse a location that is not the place of the result's SHA-256, so that none is ever stored."""
    location = valid.required_text(f"{field}.location", data.location, MAX_LOCATION)
    if not data.sha256:
        raise valid.missing(f"{field}.sha256", "64 lower-case hexadecimal digits where location is set")
    if is_digest(data.sha256) and not is_location_of(location, data.sha256):
        raise valid.invalid(f"{field}.location", location, RIGHT)


def _check_error(error: state_pb2.RunError, field: str) -> None:
    if (size := error.ByteSize()) > MAX_ERROR:
        raise InvalidArgumentError(f"{field} has {size} bytes; it must have at most {MAX_ERROR}", field)
    todo = [(error, field, 1)]
    while todo:
        each, name, depth = todo.pop()
        if depth > MAX_ERROR_DEPTH:
            raise InvalidArgumentError(f"{field} is more than {MAX_ERROR_DEPTH} deep", field)
        valid.required_text(f"{name}.type", each.type, valid.MAX_NAME)
        valid.text(f"{name}.message", each.message, MAX_ERROR_MESSAGE)
        valid.text(f"{name}.stack_trace", each.stack_trace, MAX_STACK_TRACE)
        valid.items(f"{name}.members", len(each.members), MAX_ERROR_MEMBERS)
        if each.HasField("cause"):
            todo.append((each.cause, f"{name}.cause", depth + 1))
        todo += [(member, f"{name}.members", depth + 1) for member in each.members]


def parse_initial_state(state: state_pb2.State, field: str = "initial_state") -> ProposedState:
    """Return the state that a new run begins in; an unset one is Pending."""
    if state == state_pb2.State():
        return ProposedState(StateType.PENDING)
    parsed = parse_state(state, field)
    if parsed.type not in _INITIAL:
        raise valid.invalid(
            f"{field}.type", StateType(parsed.type).name, "SCHEDULED or PENDING; propose the next state then"
        )
    return parsed


def parse_task_run_spec(spec: task_run_pb2.TaskRunSpec, field: str = "task_run") -> TaskRunSpec:
    """Return what was said of a task run."""
    task_key = valid.required_key(f"{field}.task_key", spec.task_key, valid.MAX_NAME)
    dynamic_key = valid.required_key(f"{field}.dynamic_key", spec.dynamic_key, valid.MAX_NAME)
    name = valid.text(f"{field}.name", spec.name, valid.MAX_NAME)
    return TaskRunSpec(
        id=valid.optional_id(f"{field}.id", spec.id) or new_id(),
        flow_run_id=valid.required_id(f"{field}.flow_run_id", spec.flow_run_id),
        task_key=task_key,
        dynamic_key=dynamic_key,
        name=name or f"{task_key}-{dynamic_key}",
        task_version=valid.text(f"{field}.task_version", spec.task_version, valid.MAX_NAME),
        tags=valid.tags(f"{field}.tags", spec.tags) if spec.tags else (),
        retries=valid.number(f"{field}.retries", spec.retries, 0, valid.MAX_RETRIES),
        retry_delays=_parse_delays(spec, f"{field}.retry_delays") if spec.retry_delays else (),
        retry_jitter_factor=_parse_jitter(spec.retry_jitter_factor, f"{field}.retry_jitter_factor"),
        inputs_json=_parse_inputs(spec, f"{field}.inputs") if spec.inputs else "[]",
        tracks_subflow=spec.tracks_subflow,
    )


def _parse_delays(spec: task_run_pb2.TaskRunSpec, field: str) -> tuple[int, ...]:
    valid.items(field, len(spec.retry_delays), MAX_RETRY_DELAYS)
    return tuple(valid.duration(field, delay) for delay in spec.retry_delays)


def _parse_jitter(factor: float, field: str) -> float:
    if not 0 <= factor <= MAX_JITTER_FACTOR:  # NaN is not, either
        raise valid.invalid(field, factor, f"from 0 to {MAX_JITTER_FACTOR}")
    return factor


def _parse_inputs(spec: task_run_pb2.TaskRunSpec, field: str) -> str:
    valid.items(field, len(spec.inputs), MAX_INPUTS)
    valid.items(
        f"{field}.task_run_ids", sum(len(entry.task_run_ids) for entry in spec.inputs), MAX_INPUT_RUNS
    )
    return json.dumps(
        [
            (
                valid.required_text(f"{field}.parameter", entry.parameter, valid.MAX_NAME),
                [valid.required_id(f"{field}.task_run_ids", id_) for id_ in entry.task_run_ids],
            )
            for entry in spec.inputs
        ],
        ensure_ascii=False,
    )


def parse_flow_run_spec(spec: flow_run_pb2.FlowRunSpec, field: str = "flow_run") -> FlowRunSpec:
    """Return what was said of a flow run."""
    id_ = valid.optional_id(f"{field}.id", spec.id) or new_id()
    flow_name = valid.required_text(f"{field}.flow_name", spec.flow_name, valid.MAX_NAME)
    return FlowRunSpec(
        id=id_,
        name=valid.text(f"{field}.name", spec.name, valid.MAX_NAME) or f"{flow_name}-{id_[-8:]}",
        flow_name=flow_name,
        flow_version=valid.text(f"{field}.flow_version", spec.flow_version, valid.MAX_NAME),
        parameters_json=_parse_parameters(spec.parameters_json, f"{field}.parameters_json"),
        tags=valid.tags(f"{field}.tags", spec.tags),
        retries=valid.number(f"{field}.retries", spec.retries, 0, valid.MAX_RETRIES),
        retry_delay=valid.duration(f"{field}.retry_delay", spec.retry_delay),
        parent_task_run_id=valid.optional_id(f"{field}.parent_task_run_id", spec.parent_task_run_id),
    )


def _parse_parameters(value: str, field: str) -> str:
    if not value:
        return "{}"
    if len(value.encode()) > MAX_PARAMETERS:
        raise InvalidArgumentError(
            f"{field} has {len(value.encode())} bytes; it must have at most {MAX_PARAMETERS}", field
        )
    try:
        parsed = json.loads(value, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise valid.invalid(field, value, "a JSON object") from None
    if not isinstance(parsed, dict):
        raise valid.invalid(field, value, "a JSON object")
    return value


def _no_json(constant: str) -> NoReturn:
    """Refuse what Python's parser takes and JSON does not have: NaN and the infinities."""
    raise ValueError(constant)


def parse_proposal(proposal: proposal_pb2.Proposal, session_id: str, *, queues: bool) -> Proposal:
    """Return a proposal of the stream."""
    id_ = valid.required_id("id", proposal.id)
    if not proposal.HasField("state"):
        raise valid.missing("state", "the proposed state")
    state = parse_state(proposal.state)
    run = proposal.WhichOneof("run")
    if proposal.HasField("create_task_run"):
        if run is not None:
            raise InvalidArgumentError(
                f"{run} and create_task_run are both set; set the one that is meant", "create_task_run"
            )
        create = parse_task_run_spec(proposal.create_task_run, "create_task_run")
        return Proposal(id_, RunKind.TASK, create.id, state, create, session_id, queues)
    if run == "task_run_id":
        run_id = valid.required_id("task_run_id", proposal.task_run_id)
        return Proposal(id_, RunKind.TASK, run_id, state, None, session_id, queues)
    if run == "flow_run_id":
        run_id = valid.required_id("flow_run_id", proposal.flow_run_id)
        return Proposal(id_, RunKind.FLOW, run_id, state, None, session_id, queues)
    raise valid.missing("run", "`flow_run_id`, `task_run_id`, or else `create_task_run`")


def parse_awaits(awaits: Iterable[proposal_pb2.Await]) -> list[tuple[str, str]]:
    """Return pairs of task runs, the first of which waits for the second."""
    return [
        (
            valid.required_id("awaits.task_run_id", each.task_run_id),
            valid.optional_id("awaits.awaited_task_run_id", each.awaited_task_run_id),
        )
        for each in awaits
    ]
