"""What clients get of an engine that others flood, counted in decisions and not in seconds."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clearway.v1.log_pb2 import ListLogsRequest, Log, WriteLogsRequest
from clearway.v1.proposal_pb2 import Hello, Proposal
from clearway_service.engine.budget import Budget, Call, Caller, current_call
from clearway_service.engine.clock import new_id
from clearway_service.engine.inbox import TURN_BYTES
from clearway_service.errors import ClearwayError
from clearway_service.store.sessions import Client, open_session
from support.proposals import COMPLETED, RUNNING, move, scheduled, start, with_result
from support.waiting import wait_until

pytestmark = pytest.mark.slow  # floods and thousands of examples

if TYPE_CHECKING:
    from clearway_service.api.session_connection import Connection
    from support.local import LocalClient
    from unit.service.conftest import Service

FLOODERS, EACH = 8, 2_000
# More than a turn takes is never decided between a proposal of a small client and its decision.
A_TURN = 512
LEASE = 30_000_000


def record(client: LocalClient, name: str, order: list[str]) -> None:
    """Note each decision about a client's proposals by its name, in the order in which all are made."""
    client.on_decisions = lambda response: order.extend([name] * len(response.decisions))


def test_a_small_client_s_proposal_is_decided_in_the_turn_after_it_came(service: Service) -> None:
    order: list[str] = []
    flooders = [service.client(f"flooder {number}") for number in range(FLOODERS)]
    small, holder = service.client("small"), service.client("holder")
    proposal = start(service.flow_id)
    with holder.engine_held(start(service.flow_id)):
        for flooder in flooders:
            flooder.propose(*(start(service.flow_id) for _ in range(EACH)))
            record(flooder, "flooder", order)
        record(small, "small", order)
        small.propose(proposal)
    assert small.decisions(proposal.id)[0].HasField("accept")
    for flooder in flooders:
        flooder.settle()
    assert order.index("small") <= A_TURN
    assert len(order) == FLOODERS * EACH + 1


def test_small_clients_beside_a_flood_of_ends_have_their_turn_too(service: Service) -> None:
    order: list[str] = []
    flooder, small, holder = service.client("flooder"), service.client("small"), service.client("holder")
    begun = [start(service.flow_id) for _ in range(EACH)]
    flooder.propose(*begun)
    flooder.settle()
    proposal = start(service.flow_id)
    with holder.engine_held(start(service.flow_id)):
        flooder.propose(*(move(each.create_task_run.id, COMPLETED) for each in begun))
        record(flooder, "flooder", order)
        record(small, "small", order)
        small.propose(proposal)
    small.decisions(proposal.id)
    flooder.settle()
    assert order.index("small") <= A_TURN


def test_a_client_that_floods_with_calls_holds_up_neither_proposals_nor_calls_nor_leases(
    service: Service,
) -> None:
    order: list[str] = []
    pipeline = service.engine.pipeline
    budget = Budget(2**28, 2**25)
    flooder, other = budget.caller(), budget.caller()
    small, holder = service.client("small"), service.client("holder")
    who, proposal, calls = Client("tester", "python", ""), start(service.flow_id), 1_000

    def run(name: str, call: Call | None) -> None:
        future = pipeline.run(open_session(new_id(), who, LEASE), call)
        future.add_done_callback(lambda _done: order.append(name))

    with holder.engine_held(start(service.flow_id)):
        for _ in range(calls):
            run("flooder", Call(flooder, 100))
        run("other", Call(other, 100))
        run("the engine", None)
        record(small, "small", order)
        small.propose(proposal)
    small.decisions(proposal.id)
    pipeline.run(lambda _transaction: None, Call(flooder, 0)).result()
    for name in ("small", "other", "the engine"):
        assert order.index(name) <= 64, name
    assert len(order) == calls + 3


