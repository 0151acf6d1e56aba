"""Invalid tags, for every field that takes one, and invalid limits."""

from __future__ import annotations

from clearway.v1.concurrency_limit_pb2 import (
    DeleteConcurrencyLimitRequest,
    GetConcurrencyLimitRequest,
    ListSlotHoldersRequest,
    ListSlotWaitersRequest,
    ResetConcurrencyLimitRequest,
    SetConcurrencyLimitRequest,
)
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunFilter, FlowRunSpec, ListFlowRunsRequest
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, ListTaskRunsRequest, TaskRunFilter, TaskRunSpec
from support.wrong.cases import Build, Case, missing, not_found, said_as, too_long, wrong

_BAD_TAGS = [("", "not set"), *said_as((" ", "a\nb", "a\0b", "\x7f")), *too_long(255)]
# A list item counts as set even if it is empty.
_BAD_ITEMS = [("", "''"), *_BAD_TAGS[1:]]
_TOO_MANY = [([f"tag-{number}" for number in range(65)], "65")]

_BY_TAG: list[tuple[str, Build]] = [
    ("SetConcurrencyLimit", lambda _, tag: SetConcurrencyLimitRequest(tag=tag, limit=1)),
    ("GetConcurrencyLimit", lambda _, tag: GetConcurrencyLimitRequest(tag=tag)),
    ("DeleteConcurrencyLimit", lambda _, tag: DeleteConcurrencyLimitRequest(tag=tag)),
    ("ResetConcurrencyLimit", lambda _, tag: ResetConcurrencyLimitRequest(tag=tag)),
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
    CASES += wrong(_method, f"{_field}[1]", _build, [(["good", tag], said) for tag, said in _BAD_ITEMS])
    CASES += wrong(_method, _field, _build, _TOO_MANY)
CASES += wrong(
    "SetConcurrencyLimit",
    "limit",
    lambda _, limit: SetConcurrencyLimitRequest(tag="limited", limit=limit),
    said_as((-1, -(2**31), 1_000_001, 2**31 - 1)),
)
CASES += missing("GetConcurrencyLimit", "key", GetConcurrencyLimitRequest())
CASES += missing("SetConcurrencyLimit", "limit", SetConcurrencyLimitRequest(tag="limited"))
