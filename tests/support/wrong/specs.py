"""Invalid specs of new runs, and invalid log lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.log_pb2 import Log, WriteLogsRequest
from clearway.v1.retry_pb2 import RetryPolicy
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, TaskInput, TaskRunSpec
from support.wrong.cases import (
    UNKNOWN,
    WRONG_DURATIONS,
    WRONG_TIMES,
    Build,
    Case,
    missing,
    said_as,
    too_long,
    wrong,
)


def _flow(field: str) -> Build:
    def build(_: Any, value: Any) -> CreateFlowRunRequest:
        given: dict[str, Any] = {"flow_name": "f", field: value}
        return CreateFlowRunRequest(flow_run=FlowRunSpec(**given))

    return build


def _task(field: str) -> Build:
    def build(world: Any, value: Any) -> CreateTaskRunRequest:
        given: dict[str, Any] = {"task_key": "t", "dynamic_key": "0", field: value}
        return CreateTaskRunRequest(task_run=TaskRunSpec(flow_run_id=world.flow, **given))

    return build


def _line(field: str) -> Build:
    def build(world: Any, value: Any) -> WriteLogsRequest:
        given: dict[str, Any] = {field: value}
        good, bad = Log(flow_run_id=world.flow), Log(flow_run_id=world.flow, **given)
        return WriteLogsRequest(logs=[good, bad])

    return build


def _retrying(make: Callable[[str], Build], field: str) -> Build:
    def build(world: Any, value: Any) -> Message:
        given: dict[str, Any] = {field: value}
        return make("retry_policy")(world, RetryPolicy(**given))

    return build


_BAD_FACTORS = said_as((-0.1, 100.5, float("nan"), float("inf")))
_EMPTY = [("", "not set")]
_BAD_ATTEMPTS = said_as((-1, 10_002, 2**31 - 1))
_NO_OBJECTS = ("[]", "1", "null", "{", "nonsense", '{"a": NaN}', '{"a": -Infinity}', '{"a":' + "[" * 100_000)
_LARGE_OBJECT = '{"a": "' + "é" * 262_144 + '"}'
_BAD_INPUTS = [(TaskInput(), "not set"), (TaskInput(parameter="p" * 256), "256")]
_MANY_INPUTS = [TaskInput(parameter=f"p{number}") for number in range(1_001)]

CASES: list[Case] = [
    *missing("CreateFlowRun", "flow_run", CreateFlowRunRequest()),
    *missing("CreateTaskRun", "task_run", CreateTaskRunRequest()),
    *wrong(
        "CreateFlowRun",
        "flow_run.parameters_json",
        _flow("parameters_json"),
        [*said_as(_NO_OBJECTS, lambda value: value[:40]), (_LARGE_OBJECT, "524297")],
    ),
    *wrong("CreateTaskRun", "task_run.inputs", _task("inputs"), [(_MANY_INPUTS, "1001")]),
    *wrong(
        "CreateTaskRun",
        "task_run.inputs[1].parameter",
        _task("inputs"),
        [([TaskInput(parameter="p"), bad], said) for bad, said in _BAD_INPUTS],
    ),
    *wrong(
        "CreateTaskRun",
        "task_run.inputs.task_run_ids",
        _task("inputs"),
        [([TaskInput(parameter="p", task_run_ids=[UNKNOWN] * 25_001)] * 2, "50002 items")],
    ),
    *wrong("WriteLogs", "logs[1].level", _line("level"), said_as((-1, 101, 2**31 - 1))),
    *wrong("WriteLogs", "logs[1].logger", _line("logger"), too_long(255)),
    *wrong("WriteLogs", "logs[1].message", _line("message"), too_long(65_536)),
    *wrong("WriteLogs", "logs[1].create_time", _line("create_time"), WRONG_TIMES),
    *wrong(
        "WriteLogs",
        "logs",
        lambda world, count: WriteLogsRequest(logs=[Log(flow_run_id=world.flow)] * count),
        said_as((10_001,)),
    ),
]
for _method, _run, _build in (("CreateFlowRun", "flow_run", _flow), ("CreateTaskRun", "task_run", _task)):
    _policy = f"{_run}.retry_policy"
    CASES += wrong(_method, f"{_policy}.max_attempts", _retrying(_build, "max_attempts"), _BAD_ATTEMPTS)
    CASES += wrong(
        _method,
        f"{_policy}.delays[1]",
        _retrying(_build, "delays"),
        [([Duration(), bad], said) for bad, said in WRONG_DURATIONS],
    )
    CASES += wrong(
        _method, f"{_policy}.delays", _retrying(_build, "delays"), [([Duration()] * 51, "51 items")]
    )
    CASES += wrong(_method, f"{_policy}.jitter_factor", _retrying(_build, "jitter_factor"), _BAD_FACTORS)
for _field in ("flow_name", "name", "flow_version"):
    CASES += wrong("CreateFlowRun", f"flow_run.{_field}", _flow(_field), too_long(255))
for _field in ("task_key", "dynamic_key", "task_name", "name", "task_version"):
    CASES += wrong("CreateTaskRun", f"task_run.{_field}", _task(_field), too_long(255))
for _field in ("task_key", "dynamic_key"):
    CASES += wrong("CreateTaskRun", f"task_run.{_field}", _task(_field), [*_EMPTY, ("a\0b", r"'a\x00b'")])
CASES += wrong("CreateFlowRun", "flow_run.flow_name", _flow("flow_name"), _EMPTY)
