"""What the client says of limits, of who holds their slots, and of runs that wait."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from clearway import get_client
from clearway._base.ids import new_id
from clearway._transport.current import connect
from clearway._transport.protocol import Transport, hello
from clearway._transport.rpcs import CREATE_TASK_RUN
from clearway.client import SyncClient
from clearway.exceptions import InvalidArgument, LimitNotFound, RunNotFound
from clearway.schemas import UpstreamRun, WaitCause
from clearway.states import StateType
from clearway.v1.proposal_pb2 import Proposal
from clearway.v1.retry_pb2 import RetryPolicy
from clearway.v1.state_pb2 import STATE_TYPE_FAILED, ProposedState
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, TaskInput, TaskRunSpec
from integration.sdk_messages import SECONDS, complete_task, create_flow_run, start_task, wait_until

pytestmark = pytest.mark.usefixtures("service")

_numbers = itertools.count()


def hold_and_wait(client: SyncClient, transport: Transport) -> tuple[str, str, str]:
    """Set a limit of 1 and start two runs; return the tag, the run that holds the slot, and the other."""
    tag = f"explained-{next(_numbers)}"
    client.create_concurrency_limit(tag, 1)
    flow_run_id = create_flow_run(transport)
    holder, waiter = (start_task(flow_run_id, name, tag, name=name) for name in ("holds", "waits"))
    transport.propose(holder).result(SECONDS)
    transport.propose(waiter)
    wait_until(lambda: client.read_concurrency_limit_by_tag(tag).waiting == 1)
    return tag, holder.create_task_run.id, waiter.create_task_run.id


def test_a_limit_is_read_with_who_holds_it_and_who_waits() -> None:
    with get_client() as client:
        tag, holder_id, waiter_id = hold_and_wait(client, connect())
        limit = client.read_concurrency_limit_by_tag(tag)
        by_id = client.read_concurrency_limit(limit.id)
        assert (by_id.id, by_id.active_slots, by_id.waiters) == (limit.id, (holder_id,), limit.waiters)
        (holder,), (waiter,) = limit.holders, limit.waiters
        flow_run = client.read_flow_run(holder.flow_run_id)
        for each, name, run_id in ((holder, "holds", holder_id), (waiter, "waits", waiter_id)):
            assert (each.task_run_id, each.task_run_name) == (run_id, name)
            assert (each.flow_run_id, each.flow_run_name) == (flow_run.id, flow_run.name)
            assert each.flow_name == flow_run.flow_name
            assert each.client_name == hello().client_name
            assert abs(datetime.now(UTC) - each.since) < timedelta(minutes=1)
        assert waiter.position == 1
        assert holder.lease_expires is not None
        assert holder.lease_expires > holder.since


def test_a_reset_frees_the_slots_for_who_waits() -> None:
    with get_client() as client:
        tag, holder_id, waiter_id = hold_and_wait(client, connect())
        (freed,) = client.reset_concurrency_limit_by_tag(tag)
        assert (freed.task_run_id, freed.client_name) == (holder_id, hello().client_name)
        wait_until(lambda: client.read_concurrency_limit_by_tag(tag).active_slots == (waiter_id,))
        client.create_concurrency_limit(tag, 0)
        assert len(client.reset_concurrency_limit_by_tag(tag)) == 1
        assert client.reset_concurrency_limit_by_tag(tag) == []


def test_a_run_that_waits_for_a_slot_is_explained() -> None:
    transport = connect()
    with get_client() as client:
        tag, holder_id, waiter_id = hold_and_wait(client, transport)
        why = client.explain_task_run(waiter_id)
        assert (why.task_run.id, why.cause, why.holder) == (waiter_id, WaitCause.LIMIT, None)
        assert why.waiting_since is not None
        (limit,) = why.limits
        assert (limit.tag, limit.concurrency_limit, limit.taken) == (tag, 1, 1)
        assert (limit.blocks, limit.position) == (True, 1)
        assert [holder.task_run_id for holder in limit.holders] == [holder_id]
        assert limit.ancestor is None
        assert tag in why.summary

        running = client.explain_task_run(holder_id)
        assert (running.cause, running.waiting_since) == (WaitCause.NOTHING, None)
        assert running.holder is not None
        assert running.holder.client_name == hello().client_name
        assert [(limit.blocks, limit.position) for limit in running.limits] == [(False, None)]
        transport.propose(complete_task(holder_id)).result(SECONDS)
        wait_until(lambda: client.explain_task_run(waiter_id).cause is WaitCause.NOTHING)


async def test_what_a_run_waits_for_besides_can_be_awaited() -> None:
    transport = connect()
    flow_run_id = create_flow_run(transport)
    upstream = start_task(
        flow_run_id, 0, name="flaky", retry_policy=RetryPolicy(max_attempts=2, delays=[Duration(seconds=600)])
    )
    upstream_id = upstream.create_task_run.id
    transport.propose(upstream).result(SECONDS)
    failed = Proposal(id=new_id(), task_run_id=upstream_id, state=ProposedState(type=STATE_TYPE_FAILED))
    transport.propose(failed).result(SECONDS)
    given = [TaskInput(parameter="x", task_run_ids=[upstream_id])]
    spec = TaskRunSpec(id=new_id(), flow_run_id=flow_run_id, task_key="t", dynamic_key="1", inputs=given)
    CREATE_TASK_RUN.start(transport, CreateTaskRunRequest(task_run=spec)).result(SECONDS)
    async with get_client() as client:
        scheduled = await client.explain_task_run(upstream_id)
        waits = await client.explain_task_run(spec.id)
    assert scheduled.cause is WaitCause.SCHEDULE
    assert scheduled.scheduled_time == scheduled.task_run.state.details.scheduled_time is not None
    assert waits.cause is WaitCause.UPSTREAM
    assert waits.upstream == (UpstreamRun(upstream_id, "flaky", "x", StateType.SCHEDULED, "AwaitingRetry"),)


def test_what_is_not_there_is_the_sdks_exception() -> None:
    nobody = str(uuid.uuid4())
    with get_client() as client:
        with pytest.raises(LimitNotFound, match=nobody):
            client.read_concurrency_limit(nobody)
        with pytest.raises(InvalidArgument):
            client.read_concurrency_limit("not a uuid")
        with pytest.raises(LimitNotFound, match="no such tag"):
            client.reset_concurrency_limit_by_tag("no such tag")
        with pytest.raises(RunNotFound, match=nobody):
            client.explain_task_run(nobody)
        with pytest.raises(InvalidArgument):
            client.explain_task_run("not a uuid")
