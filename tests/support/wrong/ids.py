"""Invalid ids, for every field that takes one."""

from __future__ import annotations

from grpc import StatusCode

from clearway.v1.concurrency_limit_pb2 import GetConcurrencyLimitRequest
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest
from clearway.v1.flow_run_pb2 import (
    CreateFlowRunRequest,
    FlowRunSpec,
    GetFlowRunRequest,
    ListFlowRunStatesRequest,
)
from clearway.v1.log_pb2 import ListLogsRequest, Log, WriteLogsRequest
from clearway.v1.proposal_pb2 import SetFlowRunStateRequest, SetTaskRunStateRequest
from clearway.v1.session_pb2 import CloseSessionRequest, KeepAliveRequest, OpenSessionRequest
from clearway.v1.task_run_pb2 import (
    CreateTaskRunRequest,
    GetTaskRunRequest,
    ListTaskRunsRequest,
    ListTaskRunStatesRequest,
    TaskInput,
    TaskRunFilter,
    TaskRunSpec,
)
from support.proposals import RUNNING, new_id
from support.wrong.cases import UNKNOWN, WRONG_IDS, Build, Case, World, missing, not_found, too_long, wrong


def _new_task(world: World, **more: str | list[TaskInput]) -> CreateTaskRunRequest:
    spec = TaskRunSpec(flow_run_id=world.flow, task_key="t", dynamic_key="0")
    spec.MergeFrom(TaskRunSpec(**more))  # type: ignore[arg-type] # any of its fields
    return CreateTaskRunRequest(task_run=spec)


_REQUIRED: list[tuple[str, str, Build]] = [
    ("GetFlowRun", "id", lambda _, id_: GetFlowRunRequest(id=id_)),
    ("ListFlowRunStates", "flow_run_id", lambda _, id_: ListFlowRunStatesRequest(flow_run_id=id_)),
    ("GetTaskRun", "id", lambda _, id_: GetTaskRunRequest(id=id_)),
    ("ListTaskRunStates", "task_run_id", lambda _, id_: ListTaskRunStatesRequest(task_run_id=id_)),
    ("ExplainTaskRun", "id", lambda _, id_: ExplainTaskRunRequest(id=id_)),
    ("GetConcurrencyLimit", "id", lambda _, id_: GetConcurrencyLimitRequest(id=id_)),
    (
        "SetFlowRunState",
        "flow_run_id",
        lambda _, id_: SetFlowRunStateRequest(flow_run_id=id_, state=RUNNING),
    ),
    (
        "SetTaskRunState",
        "task_run_id",
        lambda _, id_: SetTaskRunStateRequest(task_run_id=id_, state=RUNNING),
    ),
    (
        "CreateTaskRun",
        "task_run.flow_run_id",
        lambda _, id_: CreateTaskRunRequest(
            task_run=TaskRunSpec(flow_run_id=id_, task_key="t", dynamic_key="0")
        ),
    ),
]
_OPTIONAL: list[tuple[str, str, Build]] = [
    (
        "CreateFlowRun",
        "flow_run.id",
        lambda _, id_: CreateFlowRunRequest(flow_run=FlowRunSpec(id=id_, flow_name="f")),
    ),
    (
        "CreateFlowRun",
        "flow_run.parent_task_run_id",
        lambda _, id_: CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f", parent_task_run_id=id_)),
    ),
    ("CreateTaskRun", "task_run.id", lambda world, id_: _new_task(world, id=id_)),
    (
        "CreateTaskRun",
        "task_run.inputs[0].task_run_ids[1]",
        lambda world, id_: _new_task(world, inputs=[TaskInput(parameter="x", task_run_ids=[new_id(), id_])]),
    ),
    (
        "SetFlowRunState",
        "proposal_id",
        lambda world, id_: SetFlowRunStateRequest(proposal_id=id_, flow_run_id=world.flow, state=RUNNING),
    ),
    (
        "SetTaskRunState",
        "proposal_id",
        lambda world, id_: SetTaskRunStateRequest(proposal_id=id_, task_run_id=world.task, state=RUNNING),
    ),
    (
        "ListTaskRuns",
        "filter.flow_run_id",
        lambda _, id_: ListTaskRunsRequest(filter=TaskRunFilter(flow_run_id=id_)),
    ),
    ("ListLogs", "flow_run_id", lambda _, id_: ListLogsRequest(flow_run_id=id_)),
    ("ListLogs", "task_run_id", lambda _, id_: ListLogsRequest(task_run_id=id_)),
    (
        "WriteLogs",
        "logs[1].task_run_id",
        lambda world, id_: WriteLogsRequest(
            logs=[Log(flow_run_id=world.flow), Log(flow_run_id=world.flow, task_run_id=id_)]
        ),
    ),
    (
        "WriteLogs",
        "logs[1].flow_run_id",
        lambda world, id_: WriteLogsRequest(logs=[Log(flow_run_id=world.flow), Log(flow_run_id=id_)]),
    ),
]
_SESSIONS: list[tuple[str, Build]] = [
    ("KeepAlive", lambda _, id_: KeepAliveRequest(session_id=id_)),
    ("CloseSession", lambda _, id_: CloseSessionRequest(session_id=id_)),
    (
        "SetTaskRunState",
        lambda world, id_: SetTaskRunStateRequest(task_run_id=world.task, state=RUNNING, session_id=id_),
    ),
    (
        "SetFlowRunState",
        lambda world, id_: SetFlowRunStateRequest(flow_run_id=world.flow, state=RUNNING, session_id=id_),
    ),
]

CASES: list[Case] = []
for _method, _field, _build in _REQUIRED:
    CASES += wrong(_method, _field, _build, [*WRONG_IDS, ("", "not set")])
    CASES += not_found(_method, _field, _build)
for _method, _field, _build in _OPTIONAL:
    CASES += wrong(_method, _field, _build, WRONG_IDS)
CASES += not_found("CreateFlowRun", "flow_run.parent_task_run_id", _OPTIONAL[1][2])
CASES += missing("WriteLogs", "logs[0].flow_run_id", WriteLogsRequest(logs=[Log()]))

for _method, _build in _SESSIONS:
    CASES += wrong(_method, "session_id", _build, WRONG_IDS)
    if _method != "CloseSession":
        CASES += [
            case._replace(code=StatusCode.FAILED_PRECONDITION, reason="ERROR_REASON_SESSION_EXPIRED")
            for case in wrong(_method, "session_id", _build, [(UNKNOWN, UNKNOWN)])
        ]
CASES += missing("KeepAlive", "session_id", KeepAliveRequest())
CASES += missing("CloseSession", "session_id", CloseSessionRequest())
CASES += wrong(
    "OpenSession", "client_name", lambda _, text: OpenSessionRequest(client_name=text), too_long(255)
)
CASES += wrong("OpenSession", "language", lambda _, text: OpenSessionRequest(language=text), too_long(64))
CASES += wrong("OpenSession", "version", lambda _, text: OpenSessionRequest(version=text), too_long(64))
