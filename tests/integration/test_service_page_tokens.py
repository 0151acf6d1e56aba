"""Page tokens: one is good for the request that it came from, and for no other."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from clearway.v1.cache_pb2 import ListCacheEntriesRequest
from clearway.v1.concurrency_limit_pb2 import ListConcurrencyLimitsRequest
from clearway.v1.flow_run_pb2 import FlowRunFilter, ListFlowRunsRequest
from clearway.v1.log_pb2 import ListLogsRequest, Log, WriteLogsRequest
from clearway.v1.proposal_pb2 import SetTaskRunStateRequest
from clearway.v1.task_run_pb2 import ListTaskRunsRequest, ListTaskRunStatesRequest
from support.client import Client
from support.limits import set_limit
from support.proposals import COMPLETED, RUNNING, create_flow, create_task, new_id, with_key
from support.server import Server

PAGED: list[tuple[str, str, Any, Any]] = [
    ("ListFlowRuns", "flow_runs", ListFlowRunsRequest(), ListFlowRunsRequest(filter={"tags": ["other"]})),
    (
        "ListTaskRuns",
        "task_runs",
        ListTaskRunsRequest(),
        ListTaskRunsRequest(filter={"state_types": [RUNNING.type]}),
    ),
    ("ListLogs", "logs", ListLogsRequest(), ListLogsRequest(min_level=10)),
    (
        "ListCacheEntries",
        "entries",
        ListCacheEntriesRequest(),
        ListCacheEntriesRequest(filter={"key_prefix": "x"}),
    ),
]


@pytest.fixture(scope="module")
def _some_of_each(shared_server: Server) -> None:
    with Client(shared_server.address) as client:
        flow = create_flow(client).spec.id
        create_flow(client)
        for number in range(2):
            run = create_task(client, flow).spec.id
            for state in (RUNNING, COMPLETED):
                keyed = with_key(state, f"large-{number}-{new_id()}")
                client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run, state=keyed))
        lines = [Log(flow_run_id=flow, level=20, message="line")] * 2
        client.stub.WriteLogs(WriteLogsRequest(logs=lines))
        for number in range(2):
            set_limit(client, number)


@pytest.mark.usefixtures("_some_of_each")
@pytest.mark.parametrize(("method", "field", "request_", "other"), PAGED, ids=[each[0] for each in PAGED])
def test_a_page_token_is_refused_with_other_filters(
    method: str, field: str, request_: Any, other: Any, caller: Client
) -> None:
    call = getattr(caller.stub, method)
    request_.page_size = 1
    token = call(request_).next_page_token
    assert token
    other.page_token = token
    failure = caller.fails(method, other)
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_ARGUMENT",
    )
    assert failure.fields == ("page_token",)
    assert "of a request with other fields" in failure.message
    request_.page_token = token
    request_.page_size = 2
    assert getattr(call(request_), field)


@pytest.mark.usefixtures("_some_of_each")
def test_a_page_token_is_refused_by_other_lists_and_for_other_runs(caller: Client) -> None:
    token = caller.stub.ListFlowRuns(ListFlowRunsRequest(page_size=1)).next_page_token
    for method, request in (
        ("ListTaskRuns", ListTaskRunsRequest(page_token=token)),
        ("ListConcurrencyLimits", ListConcurrencyLimitsRequest(page_token=token)),
        ("ListFlowRuns", ListFlowRunsRequest(filter=FlowRunFilter(name_contains="x"), page_token=token)),
    ):
        failure = caller.fails(method, request)
        assert (failure.reason, failure.fields) == ("ERROR_REASON_INVALID_ARGUMENT", ("page_token",))
    flow = create_flow(caller).spec.id
    first, second = create_task(caller, flow).spec.id, create_task(caller, flow).spec.id
    for run in (first, second):
        caller.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run, state=RUNNING))
    page = caller.stub.ListTaskRunStates(ListTaskRunStatesRequest(task_run_id=first, page_size=1))
    wrong = ListTaskRunStatesRequest(task_run_id=second, page_token=page.next_page_token)
    assert caller.fails("ListTaskRunStates", wrong).fields == ("page_token",)
