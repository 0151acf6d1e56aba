"""Reading: filters and explanations with unusual values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearway.v1.explanation_pb2 import ExplainTaskRunRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunFilter, FlowRunSpec, ListFlowRunsRequest
from clearway.v1.state_pb2 import STATE_TYPE_PENDING, STATE_TYPE_RUNNING
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, TaskInput
from clearway_service.errors import InvalidArgumentError
from support.proposals import new_id, task_spec

if TYPE_CHECKING:
    from unit.service.conftest import Service


class TestNames:
    @pytest.mark.parametrize(
        "wanted", ["CAFÉ 100%_\\", "afÉ", "café".upper(), "CAfÉ", "100%", "%_", "_\\", "\\"]
    )
    def test_a_run_is_found_by_what_its_name_has_in_it(self, service: Service, wanted: str) -> None:
        named = CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f", name="my Café 100%_\\".upper()))
        service.call("CreateFlowRun", named)
        answer = service.call("ListFlowRuns", ListFlowRunsRequest(filter=FlowRunFilter(name_contains=wanted)))
        assert [run.spec.name for run in answer.flow_runs] == ["MY CAFÉ 100%_\\"]

    @pytest.mark.parametrize("wanted", ["_AF", "M%", "cafe", "1000"])
    def test_and_by_nothing_else(self, service: Service, wanted: str) -> None:
        named = CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f", name="MY CAFÉ 100"))
        service.call("CreateFlowRun", named)
        answer = service.call("ListFlowRuns", ListFlowRunsRequest(filter=FlowRunFilter(name_contains=wanted)))
        assert not answer.flow_runs


def test_a_filter_may_name_a_state_type_often_but_not_without_end(service: Service) -> None:
    wanted = FlowRunFilter(state_types=[STATE_TYPE_RUNNING, STATE_TYPE_PENDING] * 50)
    answer = service.call("ListFlowRuns", ListFlowRunsRequest(filter=wanted))
    assert [run.spec.id for run in answer.flow_runs] == [service.flow_id]
    many = FlowRunFilter(state_types=[STATE_TYPE_PENDING] * 4_000_000)
    with pytest.raises(InvalidArgumentError, match="4000000 items; at most 100") as failed:
        service.call("ListFlowRuns", ListFlowRunsRequest(filter=many))
    assert failed.value.field == "filter.state_types"


def test_a_run_with_very_many_upstream_runs_is_explained(service: Service) -> None:
    upstream = task_spec(service.flow_id)
    service.call("CreateTaskRun", CreateTaskRunRequest(task_run=upstream))
    ids = [*(new_id() for _ in range(40_000)), upstream.id]
    run = task_spec(service.flow_id, inputs=[TaskInput(parameter="numbers", task_run_ids=ids)])
    service.call("CreateTaskRun", CreateTaskRunRequest(task_run=run))
    explained = service.call("ExplainTaskRun", ExplainTaskRunRequest(id=run.id))
    assert explained.WhichOneof("cause") == "upstream"
    assert explained.upstream.run_count == 1
    assert [(one.task_run_id, one.parameter) for one in explained.upstream.runs] == [(upstream.id, "numbers")]


def test_only_a_run_that_tracks_a_subflow_may_be_its_parent(service: Service) -> None:
    run = task_spec(service.flow_id)
    service.call("CreateTaskRun", CreateTaskRunRequest(task_run=run))
    child = FlowRunSpec(flow_name="child", parent_task_run_id=run.id)
    with pytest.raises(InvalidArgumentError, match=run.id) as failed:
        service.call("CreateFlowRun", CreateFlowRunRequest(flow_run=child))
    assert failed.value.field == "flow_run.parent_task_run_id"
    assert service.task(run.id).state.details.child_flow_run_id == ""
