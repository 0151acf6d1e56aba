"""Wrong input to each RPC: a clear status with details, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import pytest
from grpc import StatusCode

from clearway.v1.cache_pb2 import LookupCacheRequest
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunFilter, FlowRunSpec, ListFlowRunsRequest
from clearway.v1.orchestrator_pb2 import DESCRIPTOR
from clearway.v1.proposal_pb2 import SetFlowRunStateRequest, SetTaskRunStateRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.state_pb2 import STATE_TYPE_PENDING
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, GetTaskRunRequest, TaskInput, TaskRunSpec
from support.client import Client
from support.database import Contents, contents
from support.proposals import COMPLETED, PENDING, RUNNING, create_flow, create_task, new_id, with_key
from support.server import Server
from support.wrong import ids, limits, pages, results, specs, states
from support.wrong.cases import Case, World

CASES = [*ids.CASES, *limits.CASES, *pages.CASES, *results.CASES, *states.CASES, *specs.CASES]


def _place(case: Case) -> tuple[str, str]:
    return case.method, case.field


PLACES = [(place, list(cases)) for place, cases in groupby(sorted(CASES, key=_place), key=_place)]


@pytest.fixture(scope="module")
def world(shared_server: Server) -> World:
    with Client(shared_server.address) as client:
        flow = create_flow(client).spec.id
        return World(flow, create_task(client, flow).spec.id)


@pytest.fixture(scope="module")
def database(shared_server: Server) -> Iterator[Contents]:
    found = Contents(shared_server.database)
    yield found
    found.close()


@pytest.mark.parametrize(
    "cases", [cases for _, cases in PLACES], ids=["-".join(place) for place, _ in PLACES]
)
def test_a_wrong_request_is_answered_with_details_and_changes_nothing(
    cases: list[Case], world: World, caller: Client, database: Contents
) -> None:
    before = database.now()
    for case in cases:
        failure = caller.fails(case.method, case.build(world))
        assert (failure.code, failure.reason, failure.fields) == (case.code, case.reason, (case.field,))
        assert case.said in failure.message
        assert len(failure.message) < 400
    assert database.now() == before


def test_each_rpc_that_takes_something_is_in_the_table() -> None:
    methods = {method.name for method in DESCRIPTOR.services_by_name["Orchestrator"].methods}
    takes_nothing = {"GetServerInfo", "GetCacheStats"}
    elsewhere = {"Propose"}
    assert {case.method for case in CASES} == methods - takes_nothing - elsewhere


def test_an_id_that_is_another_runs_is_a_conflict(
    world: World, caller: Client, shared_server: Server
) -> None:
    before = contents(shared_server.database)
    spec = TaskRunSpec(id=world.task, flow_run_id=world.flow, task_key="other", dynamic_key="0")
    failure = caller.fails("CreateTaskRun", CreateTaskRunRequest(task_run=spec))
    assert (failure.code, failure.reason) == (StatusCode.ALREADY_EXISTS, "ERROR_REASON_RUN_CONFLICT")
    assert failure.fields == ("task_run.id",)
    assert world.task in failure.message
    assert contents(shared_server.database) == before


def test_flow_runs_and_task_runs_share_their_ids(world: World, caller: Client, shared_server: Server) -> None:
    before = contents(shared_server.database)
    spec = TaskRunSpec(id=world.flow, flow_run_id=world.flow, task_key="other", dynamic_key="1")
    flow = FlowRunSpec(id=world.task, flow_name="other")
    for method, request, field, id_ in (
        ("CreateTaskRun", CreateTaskRunRequest(task_run=spec), "task_run.id", world.flow),
        ("CreateFlowRun", CreateFlowRunRequest(flow_run=flow), "flow_run.id", world.task),
    ):
        failure = caller.fails(method, request)
        assert (failure.code, failure.reason) == (StatusCode.ALREADY_EXISTS, "ERROR_REASON_RUN_CONFLICT")
        assert failure.fields == (field,)
        assert id_ in failure.message
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
        assert (failure.code, failure.reason) == (StatusCode.ALREADY_EXISTS, "ERROR_REASON_PROPOSAL_CONFLICT")
        assert used in failure.message
    assert contents(shared_server.database) == before


def test_an_id_in_another_spelling_is_the_same_id(world: World, caller: Client) -> None:
    for spelled in (world.task.upper(), "{" + world.task + "}", world.task.replace("-", "")):
        assert caller.stub.GetTaskRun(GetTaskRunRequest(id=spelled)).task_run.spec.id == world.task


def test_more_states_than_a_statement_takes_may_be_asked_for(caller: Client) -> None:
    many = FlowRunFilter(state_types=[STATE_TYPE_PENDING] * 40_000)
    assert caller.stub.ListFlowRuns(ListFlowRunsRequest(filter=many)).flow_runs


def test_a_run_with_more_inputs_than_a_statement_takes_is_explained(world: World, caller: Client) -> None:
    inputs = [TaskInput(parameter="wait_for", task_run_ids=[new_id() for _ in range(40_000)])]
    run = create_task(caller, world.flow, inputs=inputs)
    assert caller.stub.ExplainTaskRun(ExplainTaskRunRequest(id=run.id)).task_run.spec.id == run.id


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
        task_run_id=create_task(caller, world.flow).spec.id, state=with_key(RUNNING, key)
    )
    assert caller.stub.SetTaskRunState(same).decision.state.name == "Cached"
    near = SetTaskRunStateRequest(
        task_run_id=create_task(caller, world.flow).spec.id, state=with_key(RUNNING, key[:-1] + "c")
    )
    assert caller.stub.SetTaskRunState(near).decision.state.name == "Running"


def test_the_server_is_well_after_all_that(caller: Client, shared_server: Server) -> None:
    assert caller.stub.GetServerInfo(GetServerInfoRequest()).database == "sqlite"
    assert not [line for line in shared_server.log if '"level": "error"' in line]
