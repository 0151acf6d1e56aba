"""Invalid states, both proposed and initial ones."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.proposal_pb2 import SetFlowRunStateRequest, SetTaskRunStateRequest
from clearway.v1.state_pb2 import (
    STATE_TYPE_PENDING,
    STATE_TYPE_RUNNING,
    STATE_TYPE_SCHEDULED,
    Data,
    ProposedState,
    RunError,
)
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, TaskRunSpec
from support.proposals import COMPLETED, PENDING, RUNNING
from support.wrong.cases import BAD_TIMES, WRONG_DURATIONS, Build, Case, say_time, wrong

DIGEST = "ab" * 32
TAIL = f"ab/{DIGEST}"


def _state(type_: Any = STATE_TYPE_PENDING, **more: Any) -> ProposedState:
    return ProposedState(type=type_, **more)


def _carrying(**data: Any) -> ProposedState:
    return _state(data=Data(**({"encoding": "json", "inline": b"1"} | data)))


def _located(location: str, **more: Any) -> ProposedState:
    return _state(data=Data(**({"encoding": "json", "location": location, "sha256": DIGEST} | more)))


def _failing(**error: Any) -> ProposedState:
    return _state(data=Data(error=RunError(type="E", **error)))


def _deep(depth: int) -> RunError:
    return RunError(type="E", cause=_deep(depth - 1) if depth > 1 else None)


WRONG_STATES: list[tuple[ProposedState, str, str]] = [
    (ProposedState(name="Odd"), "type", "not set"),
    (_state(99), "type", "99"),
    (_state(-1), "type", "-1"),
    (_state(name="n" * 256), "name", "256"),
    (_state(message="m" * 16_385), "message", "16385"),
    (_state(STATE_TYPE_SCHEDULED), "scheduled_time", "not set"),
    (_state(STATE_TYPE_SCHEDULED, cache_key="k"), "scheduled_time", "not set"),
    (_state(scheduled_time=Timestamp(seconds=1)), "scheduled_time", "PENDING"),
    (_state(cache_key="k" * 1_025), "cache_key", "1025"),
    (_state(cache_key="k\0"), "cache_key", r"'k\x00'"),
    (_state(cache_expiration=Duration(seconds=1)), "cache_key", "not set"),
    (_state(cache_key="k", cache_expiration=Duration()), "cache_expiration", "0 s"),
    (_state(cache_key="k", cache_expiration=Duration(nanos=1)), "cache_expiration", "0 s"),
    (_state(STATE_TYPE_RUNNING, refresh_cache=True), "refresh_cache", "a cache_key only"),
    (_state(cache_key="k", refresh_cache=True), "refresh_cache", "RUNNING"),
    (_state(no_retry=True), "no_retry", "FAILED only"),
    (_carrying(encoding=""), "data.encoding", "not set"),
    (_carrying(encoding="e" * 65), "data.encoding", "65"),
    (_state(data=Data(encoding="json")), "data.body", "not set"),
    (_carrying(inline=b"x" * 65_537), "data.inline", "65537"),
    (_state(data=Data(encoding="json", location="")), "data.location", "not set"),
    (_state(data=Data(encoding="json", location="l" * 2_049)), "data.location", "2049"),
    (_located(f"/srv/{TAIL}", sha256=""), "data.sha256", "not set"),
    (_located(f"/srv/{TAIL}", sha256="abc"), "data.sha256", "'abc'"),
    (_located("/home/me/.ssh/id_rsa"), "data.location", "id_rsa"),
    (_located("https://example.com/delete"), "data.location", "https://example.com/delete"),
    (_located("service:///home/me/.clearway/clearway.db"), "data.location", "clearway.db"),
    (_located("service://../../clearway.db"), "data.location", "../../clearway.db"),
    (_located(f"service://./{DIGEST}"), "data.location", "service://./"),
    (_located(f"/srv/../etc/{TAIL}"), "data.location", "/srv/../etc"),
    (_located(f"/srv\n/{TAIL}"), "data.location", r"/srv\n/"),
    (_located(f"/srv/{'f' * 2_048}/{TAIL}"), "data.location", "at most 2048"),
    (_carrying(error=RunError()), "data.error.type", "not set"),
    (_state(data=Data(error=RunError(type="t" * 256))), "data.error.type", "256"),
    (_failing(message="m" * 4_097), "data.error.message", "4097"),
    (_failing(stack_trace="s" * 16_385), "data.error.stack_trace", "16385"),
    (_failing(cause=RunError()), "data.error.cause.type", "not set"),
    (_failing(members=[RunError(type="E"), RunError()]), "data.error.members[1].type", "not set"),
    (_carrying(compression="c" * 65), "data.compression", "65"),
    (_carrying(signature="Z" * 64), "data.signature", "ZZZ"),
    (_failing(members=[RunError(type="E")] * 17), "data.error.members", "17"),
    (_failing(members=[RunError(type="E", stack_trace="s" * 16_384)] * 5), "data.error", "at most 65536"),
    (_failing(cause=_deep(16)), "data.error", "16 deep"),
    (_carrying(encoding="", error=RunError(type="E")), "data.encoding", "not set"),
    (_carrying(size_bytes=-1), "data.size_bytes", "-1"),
    (_carrying(sha256="abc"), "data.sha256", "'abc'"),
    (_carrying(sha256="Z" * 64), "data.sha256", "ZZZ"),
]
WRONG_STATES += [
    (_state(STATE_TYPE_SCHEDULED, scheduled_time=time), "scheduled_time", say_time(time))
    for time in BAD_TIMES
]
WRONG_STATES += [
    (_state(cache_key="k", cache_expiration=span), "cache_expiration", said) for span, said in WRONG_DURATIONS
]

_PROPOSED: list[tuple[str, Build]] = [
    ("SetFlowRunState", lambda world, state: SetFlowRunStateRequest(flow_run_id=world.flow, state=state)),
    ("SetTaskRunState", lambda world, state: SetTaskRunStateRequest(task_run_id=world.task, state=state)),
]
_INITIAL: list[tuple[str, Build]] = [
    (
        "CreateFlowRun",
        lambda _, state: CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f"), initial_state=state),
    ),
    (
        "CreateTaskRun",
        lambda world, state: CreateTaskRunRequest(
            task_run=TaskRunSpec(flow_run_id=world.flow, task_key="t", dynamic_key="0"), initial_state=state
        ),
    ),
]

CASES: list[Case] = []
for _state_, _field, _said in WRONG_STATES:
    for _method, _build in _PROPOSED:
        CASES += wrong(_method, f"state.{_field}", _build, [(_state_, _said)])
    for _method, _build in _INITIAL:
        CASES += wrong(_method, f"initial_state.{_field}", _build, [(_state_, _said)])
for _method, _build in _INITIAL:
    CASES += wrong(_method, "initial_state.type", _build, [(RUNNING, "RUNNING"), (COMPLETED, "COMPLETED")])
for _method, _build in _PROPOSED:
    CASES += wrong(_method, "state", _build, [(None, "not set")])
CASES += wrong(
    "SetTaskRunState",
    "wait_timeout",
    lambda world, wait: SetTaskRunStateRequest(task_run_id=world.task, state=PENDING, wait_timeout=wait),
    [*WRONG_DURATIONS, (Duration(seconds=3_601), "3601")],
)
