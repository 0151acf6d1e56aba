"""Runs over unary calls: the rules as a stub of any language sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from clearway.v1.cache_pb2 import LookupCacheRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec, GetFlowRunRequest
from clearway.v1.proposal_pb2 import (
    ABORT_REASON_TERMINAL,
    Decision,
    Proposal,
    SetFlowRunStateRequest,
    SetTaskRunStateRequest,
)
from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, STATE_TYPE_FAILED, State, StateDetails
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, TaskInput
from support.client import Client
from support.proposals import (
    CANCELLED,
    COMPLETED,
    CRASHED,
    FAILED,
    PENDING,
    RUNNING,
    create_flow,
    create_task,
    flow_names,
    get_task,
    names,
    new_id,
    scheduled,
    seconds,
    task_spec,
    task_states,
    with_key,
    with_result,
)
from support.server import Server
from support.waiting import wait_until


@pytest.fixture
def flow(caller: Client) -> str:
    return create_flow(caller).spec.id


def ask(client: Client, run_id: str, state: State, proposal_id: str = "") -> Decision:
    request = SetTaskRunStateRequest(task_run_id=run_id, state=state, proposal_id=proposal_id)
    return client.stub.SetTaskRunState(request).decision


def ask_flow(client: Client, run_id: str, state: State, proposal_id: str = "") -> Decision:
    request = SetFlowRunStateRequest(flow_run_id=run_id, state=state, proposal_id=proposal_id)
    return client.stub.SetFlowRunState(request).decision


def test_a_task_run_goes_from_pending_to_completed_with_its_columns(caller: Client, flow: str) -> None:
    run = create_task(caller, flow, name="load", task_version="3", tags=["b", "a"], retries=1)
    assert (run.state.name, run.run_count, run.HasField("start_time")) == ("Pending", 0, False)
    assert ask(caller, run.id, RUNNING).HasField("accept")
    running = get_task(caller, run.id)
    assert (running.run_count, running.start_time) == (1, running.state.timestamp)
    assert ask(caller, run.id, with_result(COMPLETED, b"[1]")).HasField("accept")
    done = get_task(caller, run.id)
    assert (done.name, done.task_version, list(done.tags)) == ("load", "3", ["a", "b"])
    assert (done.state.name, done.state.data.inline, done.end_time) == (
        "Completed",
        b"[1]",
        done.state.timestamp,
    )
    spent = done.end_time.ToDatetime() - done.start_time.ToDatetime()
    assert done.total_run_time.ToTimedelta() == spent > timedelta(0)


@pytest.mark.parametrize("ending", [COMPLETED, FAILED, CANCELLED, CRASHED], ids=lambda state: str(state.type))
@pytest.mark.parametrize("next_", [PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, CRASHED])
def test_a_run_that_has_ended_stays_so(ending: State, next_: State, caller: Client, flow: str) -> None:
    run = create_task(caller, flow).spec.id
    ask(caller, run, RUNNING)
    ask(caller, run, ending)
    decision = ask(caller, run, next_)
    assert decision.abort.reason == ABORT_REASON_TERMINAL
    assert decision.state.type == ending.type
    assert len(names(caller, run)) == 3


def test_a_failed_run_is_retried_as_often_as_it_may(caller: Client, flow: str) -> None:
    run = create_task(caller, flow, retries=2, retry_delays=[seconds(0)]).spec.id
    ask(caller, run, RUNNING)
    for attempt in (1, 2):
        decision = ask(caller, run, State(type=STATE_TYPE_FAILED, message=f"attempt {attempt}"))
        assert decision.HasField("reject")
        assert (decision.state.name, decision.state.message) == ("AwaitingRetry", f"attempt {attempt}")
        assert decision.state.details.HasField("scheduled_time")
        assert ask(caller, run, RUNNING).state.name == "Retrying"
    assert ask(caller, run, FAILED).HasField("accept")
    assert names(caller, run) == [
        "Pending",
        "Running",
        "AwaitingRetry",
        "Retrying",
        "AwaitingRetry",
        "Retrying",
        "Failed",
    ]
    assert get_task(caller, run).run_count == 3


def test_a_retry_waits_for_its_delay(caller: Client, flow: str) -> None:
    run = create_task(caller, flow, retries=1, retry_delays=[seconds(60)]).spec.id
    ask(caller, run, RUNNING)
    planned = ask(caller, run, FAILED).state.details.scheduled_time
    decision = ask(caller, run, RUNNING)
    assert timedelta(seconds=55) < decision.wait.retry_after.ToTimedelta() <= timedelta(seconds=60)
    assert not decision.wait.blocking_tags
    assert decision.state.name == "AwaitingRetry"
    assert get_task(caller, run).expected_start_time == planned
    assert ask(caller, run, CANCELLED).HasField("accept")


def test_each_retry_has_its_own_delay(caller: Client, flow: str) -> None:
    run = create_task(caller, flow, retries=3, retry_delays=[seconds(0), seconds(90)]).spec.id
    ask(caller, run, RUNNING)
    ask(caller, run, FAILED)
    ask(caller, run, RUNNING)
    ask(caller, run, FAILED)
    left = ask(caller, run, RUNNING).wait.retry_after.ToTimedelta()
    assert timedelta(seconds=85) < left <= timedelta(seconds=90)


def test_delays_are_spread_by_the_service(caller: Client, flow: str) -> None:
    planned = set()
    for _ in range(5):
        run = create_task(
            caller, flow, retries=1, retry_delays=[seconds(3_600)], retry_jitter_factor=0.5
        ).spec.id
        ask(caller, run, RUNNING)
        ask(caller, run, FAILED)
        left = ask(caller, run, RUNNING).wait.retry_after.ToTimedelta()
        assert timedelta(minutes=30) < left <= timedelta(minutes=90)
        planned.add(left // timedelta(seconds=10))
    assert len(planned) > 1


def test_a_run_that_declines_its_retries_is_failed(caller: Client, flow: str) -> None:
    run = create_task(caller, flow, retries=3).spec.id
    ask(caller, run, RUNNING)
    declined = State(type=STATE_TYPE_FAILED, details=StateDetails(no_retry=True))
    assert ask(caller, run, declined).HasField("accept")
    assert names(caller, run) == ["Pending", "Running", "Failed"]


def test_a_run_that_refreshes_the_cache_runs_and_replaces_the_entry(caller: Client, flow: str) -> None:
    first, second, third = (create_task(caller, flow).spec.id for _ in range(3))
    ask(caller, first, with_key(RUNNING, "refreshed"))
    ask(caller, first, with_result(with_key(COMPLETED, "refreshed"), b"1"))
    refreshing = with_key(RUNNING, "refreshed")
    refreshing.details.refresh_cache = True
    assert ask(caller, second, refreshing).HasField("accept")
    ask(caller, second, with_result(with_key(COMPLETED, "refreshed"), b"2"))
    cached = ask(caller, third, with_key(RUNNING, "refreshed"))
    assert (cached.HasField("reject"), cached.state.data.inline) == (True, b"2")


def test_a_scheduled_run_begins_at_its_time_and_is_cancelled_at_any(caller: Client, flow: str) -> None:
    later = create_task(caller, flow, scheduled(timedelta(hours=1))).spec.id
    due = create_task(caller, flow, scheduled(timedelta(hours=-1))).spec.id
    assert get_task(caller, later).state.name == "Scheduled"
    for state in (RUNNING, PENDING):
        assert ask(caller, later, state).wait.retry_after.ToTimedelta() > timedelta(minutes=59)
    assert ask(caller, due, RUNNING).HasField("accept")
    assert ask(caller, later, CANCELLED).HasField("accept")
    assert names(caller, later) == ["Scheduled", "Cancelled"]


def test_a_completed_run_with_a_key_is_used_by_the_next(caller: Client, flow: str) -> None:
    key = new_id()
    first, second = (create_task(caller, flow).spec.id for _ in range(2))
    assert ask(caller, first, with_key(RUNNING, key)).HasField("accept")
    assert not caller.stub.LookupCache(LookupCacheRequest(key=key)).HasField("entry")
    ask(caller, first, with_result(with_key(COMPLETED, key, 3_600), b"42"))
    entry = caller.stub.LookupCache(LookupCacheRequest(key=key)).entry
    assert entry.expires.ToDatetime() - entry.created.ToDatetime() == timedelta(hours=1)
    assert entry.state.data.inline == b"42"
    decision = ask(caller, second, with_key(RUNNING, key))
    assert decision.HasField("reject")
    assert (decision.state.name, decision.state.type) == ("Cached", STATE_TYPE_COMPLETED)
    assert decision.state.data.inline == b"42"
    assert get_task(caller, second).run_count == 0


def test_an_entry_that_has_expired_is_not_served(caller: Client, flow: str) -> None:
    key = new_id()
    first, second = (create_task(caller, flow).spec.id for _ in range(2))
    ask(caller, first, RUNNING)
    ask(caller, first, with_key(COMPLETED, key, 0.05))

    def expired() -> bool:
        return not caller.stub.LookupCache(LookupCacheRequest(key=key)).HasField("entry")

    wait_until(expired, "the expiry")
    assert ask(caller, second, with_key(RUNNING, key)).HasField("accept")


def test_a_subflow_is_mirrored_into_the_run_that_tracks_it(caller: Client, flow: str) -> None:
    tracking = create_task(caller, flow, tracks_subflow=True).spec.id
    child = create_flow(caller, parent_task_run_id=tracking, retries=1).spec.id
    ask_flow(caller, child, RUNNING)
    ask_flow(caller, child, FAILED)
    ask_flow(caller, child, RUNNING)
    ask_flow(caller, child, with_result(COMPLETED, b"7"))
    expected = ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
    assert flow_names(caller, child) == expected
    assert names(caller, tracking) == expected
    state = task_states(caller, tracking)[-1]
    assert state.data.inline == b"7"
    assert state.details.child_flow_run_id == child
    assert state.details.flow_run_id == flow


def test_a_subflow_of_a_run_that_tracks_none_is_refused(caller: Client, flow: str) -> None:
    plain = create_task(caller, flow).spec.id
    spec = FlowRunSpec(flow_name="child", parent_task_run_id=plain)
    failure = caller.fails("CreateFlowRun", CreateFlowRunRequest(flow_run=spec))
    assert failure.fields == ("flow_run.parent_task_run_id",)
    assert plain in failure.message
    assert "tracks_subflow" in failure.message


def test_a_flow_run_is_retried_too(caller: Client) -> None:
    flow = create_flow(caller, retries=1).spec.id
    ask_flow(caller, flow, RUNNING)
    assert ask_flow(caller, flow, FAILED).state.name == "AwaitingRetry"
    assert ask_flow(caller, flow, RUNNING).state.name == "Retrying"
    assert ask_flow(caller, flow, FAILED).HasField("accept")
    run = caller.stub.GetFlowRun(GetFlowRunRequest(id=flow)).flow_run
    assert (run.run_count, run.state.name) == (2, "Failed")


def test_creating_a_run_again_answers_the_run_that_is_there(caller: Client, flow: str) -> None:
    spec = task_spec(flow, name="first")
    first = caller.stub.CreateTaskRun(CreateTaskRunRequest(task_run=spec))
    ask(caller, first.task_run.spec.id, RUNNING)
    spec.id, spec.name = new_id(), "second"
    again = caller.stub.CreateTaskRun(CreateTaskRunRequest(task_run=spec))
    assert (first.created, again.created) == (True, False)
    assert (again.task_run.spec.id, again.task_run.spec.name) == (first.task_run.spec.id, "first")
    assert again.task_run.state.name == "Running"
    request = CreateFlowRunRequest(flow_run=FlowRunSpec(id=flow, flow_name="another"))
    same = caller.stub.CreateFlowRun(request)
    assert (same.created, same.flow_run.spec.flow_name) == (False, "flow")


def test_a_run_keeps_what_was_said_of_it(caller: Client, flow: str) -> None:
    upstream = create_task(caller, flow).spec.id
    inputs = [TaskInput(parameter="x", task_run_ids=[upstream]), TaskInput(parameter="é")]
    run = create_task(caller, flow, inputs=inputs, retries=3, retry_delays=[seconds(1.5)])
    found = get_task(caller, run.id)
    assert found == run
    assert list(found.inputs) == inputs
    assert (found.retries, [each.ToTimedelta() for each in found.retry_delays]) == (
        3,
        [timedelta(seconds=1.5)],
    )


def test_the_service_makes_ids_and_names_that_were_left_out(caller: Client) -> None:
    request = CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="nightly"))
    first, second = (caller.stub.CreateFlowRun(request).flow_run for _ in range(2))
    assert first.id != second.id
    assert first.name.startswith("nightly-")
    assert first.parameters_json == "{}"
    created = first.created.ToDatetime(tzinfo=UTC)
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)


@pytest.mark.parametrize("kind", ["accept", "reject", "abort"])
def test_the_same_proposal_is_answered_the_same_over_unary_calls_streams_and_restarts(
    kind: str, tmp_path: Path
) -> None:
    with Server(tmp_path / "server.db") as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        run = create_task(client, flow, retries=1 if kind == "reject" else 0).spec.id
        ask(client, run, RUNNING)
        if kind == "abort":
            ask(client, run, COMPLETED)
        proposal_id = new_id()
        first = ask(client, run, FAILED, proposal_id)
        assert first.WhichOneof("answer") == kind
        history = names(client, run)
        assert ask(client, run, FAILED, proposal_id) == first
        assert ask(client, run, FAILED, proposal_id.upper()).state == first.state
        if kind == "reject":
            # What has happened since changes nothing about it.
            ask(client, run, RUNNING)
            history.append("Retrying")
        stream = client.open()
        proposal = Proposal(id=proposal_id, task_run_id=run, state=FAILED)
        assert stream.decide(proposal) == first
        stream.say_goodbye()
        server.kill()
        server.start()
        wait_until(lambda: _reached(client, run), "the server's return")
        assert ask(client, run, FAILED, proposal_id) == first
        assert names(client, run) == history


def _reached(client: Client, run: str) -> bool:
    try:
        return bool(get_task(client, run).spec.id)
    except grpc.RpcError:
        return False


def test_a_wait_is_not_the_answer_of_a_proposal(caller: Client, flow: str) -> None:
    run = create_task(caller, flow, scheduled(timedelta(seconds=0.2))).spec.id
    proposal_id = new_id()
    decision = ask(caller, run, RUNNING, proposal_id)
    assert decision.HasField("wait") or decision.HasField("accept")
    wait_until(lambda: ask(caller, run, RUNNING, proposal_id).HasField("accept"), "its time")
    assert names(caller, run) == ["Scheduled", "Running"]
