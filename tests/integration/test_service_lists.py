"""Lists: filters pick, pages together have everything once, logs come in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.concurrency_limit_pb2 import ListConcurrencyLimitsRequest
from clearway.v1.flow_run_pb2 import FlowRunFilter, ListFlowRunsRequest
from clearway.v1.log_pb2 import ListLogsRequest, Log, WriteLogsRequest
from clearway.v1.proposal_pb2 import SetTaskRunStateRequest
from clearway.v1.state_pb2 import (
    STATE_TYPE_COMPLETED,
    STATE_TYPE_FAILED,
    STATE_TYPE_PENDING,
    STATE_TYPE_RUNNING,
    Data,
    ProposedState,
)
from clearway.v1.task_run_pb2 import ListTaskRunsRequest, TaskRunFilter
from support.client import Client
from support.limits import set_limit
from support.proposals import RUNNING, create_flow, create_task, new_id
from support.server import Server


def pages(ask: Callable[[str], Any], field: str) -> Iterator[list[Any]]:
    """Yield the items of each page."""
    token = ""
    while True:
        answer = ask(token)
        yield list(getattr(answer, field))
        token = answer.next_page_token
        if not token:
            return


class World(NamedTuple):
    flow: str
    tasks: list[str]
    middle: Timestamp


@pytest.fixture(scope="module")
def world(shared_server: Server) -> World:
    with Client(shared_server.address) as client:
        flow = create_flow(client, name="Die Große Reise", tags=["a", "b"]).spec.id
        tasks = []
        for number in range(25):
            run = create_task(
                client,
                flow,
                task_key="even" if number % 2 == 0 else "odd",
                task_name="" if number % 2 == 0 else "the odd",
                name=f"Task 100%_{number}",
                tags=["all", f"rest-{number % 3}"],
            )
            tasks.append(run)
            if number % 5 == 0:
                request = SetTaskRunStateRequest(task_run_id=run.spec.id, state=RUNNING)
                client.stub.SetTaskRunState(request)
            if number % 10 == 0:
                state = ProposedState(type=STATE_TYPE_COMPLETED, name="Fine")
                client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run.spec.id, state=state))
        other = create_flow(client, name="other").spec.id
        create_task(client, other, tags=["all"])
        return World(flow, [run.spec.id for run in tasks], tasks[12].create_time)


@pytest.mark.parametrize("size", [1, 2, 7, 25, 1_000, 0])
def test_pages_together_have_every_task_run_once_the_newest_first(
    size: int, world: World, caller: Client
) -> None:
    def ask(token: str) -> Any:
        wanted = TaskRunFilter(flow_run_id=world.flow)
        request = ListTaskRunsRequest(filter=wanted, page_size=size, page_token=token)
        return caller.stub.ListTaskRuns(request)

    found = [[run.spec.id for run in page] for page in pages(ask, "task_runs")]
    assert [id_ for page in found for id_ in page] == world.tasks[::-1]
    assert all(len(page) == size for page in found[:-1])


def test_a_page_is_not_moved_by_runs_that_come_meanwhile(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    runs = [create_task(caller, flow).spec.id for _ in range(6)]
    wanted = TaskRunFilter(flow_run_id=flow)
    first = caller.stub.ListTaskRuns(ListTaskRunsRequest(filter=wanted, page_size=3))
    create_task(caller, flow)
    request = ListTaskRunsRequest(filter=wanted, page_size=3, page_token=first.next_page_token)
    second = caller.stub.ListTaskRuns(request)
    assert [run.spec.id for run in (*first.task_runs, *second.task_runs)] == runs[::-1]


def test_large_answers_are_cut_to_what_any_client_takes(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    state = ProposedState(type=STATE_TYPE_COMPLETED, data=Data(encoding="json", inline=b"x" * 65_536))
    runs = [create_task(caller, flow).spec.id for _ in range(80)]
    for run in runs:
        caller.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run, state=state))
    sizes: list[int] = []

    def ask(token: str) -> Any:
        request = ListTaskRunsRequest(filter=TaskRunFilter(flow_run_id=flow), page_token=token)
        answer = caller.stub.ListTaskRuns(request)
        sizes.append(answer.ByteSize())
        return answer

    assert [run.spec.id for page in pages(ask, "task_runs") for run in page] == runs[::-1]
    assert max(sizes) < 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("wanted", "picked"),
    [
        (TaskRunFilter(), range(25)),
        (TaskRunFilter(task_keys=["even"]), range(0, 25, 2)),
        (TaskRunFilter(task_keys=["even", "odd"]), range(25)),
        (TaskRunFilter(task_keys=["nobody"]), []),
        (TaskRunFilter(task_names=["the odd"]), range(1, 25, 2)),
        (TaskRunFilter(task_names=["even", "the odd"]), range(25)),
        (TaskRunFilter(task_names=["odd"]), []),
        (TaskRunFilter(tags=["rest-1"]), range(1, 25, 3)),
        (TaskRunFilter(tags=["rest-1", "all"], task_keys=["odd"]), [1, 7, 13, 19]),
        (TaskRunFilter(tags=["rest-1", "rest-2"]), []),
        (TaskRunFilter(state_types=[STATE_TYPE_RUNNING]), [5, 15]),
        (TaskRunFilter(state_types=[STATE_TYPE_RUNNING, STATE_TYPE_COMPLETED]), range(0, 25, 5)),
        (TaskRunFilter(state_types=[STATE_TYPE_FAILED]), []),
        (TaskRunFilter(state_names=["Fine"]), [0, 10, 20]),
        (TaskRunFilter(state_names=["Completed"]), []),
        (TaskRunFilter(state_types=[STATE_TYPE_PENDING], state_names=["Fine"]), []),
        (TaskRunFilter(name_contains="%_1"), [1, *range(10, 20)]),
        (TaskRunFilter(name_contains="TASK 100%_2"), [2, *range(20, 25)]),
        (TaskRunFilter(name_contains="Task__"), []),
    ],
    ids=str,
)
def test_a_filter_picks_task_runs(wanted: TaskRunFilter, picked: Any, world: World, caller: Client) -> None:
    here = TaskRunFilter(flow_run_id=world.flow)
    here.MergeFrom(wanted)
    found = caller.stub.ListTaskRuns(ListTaskRunsRequest(filter=here, page_size=1_000)).task_runs
    assert [run.spec.id for run in found] == [world.tasks[index] for index in reversed(list(picked))]


def test_a_filter_picks_by_time_from_inclusive_to_exclusive(world: World, caller: Client) -> None:
    after = TaskRunFilter(flow_run_id=world.flow, created_after=world.middle)
    before = TaskRunFilter(flow_run_id=world.flow, created_before=world.middle)
    later = caller.stub.ListTaskRuns(ListTaskRunsRequest(filter=after)).task_runs
    earlier = caller.stub.ListTaskRuns(ListTaskRunsRequest(filter=before)).task_runs
    assert [run.spec.id for run in (*later, *earlier)] == world.tasks[::-1]
    assert world.tasks[12] in {run.spec.id for run in later}


@pytest.mark.parametrize(
    ("wanted", "is_there"),
    [
        (FlowRunFilter(name_contains="große"), True),
        (FlowRunFilter(name_contains="REISE", tags=["b", "a"]), True),
        (FlowRunFilter(name_contains="Reise", tags=["c"]), False),
        (FlowRunFilter(name_contains="Reise", flow_names=["flow", "nobody"]), True),
        (FlowRunFilter(name_contains="Reise", flow_names=["nobody"]), False),
        (FlowRunFilter(name_contains="Reise", state_types=[STATE_TYPE_PENDING]), True),
        (FlowRunFilter(name_contains="Reise", state_names=["Running"]), False),
    ],
    ids=str,
)
def test_a_filter_picks_flow_runs(
    wanted: FlowRunFilter, is_there: bool, world: World, caller: Client
) -> None:
    found = caller.stub.ListFlowRuns(ListFlowRunsRequest(filter=wanted)).flow_runs
    assert [run.spec.id for run in found] == ([world.flow] if is_there else [])


def test_pages_together_have_every_limit_once_sorted_by_tag(caller: Client) -> None:
    prefix = new_id()
    tags = [set_limit(caller, number, f"{prefix}-{letter}") for number, letter in enumerate("zebraÄ")]

    def ask(token: str) -> Any:
        return caller.stub.ListConcurrencyLimits(ListConcurrencyLimitsRequest(page_size=2, page_token=token))

    found = [limit for page in pages(ask, "concurrency_limits") for limit in page]
    mine = {limit.tag: limit.limit for limit in found if limit.tag.startswith(prefix)}
    assert list(mine) == sorted(tags)
    assert mine == {tag: number for number, tag in enumerate(tags)}
    assert [limit.tag for limit in found] == sorted(limit.tag for limit in found)


def test_logs_come_in_the_order_of_writing_and_by_level(caller: Client) -> None:
    flow, task = create_flow(caller).spec.id, new_id()
    time = Timestamp(seconds=1_000)
    lines = [
        Log(
            flow_run_id=flow,
            task_run_id=task if number % 2 else "",
            logger="flow",
            level=10 * (1 + number % 5),
            message=f"line {number} \0 é",
            create_time=time,
        )
        for number in range(30)
    ]
    assert caller.stub.WriteLogs(WriteLogsRequest(logs=lines[:10])).written_count == 10
    assert caller.stub.WriteLogs(WriteLogsRequest(logs=lines[10:])).written_count == 20

    def ask(token: str) -> Any:
        return caller.stub.ListLogs(ListLogsRequest(flow_run_id=flow, page_size=7, page_token=token))

    found = [line for page in pages(ask, "logs") for line in page]
    assert [line.message for line in found] == [line.message for line in lines]
    assert [line.id for line in found] == sorted({line.id for line in found})
    assert {line.create_time.seconds for line in found} == {1_000}
    errors = caller.stub.ListLogs(ListLogsRequest(flow_run_id=flow, min_level=40)).logs
    assert [line.level for line in errors] == [
        level for level in (line.level for line in lines) if level >= 40
    ]
    of_task = caller.stub.ListLogs(ListLogsRequest(task_run_id=task)).logs
    assert {line.task_run_id for line in of_task} == {task}
    assert len(of_task) == 15


def test_a_line_without_a_time_gets_that_of_its_arrival(caller: Client) -> None:
    flow = create_flow(caller)
    caller.stub.WriteLogs(WriteLogsRequest(logs=[Log(flow_run_id=flow.spec.id, message="now")]))
    (line,) = caller.stub.ListLogs(ListLogsRequest(flow_run_id=flow.spec.id)).logs
    late = line.create_time.ToDatetime() - flow.create_time.ToDatetime()
    assert timedelta(0) <= late < timedelta(minutes=1)
    assert caller.stub.WriteLogs(WriteLogsRequest()).written_count == 0
