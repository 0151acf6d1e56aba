"""What an engine knows from its last turns holds only while these succeed and nobody else has written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from clearway.v1.error_pb2 import ERROR_REASON_STORE_UNAVAILABLE
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.proposal_pb2 import ABORT_REASON_TERMINAL
from clearway_service.engine.clock import system_clock
from support.proposals import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, move, start

if TYPE_CHECKING:
    from unit.service.conftest import Service


def test_a_run_that_another_engine_has_ended_goes_no_further(serve: Callable[..., Service]) -> None:
    service, fellow = serve(system_clock), serve(system_clock)
    client = service.client()
    proposal = start(service.flow_id)
    run_id = proposal.create_task_run.id
    assert client.decide(proposal).HasField("accept")
    assert fellow.client("fellow").decide(move(run_id, CANCELLED)).HasField("accept")
    assert client.decide(move(run_id, COMPLETED)).abort.reason == ABORT_REASON_TERMINAL
    assert service.names(run_id) == ["Running", "Cancelled"]


def test_a_run_that_another_engine_has_let_try_again_has_its_retries_counted_once(
    serve: Callable[..., Service],
) -> None:
    service, fellow = serve(system_clock), serve(system_clock)
    client, other = service.client(), fellow.client("fellow")
    proposal = start(service.flow_id, retries=2)
    run_id = proposal.create_task_run.id
    client.decide(proposal)
    assert other.decide(move(run_id, FAILED)).state.name == "AwaitingRetry"
    assert client.decide(move(run_id, RUNNING)).state.name == "Retrying"
    assert other.decide(move(run_id, FAILED)).state.name == "AwaitingRetry"
    assert client.decide(move(run_id, RUNNING)).state.name == "Retrying"
    assert client.decide(move(run_id, FAILED)).state.name == "Failed"
    assert service.task(run_id).run_count == 3


def test_what_was_decided_in_a_turn_that_failed_was_never_decided(service: Service) -> None:
    client = service.client()
    proposal = start(service.flow_id)
    run_id = proposal.create_task_run.id
    client.decide(proposal)
    with states_refused(service):
        assert client.decide(move(run_id, FAILED)).error.reason == ERROR_REASON_STORE_UNAVAILABLE
    assert client.decide(move(run_id, COMPLETED)).HasField("accept")
    assert service.names(run_id) == ["Running", "Completed"]


def test_what_a_call_has_changed_of_a_run_is_seen_by_the_next_turn(service: Service) -> None:
    client = service.client()
    proposal = start(service.flow_id, PENDING, tracks_subflow=True)
    run_id = proposal.create_task_run.id
    client.decide(proposal)
    subflow = FlowRunSpec(flow_name="inner", parent_task_run_id=run_id)
    child = service.call("CreateFlowRun", CreateFlowRunRequest(flow_run=subflow)).flow_run.id
    answer = client.decide(move(run_id, RUNNING))
    assert answer.state.details.child_flow_run_id == child


def test_a_limit_that_another_program_has_filled_holds_for_the_next_proposal(service: Service) -> None:
    service.limit("disk", 1)
    client = service.client()
    first = start(service.flow_id, tags=["disk"])
    assert client.decide(first).HasField("accept")
    assert client.decide(move(first.create_task_run.id, COMPLETED)).HasField("accept")
    with closing(sqlite3.connect(service.database, timeout=30)) as other, other:
        other.execute("INSERT INTO slot VALUES ('disk', 'of another', 0)")
    assert client.decide(start(service.flow_id, tags=["disk"])).wait.blocking_tags == ["disk"]


@contextmanager
def states_refused(service: Service) -> Iterator[None]:
    """Let the database refuse new states, which come last in a turn's transaction."""

    def refuse(action: int, table: str | None, *_: Any) -> int:
        refused = action == sqlite3.SQLITE_INSERT and table == "state"
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    driver: Any = service.engine.database.driver
    driver.set_authorizer(refuse)
    try:
        yield
    finally:
        driver.set_authorizer(None)
