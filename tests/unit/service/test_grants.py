"""Slots granted to waiters: each grant reaches its client, whatever else the turn that made it ran into."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from clearway.v1.error_pb2 import ERROR_REASON_STORE_UNAVAILABLE
from clearway.v1.proposal_pb2 import Decision, SetTaskRunStateRequest
from clearway.v1.task_run_pb2 import CreateTaskRunRequest
from clearway_service.engine.budget import Call, current_call
from clearway_service.errors import StoreUnavailableError
from clearway_service.store.limits import delete_limit
from clearway_service.store.open_files import Fault
from clearway_service.store.session_ends import end_session
from support.database import rows
from support.proposals import COMPLETED, RUNNING, move, seconds, start, task_spec
from support.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    from unit.service.conftest import Service

# More than any client may have in decisions that it has not read.
ALL_ITS_ROOM = 64 * 1024 * 1024


@contextlib.contextmanager
def files_away_after_the_next_commit(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the check of the files find a fault, once: after the commit of what is submitted in the block."""
    database = service.engine.database
    files, fault = database._files, database._files.fault
    stage = ["before"]

    def after_the_commit() -> Fault | None:
        if stage[0] == "armed":
            stage[0] = "over"
            return Fault("the database was away for a moment")
        return fault()

    monkeypatch.setattr(files, "fault", after_the_commit)
    with service.client().engine_held(start(service.flow_id)):
        # In the same turn as the block's, and not in one in which the engine renews leases.
        service.engine.pipeline.run(lambda _transaction: stage.__setitem__(0, "armed"))
        yield
    wait_until(lambda: stage[0] == "over", "a commit with a fault after it")


class TestFailuresInTheSameTurn:
    def test_a_grant_survives_a_command_that_fails_while_the_client_has_no_room(
        self, service: Service
    ) -> None:
        service.limit("disk", 1)
        caller = service.engine.budget.caller()
        holder, waiter, third = service.client(), service.client(caller=caller), service.client()
        waiting = start(service.flow_id, tags=["disk"])
        holder.decide(start(service.flow_id, tags=["disk"]))
        waiter.decide(waiting)
        caller.owe(ALL_ITS_ROOM)
        pipeline = service.engine.pipeline
        with third.engine_held(start(service.flow_id)):
            ended = pipeline.run(end_session(holder.connection.session_id, "its client ended the session"))
            failed = pipeline.run(lambda _transaction: 1 / 0)
        ended.result()
        assert isinstance(failed.exception(), StoreUnavailableError)
        caller.sent(ALL_ITS_ROOM)
        assert waiter.decisions(waiting.id, 2)[1].HasField("accept")


class TestCommitsOfUnknownOutcome:
    def test_a_grant_reaches_its_client_although_the_commit_reported_a_fault(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.limit("disk", 1)
        holder, waiter = service.client(), service.client()
        held, waiting, next_ = (start(service.flow_id, tags=["disk"]) for _ in range(3))
        holder.decide(held)
        waiter.decide(waiting)
        waiter.decide(next_)
        ended = move(held.create_task_run.id, COMPLETED)
        with files_away_after_the_next_commit(service, monkeypatch):
            holder.propose(ended)
        assert holder.decisions(ended.id)[0].error.reason == ERROR_REASON_STORE_UNAVAILABLE
        assert waiter.decisions(waiting.id, 2)[1].HasField("accept")
        holder.propose(ended)
        assert holder.decisions(ended.id, 2)[1].HasField("accept")
        assert len(waiter.decisions(next_.id)) == 1, "one that still waits keeps its place without a word"
        waiter.decide(move(waiting.create_task_run.id, COMPLETED))
        assert waiter.decisions(next_.id, 2)[1].HasField("accept")

    def test_all_waiters_of_a_deleted_limit_are_granted_although_the_commit_reported_a_fault(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.limit("disk", 1)
        client, waiting = service.client(), [start(service.flow_id, tags=["disk"]) for _ in range(600)]
        client.propose(start(service.flow_id, tags=["disk"]), *waiting)
        client.settle()
        with files_away_after_the_next_commit(service, monkeypatch):
            deleted = service.engine.pipeline.run(delete_limit("disk"))
        assert isinstance(deleted.exception(), StoreUnavailableError)
        for proposal in waiting:
            assert client.decisions(proposal.id, 2)[1].HasField("accept")
        wait_until(lambda: service.engine.pipeline.waiting == 0, "the end of all waiting")

    def test_a_proposal_that_was_withdrawn_does_not_wait_again(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.limit("disk", 1)
        client, waiting = service.client(), start(service.flow_id, tags=["disk"])
        held = start(service.flow_id, tags=["disk"])
        client.decide(held)
        client.decide(waiting)
        with files_away_after_the_next_commit(service, monkeypatch):
            client.connection.withdraw([waiting.id])
        wait_until(lambda: service.engine.pipeline.waiting == 0, "the end of all waiting")
        assert rows(service.database, "SELECT * FROM waiter") == []
        client.decide(move(held.create_task_run.id, COMPLETED))
        assert service.names(waiting.create_task_run.id) == ["Pending"]


class TestClientsWithoutRoom:
    def test_a_call_that_stops_waiting_returns_the_slot_it_was_granted(self, service: Service) -> None:
        service.limit("disk", 1)
        caller = service.engine.budget.caller()
        client, held = service.client(), start(service.flow_id, tags=["disk"])
        client.decide(held)
        run = task_spec(service.flow_id, tags=["disk"])
        service.call("CreateTaskRun", CreateTaskRunRequest(task_run=run))
        request = SetTaskRunStateRequest(task_run_id=run.id, state=RUNNING, wait_timeout=seconds(2))

        async def wait() -> Decision:
            current_call.set(Call(caller, 100))
            answer = asyncio.create_task(service.orchestrator.SetTaskRunState(request))
            waits = lambda: service.engine.pipeline.waiting == 1  # noqa: E731
            await asyncio.to_thread(wait_until, waits, "a waiter")
            caller.owe(ALL_ITS_ROOM)
            await asyncio.to_thread(client.decide, move(held.create_task_run.id, COMPLETED))
            return (await answer).decision

        decision = asyncio.run(wait())
        # Where the machine was too slow, the call gave up its place before.
        assert decision.HasField("accept") == (service.names(run.id)[-1] == "Running")

    def test_a_client_that_leaves_the_queue_first_gets_the_slot_it_was_granted(
        self, service: Service
    ) -> None:
        service.limit("disk", 1)
        caller = service.engine.budget.caller()
        holder, waiter = service.client(), service.client(caller=caller)
        held, granted, waiting = (start(service.flow_id, tags=["disk"]) for _ in range(3))
        holder.decide(held)
        waiter.decide(granted)
        waiter.decide(waiting)
        caller.owe(ALL_ITS_ROOM)
        holder.decide(move(held.create_task_run.id, COMPLETED))
        left = waiter.connection.leave_queue()
        service.engine.pipeline.run(lambda _transaction: None).result()
        assert rows(service.database, "SELECT * FROM waiter") == []
        assert not left.done()
        caller.sent(ALL_ITS_ROOM)
        left.result(DEADLINE_SECONDS)
        assert [each.WhichOneof("answer") for each in waiter.decisions(granted.id)] == ["wait", "accept"]
        assert len(waiter.decisions(waiting.id)) == 1
