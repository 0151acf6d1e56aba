"""Wrong tags, wherever one is asked for, and wrong limits."""

from __future__ import annotations

from clearway.v1.concurrency_limit_pb2 import (
    CreateConcurrencyLimitRequest,
    DeleteConcurrencyLimitByTagRequest,
    GetConcurrencyLimitByTagRequest,
    ListSlotHoldersRequest,
    ListSlotWaitersRequest,
    ResetConcurrencyLimitByTagRequest,
)
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunFilter, FlowRunSpec, ListFlowRunsRequest
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, ListTaskRunsRequest, TaskRunFilter, TaskRunSpec
from support.wrong.cases import Build, Case, missing, not_found, said_as, too_long, wrong

_BAD_TAGS = [("", "not set"), *said_as((" ", "a\nb", "a\0b", "\x7f")), *too_long(255)]
_TOO_MANY = [([f"tag-{number}" for number in range(65)], "65")]

_BY_TAG: list[tuple[str, Build]] = [
    ("CreateConcurrencyLimit", lambda _, tag: CreateConcurrencyLimitRequest(tag=tag, limit=1)),
    ("GetConcurrencyLimitByTag", lambda _, tag: GetConcurrencyLimitByTagRequest(tag=tag)),
    ("DeleteConcurrencyLimitByTag", lambda _, tag: DeleteConcurrencyLimitByTagRequest(tag=tag)),
    ("ResetConcurrencyLimitByTag", lambda _, tag: ResetConcurrencyLimitByTagRequest(tag=tag)),
    ("ListSlotHolders", lambda _, tag: ListSlotHoldersRequest(tag=tag)),
    ("ListSlotWaiters", lambda _, tag: ListSlotWaitersRequest(tag=tag)),
]
_TAGGED: list[tuple[str, str, Build]] = [
    (
        "CreateFlowRun",
        "flow_run.tags",
        lambda _, tags: CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="f", tags=tags)),
    ),
    (
        "CreateTaskRun",
        "task_run.tags",
        lambda world, tags: CreateTaskRunRequest(
            task_run=TaskRunSpec(flow_run_id=world.flow, task_key="t", dynamic_key="0", tags=tags)
        ),
    ),
    (
        "ListFlowRuns",
        "filter.tags",
        lambda _, tags: ListFlowRunsRequest(filter=FlowRunFilter(tags=tags)),
    ),
    (
        "ListTaskRuns",
        "filter.tags",
        lambda _, tags: ListTaskRunsRequest(filter=TaskRunFilter(tags=tags)),
    ),
]

CASES: list[Case] = []
for _method, _build in _BY_TAG:
    CASES += wrong(_method, "tag", _build, _BAD_TAGS)
for _method, _build in _BY_TAG[1:]:
    CASES += not_found(_method, "tag", _build, "nobody")
for _method, _field, _build in _TAGGED:
    CASES += wrong(_method, _field, _build, [(["good", tag], said) for tag, said in _BAD_TAGS])
    CASES += wrong(_method, _field, _build, _TOO_MANY)
CASES += wrong(
    "CreateConcurrencyLimit",
    "limit",
    lambda _, limit: CreateConcurrencyLimitRequest(tag="limited", limit=limit),
    said_as((-1, -(2**31), 1_000_001, 2**31 - 1)),
)
CASES += missing("CreateConcurrencyLimit", "limit", CreateConcurrencyLimitRequest(tag="limited"))
