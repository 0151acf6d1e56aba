"""Who waits for a slot of an engine: nobody is forgotten, and nobody who has gone gets one."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from clearway.v1.concurrency_limit_pb2 import (
    DeleteConcurrencyLimitByTagRequest,
    GetConcurrencyLimitByTagRequest,
)
from clearway.v1.error_pb2 import ERROR_REASON_PROPOSAL_CONFLICT
from clearway.v1.proposal_pb2 import Proposal, SetTaskRunStateRequest
from clearway.v1.state_pb2 import STATE_TYPE_RUNNING, State, StateDetails
from clearway.v1.task_run_pb2 import CreateTaskRunRequest
from support.database import rows
from support.proposals import COMPLETED, PENDING, RUNNING, move, new_id, scheduled, seconds, start, task_spec
from support.waiting import wait_until

if TYPE_CHECKING:
    from unit.service.conftest import Service

from datetime import timedelta


class TestWithdrawing:
    def test_a_proposal_that_is_withdrawn_before_it_is_decided_gets_no_slot_later(
        self, service: Service
    ) -> None:
        service.limit("disk", 1)
        client = service.client()
        holder, waiting = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
        with client.engine_held(holder):
            client.propose(waiting)
            client.connection.withdraw([waiting.id])
        answer = client.decisions(waiting.id)[0]
        assert answer.HasField("wait")
        assert not answer.wait.queued
        client.decide(move(holder.create_task_run.id, COMPLETED))
        assert service.names(waiting.create_task_run.id) == ["Pending"]

    def test_one_that_is_proposed_again_waits_although_its_withdrawal_comes_later(
        self, service: Service
    ) -> None:
        service.limit("disk", 1)
        caller = service.engine.budget.caller()
        client, other = service.client(caller=caller), service.client()
        held, waiting = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
        other.decide(held)
        client.decide(waiting)
        with other.engine_held(start(service.flow_id)):
            # More commands than have a part in one turn go before the withdrawal.
            for _ in range(200):
                client.connection.withdraw([new_id()])
            withdrawn = client.connection.withdraw([waiting.id])
            client.propose(waiting)
        withdrawn.result()
        assert client.decisions(waiting.id, 2)[1].wait.queued
        other.decide(move(held.create_task_run.id, COMPLETED))
        assert client.decisions(waiting.id, 3)[2].HasField("accept")

    def test_one_that_waits_leaves_nothing_behind(self, service: Service) -> None:
        service.limit("disk", 1)
        client = service.client()
        client.decide(start(service.flow_id, tags=["disk"]))
        waiting = start(service.flow_id, tags=["disk"])
        client.decide(waiting)
        client.connection.withdraw([waiting.id])
        client.decide(start(service.flow_id))
        assert rows(service.database, "SELECT * FROM waiter") == []
        assert service.engine.pipeline.waiting == 0

    def test_a_grant_that_crosses_a_withdrawal_leaves_the_connection_settled(self, service: Service) -> None:
        service.limit("disk", 1)
        first, second = service.client(), service.client()
        holder, waiting = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
        first.decide(holder)
        second.decide(waiting)
        # The grant is committed, and about to be told, when its proposal is withdrawn.
        with first.engine_held(move(holder.create_task_run.id, COMPLETED)):
            second.connection.withdraw([waiting.id])
        assert second.decisions(waiting.id, 2)[1].HasField("accept")
        second.settle()


class TestUnaryCalls:
    def test_a_call_that_ends_before_its_first_answer_leaves_the_queue(self, service: Service) -> None:
        service.limit("disk", 1)
        client = service.client()
        holder = start(service.flow_id, tags=["disk"])
        client.decide(holder)
        run = task_spec(service.flow_id, tags=["disk"])
        service.call("CreateTaskRun", CreateTaskRunRequest(task_run=run))
        request = SetTaskRunStateRequest(task_run_id=run.id, state=RUNNING, wait_timeout=seconds(60))

        async def give_up() -> None:
            with client.engine_held(start(service.flow_id)):
                call = asyncio.ensure_future(service.orchestrator.SetTaskRunState(request))
                await asyncio.sleep(0)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call

        asyncio.run(give_up())
        client.decide(move(holder.create_task_run.id, COMPLETED))
        assert rows(service.database, "SELECT * FROM waiter") == []
        assert service.names(run.id) == ["Pending"]


class TestClientsThatGo:
    def test_a_session_that_ends_takes_along_what_the_engine_remembers(self, service: Service) -> None:
        service.limit("disk", 1)
        holder, waiter = service.client(), service.client()
        holder.decide(start(service.flow_id, tags=["disk"]))
        waiter.decide(start(service.flow_id, tags=["disk"]))
        assert service.engine.pipeline.waiting == 1
        waiter.connection.close()
        assert service.engine.pipeline.waiting == 0

    def test_one_that_leaves_the_queue_keeps_its_session(self, service: Service) -> None:
        service.limit("disk", 1)
        client, other = service.client(), service.client()
        holder, waiting = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
        theirs = start(service.flow_id, tags=["disk"])
        client.decide(holder)
        client.decide(waiting)
        other.decide(theirs)
        client.connection.leave_queue().result()
        client.decide(move(holder.create_task_run.id, COMPLETED))
        assert other.decisions(theirs.id, 2)[1].HasField("accept")
        assert service.names(waiting.create_task_run.id) == ["Pending"]


class TestMemory:
    def test_a_proposal_that_waits_takes_none_for_what_its_client_said_at_length(
        self, service: Service
    ) -> None:
        service.limit("disk", 1)
        client = service.client(caller=service.engine.budget.caller())
        held = start(service.flow_id, tags=["disk"])
        client.decide(held)
        ids = [new_id() for _ in range(5_000)]

        def wait() -> Proposal:
            details = StateDetails(cache_key=new_id() * 20)
            state = State(type=STATE_TYPE_RUNNING, name="Crawling", message="€" * 16_000, details=details)
            proposal = start(service.flow_id, state, tags=["disk"])
            proposal.create_task_run.inputs.add(parameter="x").task_run_ids.extend(ids)
            # Serialized as the client's message was, so that the test itself shares nothing with the engine.
            client.propose(Proposal.FromString(proposal.SerializeToString()))
            client.decisions(proposal.id)
            client.forget()
            return proposal

        first = wait()
        tracemalloc.start()
        try:
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(30):
                wait()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (after - before) / 30 < 8 * 1024
        client.decide(move(held.create_task_run.id, COMPLETED))
        client.decisions(first.id)
        run = service.task(first.create_task_run.id)
        assert (run.state.name, run.state.message) == ("Crawling", "€" * 16_000)


class TestOneQueue:
    def test_the_id_of_a_proposal_that_waits_is_refused_for_another_run(self, service: Service) -> None:
        service.limit("disk", 1)
        client = service.client()
        holder, waiting = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
        client.decide(holder)
        client.decide(waiting)
        other = start(service.flow_id)
        other.id = waiting.id
        client.propose(other)
        assert client.decisions(waiting.id, 2)[1].error.reason == ERROR_REASON_PROPOSAL_CONFLICT
        assert client.decide(move(holder.create_task_run.id, COMPLETED)).HasField("accept")
        assert client.decisions(waiting.id, 3)[2].HasField("accept")

    def test_two_proposals_for_one_run_go_with_the_same_slot(self, service: Service) -> None:
        service.limit("disk", 1)
        client = service.client()
        holder, waiting = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
        client.decide(holder)
        client.decide(waiting)
        again = move(waiting.create_task_run.id, RUNNING)
        client.decide(again)
        client.decide(move(holder.create_task_run.id, COMPLETED))
        assert client.decisions(again.id, 2)[1].HasField("accept")
        assert service.names(waiting.create_task_run.id) == ["Pending", "Running", "Rerunning"]

    def test_a_run_that_is_put_off_holds_up_nobody(self, service: Service) -> None:
        service.limit("disk", 1)
        client = service.client()
        holder, first, second = (start(service.flow_id, tags=["disk"]) for _ in range(3))
        for proposal in (holder, first, second):
            client.decide(proposal)
        client.decide(move(first.create_task_run.id, scheduled(timedelta(hours=1))))
        put_off = client.decisions(first.id, 2)[1]
        assert not put_off.wait.queued
        assert put_off.wait.retry_after.seconds in range(3_500, 3_601)
        client.decide(move(holder.create_task_run.id, COMPLETED))
        assert client.decisions(second.id, 2)[1].HasField("accept")

    def test_a_limit_of_0_aborts_who_stands_in_another_tags_queue(self, service: Service) -> None:
        service.limit("disk", 1)
        service.limit("net", 1)
        client = service.client()
        client.decide(start(service.flow_id, tags=["net"]))
        waiting = [start(service.flow_id, tags=["disk", "net"]) for _ in range(20)]
        client.propose(*waiting)
        for proposal in waiting:
            assert client.decisions(proposal.id)[0].wait.blocking_tags == ["net"]
        service.limit("disk", 0)
        for proposal in waiting:
            assert client.decisions(proposal.id, 2)[1].HasField("abort")

    def test_one_that_comes_again_for_another_full_tag_stands_in_that_ones_queue(
        self, service: Service
    ) -> None:
        service.limit("disk", 1)
        client = service.client()
        net = start(service.flow_id, tags=["net"])
        client.decide(start(service.flow_id, tags=["disk"]))
        client.decide(net)
        run = task_spec(service.flow_id, tags=["disk", "net"])
        service.call("CreateTaskRun", CreateTaskRunRequest(task_run=run))
        request = SetTaskRunStateRequest(proposal_id=new_id(), task_run_id=run.id, state=RUNNING)
        assert service.call("SetTaskRunState", request).decision.wait.blocking_tags == ["disk"]
        service.call("DeleteConcurrencyLimitByTag", DeleteConcurrencyLimitByTagRequest(tag="disk"))
        service.limit("net", 1)
        assert service.call("SetTaskRunState", request).decision.wait.blocking_tags == ["net"]
        client.decide(move(net.create_task_run.id, COMPLETED))
        assert service.call("SetTaskRunState", request).decision.HasField("accept")

    def test_more_waiters_than_one_turn_answers_all_go(self, service: Service) -> None:
        service.limit("disk", 0)
        client = service.client()
        pending = [start(service.flow_id, PENDING, tags=["disk"]) for _ in range(700)]
        client.propose(*pending)
        client.settle()
        service.limit("disk", 1)
        runs = [move(proposal.create_task_run.id, RUNNING) for proposal in pending]
        client.propose(*runs)
        client.settle()
        limit = service.call("GetConcurrencyLimitByTag", GetConcurrencyLimitByTagRequest(tag="disk"))
        assert limit.concurrency_limit.waiting == 699
        service.call("DeleteConcurrencyLimitByTag", DeleteConcurrencyLimitByTagRequest(tag="disk"))
        for proposal in runs[1:]:
            assert client.decisions(proposal.id, 2)[1].HasField("accept")
        wait_until(lambda: service.engine.pipeline.waiting == 0, "the end of all waiting")
