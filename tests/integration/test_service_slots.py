"""Slots for unary callers: told to come again, waiting in the call, or away with a place kept."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc import StatusCode

from clearway.v1.proposal_pb2 import ABORT_REASON_LIMIT_ZERO, Decision, SetTaskRunStateRequest
from clearway.v1.state_pb2 import State
from support.client import Client, failure_of
from support.database import locked
from support.limits import get_limit, held_by, set_limit
from support.proposals import (
    COMPLETED,
    RUNNING,
    create_flow,
    create_task,
    get_task,
    move,
    names,
    new_id,
    seconds,
    start,
)
from support.server import Server
from support.waiting import wait_until


@pytest.fixture
def flow(caller: Client) -> str:
    return create_flow(caller).spec.id


@pytest.fixture(scope="module")
def short_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server whose places are kept for 2 x 0.2 seconds."""
    environment = {"CLEARWAY_SLOT_RETRY_AFTER_SECONDS": "0.2"}
    with Server(tmp_path_factory.mktemp("short") / "server.db", environment=environment) as running:
        yield running


def ask(client: Client, run_id: str, state: State = RUNNING, proposal_id: str = "") -> Decision:
    request = SetTaskRunStateRequest(task_run_id=run_id, state=state, proposal_id=proposal_id)
    return client.stub.SetTaskRunState(request).decision


def waiting_call(client: Client, run_id: str, wait: float) -> SetTaskRunStateRequest:
    del client
    return SetTaskRunStateRequest(task_run_id=run_id, state=RUNNING, wait_timeout=seconds(wait))


def test_a_caller_that_does_not_wait_is_told_to_come_again(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    held, other = (create_task(caller, flow, tags=[tag]).spec.id for _ in range(2))
    assert ask(caller, held).HasField("accept")
    decision = ask(caller, other)
    assert decision.wait.retry_after.seconds == 30
    assert not decision.wait.queued
    assert list(decision.wait.blocking_tags) == [tag]
    assert names(caller, other) == ["Pending"]
    assert get_limit(caller, tag).waiting_count == 0
    assert ask(caller, held, COMPLETED).HasField("accept")
    assert ask(caller, other).HasField("accept")


def test_a_caller_that_waits_gets_the_slot_when_it_is_free(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    held, other = (create_task(caller, flow, tags=[tag]).spec.id for _ in range(2))
    ask(caller, held)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(caller.stub.SetTaskRunState, waiting_call(caller, other, 60))
        wait_until(lambda: get_limit(caller, tag).waiting_count == 1, "the waiter")
        ask(caller, held, COMPLETED)
        assert call.result().decision.HasField("accept")
    assert names(caller, other) == ["Pending", "Running"]


def test_a_caller_whose_wait_is_over_is_told_to_come_again_and_waits_no_longer(
    caller: Client, flow: str
) -> None:
    tag = set_limit(caller, 1)
    held, other = (create_task(caller, flow, tags=[tag]).spec.id for _ in range(2))
    ask(caller, held)
    decision = caller.stub.SetTaskRunState(waiting_call(caller, other, 0.05)).decision
    assert decision.wait.retry_after.seconds == 30
    assert not decision.wait.queued
    wait_until(lambda: get_limit(caller, tag).waiting_count == 0, "the end of the wait")
    ask(caller, held, COMPLETED)
    assert held_by(caller, tag) == []


def test_a_caller_that_hangs_up_while_it_waits_gets_no_slot(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    held, other = (create_task(caller, flow, tags=[tag]).spec.id for _ in range(2))
    ask(caller, held)
    call = caller.stub.SetTaskRunState.future(waiting_call(caller, other, 60))
    wait_until(lambda: get_limit(caller, tag).waiting_count == 1, "the waiter")
    call.cancel()
    wait_until(lambda: get_limit(caller, tag).waiting_count == 0, "the end of the wait")
    ask(caller, held, COMPLETED)
    assert held_by(caller, tag) == []
    assert names(caller, other) == ["Pending"]


def test_a_caller_that_hangs_up_before_its_first_answer_gets_no_slot(
    caller: Client, flow: str, shared_server: Server
) -> None:
    tag = set_limit(caller, 1)
    held, other = (create_task(caller, flow, tags=[tag]).spec.id for _ in range(2))
    ask(caller, held)
    with locked(shared_server.database):
        with pytest.raises(grpc.RpcError) as raised:
            caller.stub.SetTaskRunState(waiting_call(caller, other, 60), timeout=0.3)
        assert failure_of(raised.value).code == StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: get_limit(caller, tag).waiting_count == 0, "the end of the wait")
    ask(caller, held, COMPLETED)
    assert held_by(caller, tag) == []
    assert names(caller, other) == ["Pending"]


def test_a_limit_of_zero_aborts_a_caller_that_waits(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    held, other = (create_task(caller, flow, tags=[tag]).spec.id for _ in range(2))
    ask(caller, held)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(caller.stub.SetTaskRunState, waiting_call(caller, other, 60))
        wait_until(lambda: get_limit(caller, tag).waiting_count == 1, "the waiter")
        set_limit(caller, 0, tag)
        assert call.result().decision.abort.reason == ABORT_REASON_LIMIT_ZERO


def test_one_that_is_away_keeps_its_place_and_holds_up_nobody(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    held, away, later = (create_task(caller, flow, tags=[tag]).spec.id for _ in range(3))
    ask(caller, held)
    proposal_id = new_id()
    assert ask(caller, away, RUNNING, proposal_id).wait.retry_after.seconds == 30
    stream = caller.open()
    here = move(later, RUNNING)
    behind = start(flow, tags=[tag])
    stream.propose(here, behind)
    assert stream.decision(here.id).wait.queued
    assert stream.decision(behind.id).wait.queued
    # The slot goes to who is here.
    ask(caller, held, COMPLETED)
    assert stream.decision(here.id).HasField("accept")
    # Back while the slot is taken, it stands before those who came after it.
    with ThreadPoolExecutor() as pool:
        request = SetTaskRunStateRequest(
            task_run_id=away, state=RUNNING, proposal_id=proposal_id, wait_timeout=seconds(60)
        )
        call = pool.submit(caller.stub.SetTaskRunState, request)
        wait_until(lambda: get_limit(caller, tag).waiting_count == 2, "the return")
        assert get_limit(caller, tag).waiters[0].task_run_id == away
        stream.decide(move(later, COMPLETED))
        assert call.result().decision.HasField("accept")
    assert len(stream.decisions(behind.id)) == 1
    ask(caller, away, COMPLETED)
    assert stream.decision(behind.id).HasField("accept")
    stream.say_goodbye()


def test_one_that_stays_away_loses_its_place(short_server: Server) -> None:
    with Client(short_server.address) as client:
        flow, tag = create_flow(client).spec.id, set_limit(client, 1)
        held, away, later = (create_task(client, flow, tags=[tag]).spec.id for _ in range(3))
        ask(client, held)
        proposal_id = new_id()
        assert ask(client, away, RUNNING, proposal_id).wait.retry_after.ToMilliseconds() == 200
        with ThreadPoolExecutor() as pool:
            # It stands behind until the place of the one before is given up.
            call = pool.submit(client.stub.SetTaskRunState, waiting_call(client, later, 60))
            wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the waiter")
            ask(client, held, COMPLETED)
            assert call.result().decision.HasField("accept")
        assert ask(client, away, RUNNING, proposal_id).wait.HasField("retry_after")
        assert get_task(client, away).state.name == "Pending"
