"""Wrong input to each RPC: a clear status with details, and nothing is changed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import NamedTuple

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from clearway.v1.cache_pb2 import LookupCacheRequest
from clearway.v1.concurrency_limit_pb2 import (
    CreateConcurrencyLimitRequest,
    DeleteConcurrencyLimitByTagRequest,
    GetConcurrencyLimitByTagRequest,
    GetConcurrencyLimitRequest,
    ListConcurrencyLimitsRequest,
    ResetConcurrencyLimitByTagRequest,
)
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest
from clearway.v1.flow_run_pb2 import (
    CreateFlowRunRequest,
    FlowRunFilter,
    FlowRunSpec,
    GetFlowRunRequest,
    ListFlowRunsRequest,
    ListFlowRunStatesRequest,
)
from clearway.v1.log_pb2 import ListLogsRequest, Log, WriteLogsRequest
from clearway.v1.orchestrator_pb2 import DESCRIPTOR
from clearway.v1.proposal_pb2 import SetFlowRunStateRequest, SetTaskRunStateRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.session_pb2 import CloseSessionRequest, KeepAliveRequest, OpenSessionRequest
from clearway.v1.state_pb2 import STATE_TYPE_PENDING, STATE_TYPE_SCHEDULED, Data, State, StateDetails
from clearway.v1.task_run_pb2 import (
    CreateTaskRunRequest,
    GetTaskRunRequest,
    ListTaskRunsRequest,
    ListTaskRunStatesRequest,
    TaskInput,
    TaskRunFilter,
    TaskRunSpec,
)
from support.client import Client
from support.database import contents
from support.proposals import COMPLETED, PENDING, RUNNING, create_flow, create_task, new_id, with_key
from support.server import Server

UNKNOWN = "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e"
BAD_IDS = ("42", "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4", "not-an-id", "\0")
BAD_TAGS = ("", " ", "a\nb", "a\0b", "t" * 256)
BAD_TOKENS = ("?", "é", base64.urlsafe_b64encode(b"\xff\xfe").decode())
BAD_NUMBER_TOKENS = (
    *BAD_TOKENS,
    base64.urlsafe_b64encode(b"x").decode(),
    base64.urlsafe_b64encode(b"-1").decode(),
    base64.urlsafe_b64encode(b"9" * 30).decode(),
    base64.urlsafe_b64encode(b"9" * 5000).decode(),
    base64.urlsafe_b64encode("١".encode()).decode(),
)
BAD_TIMES = (
    Timestamp(seconds=-1),
    Timestamp(seconds=253_402_300_800),
    Timestamp(nanos=-1),
    Timestamp(nanos=1_000_000_000),
)
BAD_DURATIONS = (
    Duration(seconds=-1),
    Duration(nanos=-1),
    Duration(seconds=1, nanos=-1),
    Duration(nanos=1_000_000_000),
    Duration(seconds=315_360_001),
    Duration(seconds=2**62),
)


class World(NamedTuple):
    """What there is before: a flow run and a task run."""

    flow: str
    task: str


Build = Callable[[World], Message]


class Case(NamedTuple):
    """A wrong request, and what is to be said about it.

    Attributes:
        method: The RPC.
        build: Makes the request.
        field: What the details name.
        said: What the message has in it.
        code: The status.
        reason: That of the details.
    """

    method: str
    build: Build
    field: str
    said: str
    code: StatusCode = StatusCode.INVALID_ARGUMENT
    reason: str = "INVALID_ARGUMENT"


CASES: list[Case] = []


def wrong(method: str, build: Build, field: str, said: str) -> None:
    CASES.append(Case(method, build, field, said))


def unknown(
    method: str, build: Build, field: str, said: str = UNKNOWN, reason: str = "RUN_NOT_FOUND"
) -> None:
    CASES.append(Case(method, build, field, said, StatusCode.NOT_FOUND, reason))


def short(value: str) -> str:
    return repr(value)[:60].strip("'")


# Ids, wherever one is asked for.
IDS: list[tuple[str, Callable[[World, str], Message], str]] = [
    ("GetFlowRun", lambda _, id_: GetFlowRunRequest(id=id_), "id"),
    ("ListFlowRunStates", lambda _, id_: ListFlowRunStatesRequest(flow_run_id=id_), "flow_run_id"),
    ("GetTaskRun", lambda _, id_: GetTaskRunRequest(id=id_), "id"),
    ("ListTaskRunStates", lambda _, id_: ListTaskRunStatesRequest(task_run_id=id_), "task_run_id"),
    ("ExplainTaskRun", lambda _, id_: ExplainTaskRunRequest(id=id_), "id"),
    (
        "SetFlowRunState",
        lambda _, id_: SetFlowRunStateRequest(flow_run_id=id_, state=RUNNING),
        "flow_run_id",
    ),
    (
        "SetTaskRunState",
        lambda _, id_: SetTaskRunStateRequest(task_run_id=id_, state=RUNNING),
        "task_run_id",
    ),
    (
        "CreateTaskRun",
        lambda _, id_: CreateTaskRunRequest(
            task_run=TaskRunSpec(flow_run_id=id_, task_key="t", dynamic_key="0")
        ),
        "task_run.flow_run_id",
    ),
]
for method_, build_, field_ in IDS:
    for bad in BAD_IDS:
        wrong(method_, lambda world, build=build_, bad=bad: build(world, bad), field_, repr(bad))
    wrong(method_, lambda world, build=build_: build(world, ""), field_, "not set")
    unknown(method_, lambda world, build=build_: build(world, UNKNOWN), field_)

# Ids that may be left out.
OPTIONAL_IDS: list[tuple[str, Callable[[World, str], Message], str]] = [
    (
        "CreateFlowRun",
        lambda _, id_: CreateFlowRunRequest(flow_run=FlowRunSpec(id=id_, flow_name="f")),
        "flow_run.id",
    ),
    (
        "CreateFlowRun",
        lambda _, id_: CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f", parent_task_run_id=id_)),
        "flow_run.parent_task_run_id",
    ),
    (
        "CreateTaskRun",
        lambda world, id_: CreateTaskRunRequest(
            task_run=TaskRunSpec(id=id_, flow_run_id=world.flow, task_key="t", dynamic_key="0")
        ),
        "task_run.id",
    ),
    (
        "CreateTaskRun",
        lambda world, id_: CreateTaskRunRequest(
            task_run=TaskRunSpec(
                flow_run_id=world.flow,
                task_key="t",
                dynamic_key="0",
                inputs=[TaskInput(parameter="x", task_run_ids=[new_id(), id_])],
            )
        ),
        "task_run.inputs.task_run_ids",
    ),
    (
        "SetFlowRunState",
        lambda world, id_: SetFlowRunStateRequest(proposal_id=id_, flow_run_id=world.flow, state=RUNNING),
        "proposal_id",
    ),
    (
        "SetTaskRunState",
        lambda world, id_: SetTaskRunStateRequest(proposal_id=id_, task_run_id=world.task, state=RUNNING),
        "proposal_id",
    ),
    (
        "ListTaskRuns",
        lambda _, id_: ListTaskRunsRequest(filter=TaskRunFilter(flow_run_id=id_)),
        "filter.flow_run_id",
    ),
    ("ListLogs", lambda _, id_: ListLogsRequest(flow_run_id=id_), "flow_run_id"),
    ("ListLogs", lambda _, id_: ListLogsRequest(task_run_id=id_), "task_run_id"),
    (
        "WriteLogs",
        lambda world, id_: WriteLogsRequest(
            logs=[Log(flow_run_id=world.flow), Log(flow_run_id=world.flow, task_run_id=id_)]
        ),
        "logs[1].task_run_id",
    ),
    (
        "WriteLogs",
        lambda world, id_: WriteLogsRequest(logs=[Log(flow_run_id=world.flow), Log(flow_run_id=id_)]),
        "logs[1].flow_run_id",
    ),
    ("GetConcurrencyLimit", lambda _, id_: GetConcurrencyLimitRequest(id=id_), "id"),
]
for method_, build_, field_ in OPTIONAL_IDS:
    for bad in BAD_IDS:
        wrong(method_, lambda world, build=build_, bad=bad: build(world, bad), field_, repr(bad))
unknown(
    "CreateFlowRun",
    lambda _: CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f", parent_task_run_id=UNKNOWN)),
    "flow_run.parent_task_run_id",
)
unknown(
    "GetConcurrencyLimit",
    lambda _: GetConcurrencyLimitRequest(id=UNKNOWN),
    "id",
    reason="LIMIT_NOT_FOUND",
)
wrong("GetConcurrencyLimit", lambda _: GetConcurrencyLimitRequest(), "id", "not set")
wrong("WriteLogs", lambda _: WriteLogsRequest(logs=[Log()]), "logs[0].flow_run_id", "not set")

# Sessions.
wrong("OpenSession", lambda _: OpenSessionRequest(client_name="n" * 256), "client_name", "256")
wrong("OpenSession", lambda _: OpenSessionRequest(language="l" * 65), "language", "65")
wrong("OpenSession", lambda _: OpenSessionRequest(version="v" * 65), "version", "65")
SESSIONS: list[tuple[str, Callable[[World, str], Message]]] = [
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
for method_, build_ in SESSIONS:
    for bad in BAD_IDS:
        wrong(method_, lambda world, build=build_, bad=bad: build(world, bad), "session_id", repr(bad))
    if method_ in ("KeepAlive", "CloseSession"):
        wrong(method_, lambda world, build=build_: build(world, ""), "session_id", "not set")
    if method_ != "CloseSession":
        ended = Case(
            method_,
            lambda world, build=build_: build(world, UNKNOWN),
            "session_id",
            UNKNOWN,
            StatusCode.FAILED_PRECONDITION,
            "SESSION_EXPIRED",
        )
        CASES.append(ended)

# Tags.
TAGGED: list[tuple[str, Callable[[World, str], Message], str]] = [
    ("CreateConcurrencyLimit", lambda _, tag: CreateConcurrencyLimitRequest(tag=tag, limit=1), "tag"),
    ("GetConcurrencyLimitByTag", lambda _, tag: GetConcurrencyLimitByTagRequest(tag=tag), "tag"),
    ("DeleteConcurrencyLimitByTag", lambda _, tag: DeleteConcurrencyLimitByTagRequest(tag=tag), "tag"),
    ("ResetConcurrencyLimitByTag", lambda _, tag: ResetConcurrencyLimitByTagRequest(tag=tag), "tag"),
    (
        "CreateFlowRun",
        lambda _, tag: CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f", tags=["good", tag])),
        "flow_run.tags",
    ),
    (
        "CreateTaskRun",
        lambda world, tag: CreateTaskRunRequest(
            task_run=TaskRunSpec(flow_run_id=world.flow, task_key="t", dynamic_key="0", tags=["good", tag])
        ),
        "task_run.tags",
    ),
    (
        "ListFlowRuns",
        lambda _, tag: ListFlowRunsRequest(filter=FlowRunFilter(tags=["good", tag])),
        "filter.tags",
    ),
    (
        "ListTaskRuns",
        lambda _, tag: ListTaskRunsRequest(filter=TaskRunFilter(tags=["good", tag])),
        "filter.tags",
    ),
]
TAG_SAID = {"": "not set", "t" * 256: "256 characters"}
for method_, build_, field_ in TAGGED:
    for bad in BAD_TAGS:
        said_ = TAG_SAID.get(bad, repr(bad))
        wrong(method_, lambda world, build=build_, bad=bad: build(world, bad), field_, said_)
for method_, request_ in (
    ("GetConcurrencyLimitByTag", GetConcurrencyLimitByTagRequest(tag="nobody")),
    ("DeleteConcurrencyLimitByTag", DeleteConcurrencyLimitByTagRequest(tag="nobody")),
    ("ResetConcurrencyLimitByTag", ResetConcurrencyLimitByTagRequest(tag="nobody")),
):
    unknown(method_, lambda _, request=request_: request, "tag", "'nobody'", "LIMIT_NOT_FOUND")
MANY = [f"tag-{number}" for number in range(65)]
wrong(
    "CreateFlowRun",
    lambda _: CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f", tags=MANY)),
    "flow_run.tags",
    "65",
)
wrong(
    "CreateTaskRun",
    lambda world: CreateTaskRunRequest(
        task_run=TaskRunSpec(flow_run_id=world.flow, task_key="t", dynamic_key="0", tags=MANY)
    ),
    "task_run.tags",
    "65",
)

# Limits.
for number in (-1, -(2**31), 1_000_001, 2**31 - 1):
    wrong(
        "CreateConcurrencyLimit",
        lambda _, number=number: CreateConcurrencyLimitRequest(tag="limited", limit=number),
        "limit",
        str(number),
    )
wrong("CreateConcurrencyLimit", lambda _: CreateConcurrencyLimitRequest(tag="limited"), "limit", "not set")

# Pages.
PAGED: list[tuple[str, Callable[..., Message], tuple[str, ...]]] = [
    ("ListFlowRuns", ListFlowRunsRequest, BAD_NUMBER_TOKENS),
    ("ListTaskRuns", ListTaskRunsRequest, BAD_NUMBER_TOKENS),
    ("ListLogs", ListLogsRequest, BAD_NUMBER_TOKENS),
    ("ListConcurrencyLimits", ListConcurrencyLimitsRequest, BAD_TOKENS),
]
for method_, request_type, tokens in PAGED:
    for token in tokens:
        wrong(
            method_,
            lambda _, make=request_type, token=token: make(page_token=token),
            "page_token",
            short(token),
        )
    for size in (-1, 1_001, 2**31 - 1, -(2**31)):
        wrong(method_, lambda _, make=request_type, size=size: make(page_size=size), "page_size", str(size))

# Filters.
FILTERED: list[tuple[str, Callable[..., Message]]] = [
    ("ListFlowRuns", lambda **given: ListFlowRunsRequest(filter=FlowRunFilter(**given))),
    ("ListTaskRuns", lambda **given: ListTaskRunsRequest(filter=TaskRunFilter(**given))),
]
for method_, build__ in FILTERED:
    for time in BAD_TIMES:
        for field_ in ("created_after", "created_before"):
            wrong(
                method_,
                lambda _, make=build__, field=field_, time=time: make(**{field: time}),
                f"filter.{field_}",
                f"{time.seconds} s {time.nanos} ns",
            )
    for type_ in (0, 8, 99, -1):
        wrong(
            method_,
            lambda _, make=build__, type_=type_: make(state_types=[STATE_TYPE_PENDING, type_]),
            "filter.state_types",
            str(type_),
        )
    wrong(method_, lambda _, make=build__: make(name_contains="n" * 256), "filter.name_contains", "256")
    wrong(method_, lambda _, make=build__: make(state_names=["n"] * 101), "filter.state_names", "101")
    wrong(method_, lambda _, make=build__: make(tags=[f"t{n}" for n in range(65)]), "filter.tags", "65")
wrong(
    "ListFlowRuns",
    lambda _: ListFlowRunsRequest(filter=FlowRunFilter(flow_names=["n"] * 101)),
    "filter.flow_names",
    "101",
)
wrong(
    "ListTaskRuns",
    lambda _: ListTaskRunsRequest(filter=TaskRunFilter(task_keys=["n"] * 101)),
    "filter.task_keys",
    "101",
)

# States.
STATED: list[tuple[str, Callable[[World, State], Message]]] = [
    ("SetFlowRunState", lambda world, state: SetFlowRunStateRequest(flow_run_id=world.flow, state=state)),
    ("SetTaskRunState", lambda world, state: SetTaskRunStateRequest(task_run_id=world.task, state=state)),
]
INITIAL: list[tuple[str, Callable[[World, State], Message]]] = [
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


def keyed(**details: object) -> State:
    return State(type=STATE_TYPE_PENDING, details=StateDetails(**details))


def carrying(**data: object) -> State:
    return State(type=STATE_TYPE_PENDING, data=Data(**({"encoding": "json", "inline": b"1"} | data)))


WRONG_STATES: list[tuple[State, str, str]] = [
    (State(name="Odd"), "type", "not set"),
    (State(type=99), "type", "99"),
    (State(type=-1), "type", "-1"),
    (State(type=STATE_TYPE_PENDING, name="n" * 256), "name", "256"),
    (State(type=STATE_TYPE_PENDING, message="m" * 16_385), "message", "16385"),
    (State(type=STATE_TYPE_SCHEDULED), "details.scheduled_time", "not set"),
    (
        State(type=STATE_TYPE_SCHEDULED, details=StateDetails(cache_key="k")),
        "details.scheduled_time",
        "not set",
    ),
    (keyed(scheduled_time=Timestamp(seconds=1)), "details.scheduled_time", "PENDING"),
    (keyed(cache_key="k" * 1_025), "details.cache_key", "1025"),
    (keyed(cache_key="k\0"), "details.cache_key", r"'k\x00'"),
    (keyed(cache_expiration=Duration(seconds=1)), "details.cache_key", "not set"),
    (keyed(cache_key="k", cache_expiration=Duration()), "details.cache_expiration", "0 s"),
    (keyed(cache_key="k", cache_expiration=Duration(nanos=1)), "details.cache_expiration", "0 s"),
    (carrying(encoding=""), "data.encoding", "not set"),
    (carrying(encoding="e" * 65), "data.encoding", "65"),
    (
        State(type=STATE_TYPE_PENDING, data=Data(encoding="json")),
        "data.body",
        "not set",
    ),
    (carrying(inline=b"x" * 65_537), "data.inline", "65537"),
    (State(type=STATE_TYPE_PENDING, data=Data(encoding="json", location="")), "data.location", "not set"),
    (
        State(type=STATE_TYPE_PENDING, data=Data(encoding="json", location="l" * 2_049)),
        "data.location",
        "2049",
    ),
    (carrying(size=-1), "data.size", "-1"),
    (carrying(sha256="abc"), "data.sha256", "'abc'"),
    (carrying(sha256="Z" * 64), "data.sha256", "ZZZ"),
]
WRONG_STATES += [
    (
        State(type=STATE_TYPE_SCHEDULED, details=StateDetails(scheduled_time=time)),
        "details.scheduled_time",
        f"{time.seconds} s {time.nanos} ns",
    )
    for time in BAD_TIMES
]
WRONG_STATES += [
    (keyed(cache_key="k", cache_expiration=span), "details.cache_expiration", " s") for span in BAD_DURATIONS
]
for state_, field_, said_ in WRONG_STATES:
    for method_, build___ in STATED:
        wrong(
            method_,
            lambda world, make=build___, state=state_: make(world, state),
            f"state.{field_}",
            said_,
        )
    for method_, build___ in INITIAL:
        wrong(
            method_,
            lambda world, make=build___, state=state_: make(world, state),
            f"initial_state.{field_}",
            said_,
        )
for method_, build___ in INITIAL:
    for state_ in (RUNNING, COMPLETED):
        wrong(
            method_,
            lambda world, make=build___, state=state_: make(world, state),
            "initial_state.type",
            "RUNNING" if state_ is RUNNING else "COMPLETED",
        )
wrong("SetFlowRunState", lambda world: SetFlowRunStateRequest(flow_run_id=world.flow), "state", "not set")
wrong("SetTaskRunState", lambda world: SetTaskRunStateRequest(task_run_id=world.task), "state", "not set")
for span in (*BAD_DURATIONS, Duration(seconds=3_601)):
    wrong(
        "SetTaskRunState",
        lambda world, span=span: SetTaskRunStateRequest(
            task_run_id=world.task, state=PENDING, wait_timeout=span
        ),
        "wait_timeout",
        " s",
    )

# What is said of a run.
wrong("CreateFlowRun", lambda _: CreateFlowRunRequest(), "flow_run", "not set")
wrong("CreateTaskRun", lambda _: CreateTaskRunRequest(), "task_run", "not set")


def flow_with(**given: object) -> Build:
    return lambda _: CreateFlowRunRequest(flow_run=FlowRunSpec(**({"flow_name": "f"} | given)))


def task_with(**given: object) -> Build:
    required = {"task_key": "t", "dynamic_key": "0"}
    return lambda world: CreateTaskRunRequest(
        task_run=TaskRunSpec(flow_run_id=world.flow, **(required | given))
    )


for name_ in ("flow_name", "name", "flow_version"):
    wrong("CreateFlowRun", flow_with(**{name_: "n" * 256}), f"flow_run.{name_}", "256")
for name_ in ("task_key", "dynamic_key", "name", "task_version"):
    wrong("CreateTaskRun", task_with(**{name_: "n" * 256}), f"task_run.{name_}", "256")
wrong("CreateFlowRun", flow_with(flow_name=""), "flow_run.flow_name", "not set")
wrong("CreateTaskRun", task_with(task_key=""), "task_run.task_key", "not set")
wrong("CreateTaskRun", task_with(dynamic_key=""), "task_run.dynamic_key", "not set")
for name_ in ("task_key", "dynamic_key"):
    wrong("CreateTaskRun", task_with(**{name_: "a\0b"}), f"task_run.{name_}", r"'a\x00b'")
for retries in (-1, 10_001, 2**31 - 1):
    wrong("CreateFlowRun", flow_with(retries=retries), "flow_run.retries", str(retries))
    wrong("CreateTaskRun", task_with(retries=retries), "task_run.retries", str(retries))
for span in BAD_DURATIONS:
    wrong("CreateFlowRun", flow_with(retry_delay=span), "flow_run.retry_delay", " s")
    wrong("CreateTaskRun", task_with(retry_delay=span), "task_run.retry_delay", " s")
for parameters in ("[]", "1", "null", "{", "nonsense", '{"a": NaN}', '{"a":' + "[" * 100_000):
    wrong(
        "CreateFlowRun",
        flow_with(parameters_json=parameters),
        "flow_run.parameters_json",
        parameters[:40],
    )
wrong(
    "CreateFlowRun",
    flow_with(parameters_json='{"a": "' + "é" * 262_144 + '"}'),
    "flow_run.parameters_json",
    "524297",
)
wrong(
    "CreateTaskRun",
    task_with(inputs=[TaskInput(parameter=f"p{n}") for n in range(1_001)]),
    "task_run.inputs",
    "1001",
)
wrong("CreateTaskRun", task_with(inputs=[TaskInput()]), "task_run.inputs.parameter", "not set")
wrong("CreateTaskRun", task_with(inputs=[TaskInput(parameter="p" * 256)]), "task_run.inputs.parameter", "256")

# Logs and the cache.


def log_with(**given: object) -> Build:
    return lambda world: WriteLogsRequest(
        logs=[Log(flow_run_id=world.flow), Log(flow_run_id=world.flow, **given)]
    )


for level in (-1, 101, 2**31 - 1):
    wrong("WriteLogs", log_with(level=level), "logs[1].level", str(level))
    wrong("ListLogs", lambda _, level=level: ListLogsRequest(min_level=level), "min_level", str(level))
wrong("WriteLogs", log_with(logger="l" * 256), "logs[1].logger", "256")
wrong("WriteLogs", log_with(message="l" * 65_537), "logs[1].message", "65537")
for time in BAD_TIMES:
    wrong("WriteLogs", log_with(timestamp=time), "logs[1].timestamp", f"{time.seconds} s {time.nanos} ns")
wrong(
    "WriteLogs",
    lambda world: WriteLogsRequest(logs=[Log(flow_run_id=world.flow)] * 10_001),
    "logs",
    "10001",
)
wrong("LookupCache", lambda _: LookupCacheRequest(), "key", "not set")
wrong("LookupCache", lambda _: LookupCacheRequest(key="k" * 1_025), "key", "1025")


@pytest.fixture(scope="module")
def world(shared_server: Server) -> World:
    with Client(shared_server.address) as client:
        flow = create_flow(client).id
        return World(flow, create_task(client, flow).id)


def name_of(case: Case) -> str:
    return f"{case.method}-{case.field}-{case.said[:30]}".encode("unicode_escape").decode()


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_wrong_request_is_answered_with_details_and_changes_nothing(
    case: Case, world: World, caller: Client, shared_server: Server
) -> None:
    before = contents(shared_server.database)
    failure = caller.fails(case.method, case.build(world))
    assert (failure.code, failure.reason, failure.fields) == (case.code, case.reason, (case.field,))
    assert case.said in failure.message
    assert len(failure.message) < 400
    assert contents(shared_server.database) == before


def test_each_rpc_that_takes_something_is_in_the_table() -> None:
    methods = {method.name for method in DESCRIPTOR.services_by_name["Orchestrator"].methods}
    takes_nothing = {"GetServerInfo"}
    elsewhere = {"Propose"}
    assert {case.method for case in CASES} == methods - takes_nothing - elsewhere


def test_an_id_that_is_another_runs_is_a_conflict(
    world: World, caller: Client, shared_server: Server
) -> None:
    before = contents(shared_server.database)
    spec = TaskRunSpec(id=world.task, flow_run_id=world.flow, task_key="other", dynamic_key="0")
    failure = caller.fails("CreateTaskRun", CreateTaskRunRequest(task_run=spec))
    assert (failure.code, failure.reason) == (StatusCode.ALREADY_EXISTS, "RUN_CONFLICT")
    assert failure.fields == ("task_run.id",)
    assert world.task in failure.message
    assert contents(shared_server.database) == before


def test_a_proposal_id_that_was_used_for_another_run_is_a_conflict(
    world: World, caller: Client, shared_server: Server
) -> None:
    used = new_id()
    caller.stub.SetTaskRunState(
        SetTaskRunStateRequest(proposal_id=used, task_run_id=world.task, state=PENDING)
    )
    other = create_task(caller, world.flow)
    before = contents(shared_server.database)
    for method, request in (
        (
            "SetTaskRunState",
            SetTaskRunStateRequest(proposal_id=used, task_run_id=other.id, state=PENDING),
        ),
        (
            "SetFlowRunState",
            SetFlowRunStateRequest(proposal_id=used, flow_run_id=world.flow, state=PENDING),
        ),
    ):
        failure = caller.fails(method, request)
        assert (failure.code, failure.reason) == (StatusCode.ALREADY_EXISTS, "PROPOSAL_CONFLICT")
        assert used in failure.message
    assert contents(shared_server.database) == before


def test_an_id_in_another_spelling_is_the_same_id(world: World, caller: Client) -> None:
    for spelled in (world.task.upper(), "{" + world.task + "}", world.task.replace("-", "")):
        assert caller.stub.GetTaskRun(GetTaskRunRequest(id=spelled)).task_run.id == world.task


def test_more_states_than_a_statement_takes_may_be_asked_for(caller: Client) -> None:
    many = FlowRunFilter(state_types=[STATE_TYPE_PENDING] * 40_000)
    assert caller.stub.ListFlowRuns(ListFlowRunsRequest(filter=many)).flow_runs


def test_a_run_with_more_inputs_than_a_statement_takes_is_explained(world: World, caller: Client) -> None:
    inputs = [TaskInput(parameter="wait_for", task_run_ids=[new_id() for _ in range(40_000)])]
    run = create_task(caller, world.flow, inputs=inputs)
    assert caller.stub.ExplainTaskRun(ExplainTaskRunRequest(id=run.id)).task_run.id == run.id


@pytest.mark.parametrize("key", ["\N{SNOWMAN}" * 255, "'; drop table state; --", "%_\\"])
def test_any_text_is_a_key(key: str, world: World, caller: Client) -> None:
    first = create_task(caller, world.flow, task_key=key, dynamic_key=key)
    again = create_task(caller, world.flow, task_key=key, dynamic_key=key)
    other = create_task(caller, world.flow, task_key=key, dynamic_key=key[:-1] + "c")
    assert (again.id, again.task_key, again.dynamic_key) == (first.id, key, key)
    assert other.id != first.id
    done = SetTaskRunStateRequest(task_run_id=first.id, state=with_key(COMPLETED, key))
    caller.stub.SetTaskRunState(done)
    assert caller.stub.LookupCache(LookupCacheRequest(key=key)).entry.key == key
    same = SetTaskRunStateRequest(
        task_run_id=create_task(caller, world.flow).id, state=with_key(RUNNING, key)
    )
    assert caller.stub.SetTaskRunState(same).decision.state.name == "Cached"
    near = SetTaskRunStateRequest(
        task_run_id=create_task(caller, world.flow).id, state=with_key(RUNNING, key[:-1] + "c")
    )
    assert caller.stub.SetTaskRunState(near).decision.state.name == "Running"


def test_the_server_is_well_after_all_that(caller: Client, shared_server: Server) -> None:
    assert caller.stub.GetServerInfo(GetServerInfoRequest()).database == "sqlite"
    assert not [line for line in shared_server.log if '"level": "error"' in line]
