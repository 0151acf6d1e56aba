"""Explaining why a task run is where it is, for each cause."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from clearway.v1.explanation_pb2 import (
    WAIT_CAUSE_CLIENT,
    WAIT_CAUSE_LIMIT,
    WAIT_CAUSE_NOTHING,
    WAIT_CAUSE_SCHEDULE,
    WAIT_CAUSE_UPSTREAM,
    ExplainTaskRunResponse,
)
from clearway.v1.proposal_pb2 import Await, ProposeRequest, SetTaskRunStateRequest
from clearway.v1.task_run_pb2 import TaskInput
from support.client import Client, Stream
from support.limits import explain, set_limit
from support.proposals import (
    COMPLETED,
    FAILED,
    RUNNING,
    create_flow,
    create_task,
    get_task,
    move,
    scheduled,
    seconds,
    start,
)
from support.server import Server
from support.waiting import wait_until


@pytest.fixture
def flow(caller: Client) -> str:
    return create_flow(caller, name="the flow").spec.id


@pytest.fixture
def stream(caller: Client) -> Iterator[Stream]:
    stream = caller.open(name="worker 7")
    yield stream
    stream.say_goodbye()


def test_a_run_whose_client_has_not_asked_waits_for_it(caller: Client, flow: str) -> None:
    run = create_task(caller, flow, name="load")
    told = explain(caller, run.id)
    assert told.cause == WAIT_CAUSE_CLIENT
    assert told.task_run == run
    assert told.summary == "load is Pending: its client has not proposed to run it"
    assert not told.limits


def test_a_run_that_runs_waits_for_nothing_and_says_who_runs_it(
    caller: Client, flow: str, stream: Stream
) -> None:
    run = stream.decide(start(flow, name="load")).run_id
    told = explain(caller, run)
    assert told.cause == WAIT_CAUSE_NOTHING
    assert told.summary == "load is Running: it waits for nothing"
    assert (told.holder.task_run_id, told.holder.client_name) == (run, "worker 7")
    assert told.holder.HasField("lease_expires")
    stream.decide(move(run, COMPLETED))
    ended = explain(caller, run)
    assert ended.cause == WAIT_CAUSE_NOTHING
    assert not ended.HasField("holder")


def test_a_run_that_waits_for_slots_is_told_who_holds_them(caller: Client, flow: str, stream: Stream) -> None:
    full, other, free = set_limit(caller, 2), set_limit(caller, 1), set_limit(caller, 9)
    holders = [stream.decide(start(flow, name=f"holder {n}", tags=[full])).run_id for n in range(2)]
    stream.decide(start(flow, name="other holder", tags=[other]))
    ahead = start(flow, tags=[full])
    stream.decide(ahead)
    waits = start(flow, tags=[full, other, free, "unlimited"])
    stream.decide(waits)
    told = explain(caller, waits.create_task_run.id)
    assert told.cause == WAIT_CAUSE_LIMIT
    assert told.HasField("waiting_since")
    by_tag = {limit.tag: limit for limit in told.limits}
    assert set(by_tag) == {full, other, free}
    blocking = told.limits[0]
    assert blocking.tag in (full, other)
    assert [holder.task_run_id for holder in by_tag[full].holders] == holders
    assert (by_tag[full].limit, by_tag[full].taken, by_tag[full].blocks) == (2, 2, True)
    assert (by_tag[other].taken, by_tag[other].blocks) == (1, True)
    assert (by_tag[free].taken, by_tag[free].blocks, by_tag[free].position) == (0, False, 0)
    assert blocking.position == (2 if blocking.tag == full else 1)
    for said in (full, other, "holder 0", "other holder", f"number {blocking.position} in the queue"):
        assert said in told.summary
    assert free not in told.summary
    assert explain(caller, ahead.create_task_run.id).limits[0].position == 1


def test_a_run_for_which_a_slot_is_kept_says_so(caller: Client, flow: str, stream: Stream) -> None:
    free, full = set_limit(caller, 1), set_limit(caller, 1)
    stream.decide(start(flow, tags=[full]))
    elder = start(flow, tags=[free, full])
    stream.decide(elder)
    for _ in range(16):
        stream.decide(move(stream.decide(start(flow, tags=[free])).run_id, COMPLETED))
    behind = start(flow, tags=[free])
    assert stream.decide(behind).wait.queued
    told = explain(caller, behind.create_task_run.id)
    assert told.cause == WAIT_CAUSE_LIMIT
    assert "waited longer" in told.summary


def test_a_run_that_a_limit_of_0_aborts_is_told_so(caller: Client, flow: str, stream: Stream) -> None:
    closed, other = set_limit(caller, 0), set_limit(caller, 1)
    refused = start(flow, name="load", tags=[closed, other])
    assert stream.decide(refused).HasField("abort")
    told = explain(caller, create_task(caller, flow, name="load", tags=[closed, other]).spec.id)
    assert told.cause == WAIT_CAUSE_CLIENT
    assert told.summary == (
        f"load is Pending: the limit of tag '{closed}' is 0, and who would run under it is aborted"
    )
    assert {limit.tag: limit.blocks for limit in told.limits} == {closed: True, other: False}


def test_a_run_that_was_going_on_when_its_limit_became_0_is_not_blocked(
    caller: Client, flow: str, stream: Stream
) -> None:
    tag = set_limit(caller, 1)
    run = stream.decide(start(flow, name="load", tags=[tag])).run_id
    set_limit(caller, 0, tag)
    told = explain(caller, run)
    assert told.summary == "load is Running: it waits for nothing"
    assert not told.limits[0].blocks
    stream.decide(move(run, FAILED))
    assert not explain(caller, run).limits[0].blocks


def test_a_run_that_has_ended_says_how(caller: Client, flow: str) -> None:
    stream = caller.open(name="worker 8")
    run = stream.decide(start(flow, name="load")).run_id
    stream.say_goodbye()
    told = wait_until(lambda: _ended(caller, run), "the end of the run")
    assert told.summary == f"load is Crashed: {get_task(caller, run).state.message}"
    assert "its client ended the session" in told.summary


def test_a_run_that_awaits_its_retry_waits_for_its_time(caller: Client, flow: str, stream: Stream) -> None:
    run = stream.decide(start(flow, name="load", retries=1, retry_delays=[seconds(600)])).run_id
    stream.decide(move(run, FAILED))
    told = explain(caller, run)
    assert told.cause == WAIT_CAUSE_SCHEDULE
    assert told.scheduled_time == get_task(caller, run).expected_start_time
    assert told.summary.startswith("load is AwaitingRetry: it may begin in ")


def test_a_scheduled_run_waits_for_its_time(caller: Client, flow: str) -> None:
    run = create_task(caller, flow, scheduled(timedelta(hours=1)))
    assert explain(caller, run.id).cause == WAIT_CAUSE_SCHEDULE


def test_a_run_whose_inputs_are_not_there_waits_for_them(caller: Client, flow: str, stream: Stream) -> None:
    running = stream.decide(start(flow, name="extract")).run_id
    done = stream.decide(start(flow, COMPLETED)).run_id
    inputs = [
        TaskInput(parameter="data", task_run_ids=[running]),
        TaskInput(parameter="wait_for", task_run_ids=[done]),
    ]
    run = create_task(caller, flow, name="load", inputs=inputs)
    told = explain(caller, run.id)
    assert told.cause == WAIT_CAUSE_UPSTREAM
    (upstream,) = told.upstream
    assert (upstream.task_run_id, upstream.task_run_name, upstream.parameter) == (running, "extract", "data")
    assert (upstream.state_type, upstream.state_name) == (RUNNING.type, "Running")
    assert told.summary == "load waits for the results of extract (Running)"
    stream.decide(move(running, COMPLETED))
    assert explain(caller, run.id).cause == WAIT_CAUSE_CLIENT


def test_a_run_that_waits_for_its_own_ancestors_slot_is_told_so(
    caller: Client, flow: str, stream: Stream, shared_server: Server
) -> None:
    tag = set_limit(caller, 1)
    parent = stream.decide(start(flow, name="parent", tags=[tag])).run_id
    child = start(flow, name="child", tags=[tag])
    assert stream.decide(child).wait.queued
    run_id = child.create_task_run.id
    stream.send(ProposeRequest(awaits=[Await(task_run_id=parent, awaited_task_run_id=run_id)]))
    wait_until(lambda: explain(caller, run_id).limits[0].HasField("ancestor"), "the ancestor")
    told = explain(caller, run_id)
    assert told.limits[0].ancestor.task_run_name == "parent"
    assert "held by its own ancestor parent" in told.summary
    assert any(run_id in line and parent in line for line in shared_server.log)
    stream.send(ProposeRequest(awaits=[Await(task_run_id=parent)]))
    wait_until(lambda: not explain(caller, run_id).limits[0].HasField("ancestor"), "the end of the wait")


def test_an_ancestor_may_wait_through_others(caller: Client, flow: str, stream: Stream) -> None:
    tag = set_limit(caller, 1)
    parent = stream.decide(start(flow, name="parent", tags=[tag])).run_id
    middle = stream.decide(start(flow, name="middle")).run_id
    child = start(flow, name="child", tags=[tag])
    stream.decide(child)
    run_id = child.create_task_run.id
    awaits = [
        Await(task_run_id=parent, awaited_task_run_id=middle),
        Await(task_run_id=middle, awaited_task_run_id=run_id),
    ]
    stream.send(ProposeRequest(awaits=awaits))
    wait_until(lambda: explain(caller, run_id).limits[0].HasField("ancestor"), "the ancestor")
    assert explain(caller, run_id).limits[0].ancestor.task_run_id == parent


@pytest.mark.parametrize("limit", [1, 2])
def test_the_wait_for_an_awaited_run_names_the_ancestors_that_hold_the_slots(
    caller: Client, flow: str, stream: Stream, shared_server: Server, limit: int
) -> None:
    tag = set_limit(caller, limit)
    child = start(flow, name="child", tags=[tag])
    elders = [
        stream.decide(start(flow, name=f"elder {number}", tags=[tag])).run_id for number in range(limit)
    ]
    middle = stream.decide(start(flow, name="middle")).run_id
    chain = [*elders, middle, child.create_task_run.id]
    awaits = [Await(task_run_id=run, awaited_task_run_id=of) for run, of in itertools.pairwise(chain)]
    stream.send(ProposeRequest(awaits=awaits, proposals=[child]))
    wait = stream.decision(child.id).wait
    assert wait.queued
    unary = SetTaskRunStateRequest(task_run_id=child.create_task_run.id, state=RUNNING)
    told = caller.stub.SetTaskRunState(unary).decision.wait
    for number, elder in enumerate(elders):
        assert f"held by its own ancestor elder {number}" in wait.message
        assert f"held by its own ancestor elder {number}" in told.message

        def said(elder: str = elder) -> list[str]:
            return [line for line in shared_server.log if elder in line and child.create_task_run.id in line]

        (line,) = wait_until(said, "the line in the log")
        assert json.loads(line)["level"] == "warning"
        assert tag in line


def test_runs_that_wait_for_each_other_in_a_ring_are_explained(
    caller: Client, flow: str, stream: Stream
) -> None:
    tag = set_limit(caller, 1)
    one = stream.decide(start(flow, tags=[tag])).run_id
    two = stream.decide(start(flow)).run_id
    waits = start(flow, tags=[tag])
    stream.decide(waits)
    ring = [
        Await(task_run_id=one, awaited_task_run_id=two),
        Await(task_run_id=two, awaited_task_run_id=one),
    ]
    stream.send(ProposeRequest(awaits=ring))
    stream.ping(1)
    assert explain(caller, waits.create_task_run.id).cause == WAIT_CAUSE_LIMIT


def _ended(caller: Client, run_id: str) -> ExplainTaskRunResponse | None:
    told = explain(caller, run_id)
    return told if told.task_run.state.name == "Crashed" else None