def test_a_flood_of_hellos_and_goodbyes_does_not_hold_up_the_engine_s_own_work(service: Service) -> None:
    order: list[str] = []
    engine, calls = service.engine, 300
    holder = service.client("holder")

    def note(name: str, future: Future[Any]) -> None:
        future.add_done_callback(lambda _done: order.append(name))

    def begin() -> Future[Connection]:
        caller, hello = engine.budget.caller(), Hello(client_name="flooder")
        return service.connector.begin(hello, lambda _response: None, lambda _connection: None, caller=caller)

    open_ = [begin().result() for _ in range(calls)]
    with holder.engine_held(start(service.flow_id)):
        for connection in open_:
            note("flooder", begin())
            note("flooder", connection.end())
        note("the engine", engine.pipeline.run(lambda _transaction: None))
    wait_until(lambda: len(order) == 2 * calls + 1, "the end of the flood")
    assert order.index("the engine") <= 64


def test_clients_that_log_very_much_at_once_hold_up_no_proposal(service: Service) -> None:
    writers, lines = 4, 10_000
    budget = Budget(2**28, 2**25)
    small, holder = service.client("small"), service.client("holder")
    proposal = start(service.flow_id)
    request = WriteLogsRequest(logs=[Log(flow_run_id=service.flow_id, message="line")] * lines)
    pipeline = service.engine.pipeline
    written_before: list[int] = []

    def write(caller: Caller) -> int:
        current_call.set(Call(caller, request.ByteSize()))
        written: int = service.call("WriteLogs", request).written_count
        return written

    def count_lines() -> int:
        with closing(sqlite3.connect(service.database)) as database:
            return int(database.execute("SELECT count(*) FROM log").fetchone()[0])

    with ThreadPoolExecutor(writers) as threads:
        with holder.engine_held(start(service.flow_id)):
            # Each in a context of its own.
            calls = [threads.submit(copy_context().run, write, budget.caller()) for _ in range(writers)]
            wait_until(lambda: len(pipeline._ordered) == writers, "the first lines of each")
            small.on_decisions = lambda _response: written_before.append(count_lines())
            small.propose(proposal)
        assert small.decisions(proposal.id)[0].HasField("accept")
        assert [call.result() for call in calls] == [lines] * writers
    assert written_before[0] <= lines // 2
    assert count_lines() == writers * lines


def test_log_lines_are_none_where_one_is_wrong_or_of_no_flow_run(service: Service) -> None:
    lines = [Log(flow_run_id=service.flow_id, message="line")] * 9_999
    for wrong in (Log(flow_run_id=new_id(), message="line"), Log(flow_run_id=service.flow_id, level=1_000)):
        with pytest.raises(ClearwayError):
            service.call("WriteLogs", WriteLogsRequest(logs=[*lines, wrong]))
    assert not service.call("ListLogs", ListLogsRequest()).logs


def test_runs_that_are_too_large_for_one_turn_are_decided_in_several_and_in_order(service: Service) -> None:
    result = bytes(64 * 1024)
    count = TURN_BYTES // len(result) + 50
    client, small, holder = service.client("large"), service.client("small"), service.client("holder")
    begun = [start(service.flow_id, with_result(scheduled(timedelta(hours=1)), result)) for _ in range(count)]
    client.propose(*begun)
    client.settle()
    assert not service.engine.pipeline._writer._row_cache.task_runs.keys() & {
        each.create_task_run.id for each in begun
    }
    order: list[str] = []
    asked: list[Proposal] = [move(each.create_task_run.id, RUNNING) for each in begun]
    proposal = start(service.flow_id)
    with holder.engine_held(start(service.flow_id)):
        client.propose(*asked)
        client.on_decisions = lambda response: order.extend(each.proposal_id for each in response.decisions)
        small.propose(proposal)
    assert small.decisions(proposal.id)[0].HasField("accept")
    client.settle()
    assert order == [each.id for each in asked]
    waits = [client.decisions(id_) for id_ in order]
    assert all(len(each) == 1 and len(each[0].state.data.inline) == len(result) for each in waits)


@pytest.mark.parametrize("count", [1, 3_000])
def test_a_proposal_that_is_sent_many_times_at_once_is_decided_once(service: Service, count: int) -> None:
    client = service.client()
    proposal = start(service.flow_id)
    client.propose(*[proposal] * count)
    assert len(client.decisions(proposal.id, count)) == count
    assert service.names(proposal.create_task_run.id) == ["Running"]
