"""Large answers: what is more than a client takes by default comes in pages, which together have it all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from clearway.client import get_client
from clearway.v1.concurrency_limit_pb2 import (
    GetConcurrencyLimitRequest,
    ListConcurrencyLimitsRequest,
    ListSlotHoldersRequest,
    ListSlotWaitersRequest,
    ResetConcurrencyLimitRequest,
    SetConcurrencyLimitRequest,
)
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest
from clearway.v1.flow_run_pb2 import ListFlowRunsRequest, ListFlowRunStatesRequest
from clearway.v1.orchestrator_pb2_grpc import OrchestratorStub
from clearway.v1.proposal_pb2 import SetFlowRunStateRequest, SetTaskRunStateRequest
from clearway.v1.task_run_pb2 import (
    GetTaskRunRequest,
    ListTaskRunsRequest,
    ListTaskRunStatesRequest,
    TaskInput,
    TaskRunFilter,
)
from integration.cli_process import answer
from support.client import Client
from support.limits import set_limit
from support.proposals import PENDING, create_flow, create_task, new_id, start
from support.proposals import with_result as having
from support.server import Server

MOST = 4 * 1024 * 1024
LONG = "\N{SNOWMAN}" * 255  # 765 bytes
HOLDERS = 1_800
TAGS = 64
STATES = 80
BATCH = 300


class Crowd(NamedTuple):
    """A tag with very many holders and some waiters; each of them has 63 other tags too."""

    tag: str
    holders: list[str]
    waiters: list[str]


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server whose sessions outlive the tests, however slow they are."""
    database = tmp_path_factory.mktemp("server") / "server.db"
    with Server(database, environment={"CLEARWAY_LEASE_SECONDS": "3600"}) as running:
        yield running


@pytest.fixture(scope="module")
def stub(shared_server: Server) -> Iterator[OrchestratorStub]:
    """A client as gRPC makes it by default: it takes messages of up to 4 MiB."""
    with grpc.insecure_channel(shared_server.address) as channel:
        yield OrchestratorStub(channel)


@pytest.fixture(scope="module")
def crowd(shared_server: Server) -> Iterator[Crowd]:
    with Client(shared_server.address) as client:
        flow = create_flow(client, name=LONG, flow_name=LONG).spec.id
        tags = [set_limit(client, HOLDERS, f"crowd-{number:02}-{new_id()}") for number in range(TAGS)]
        stream = client.open(LONG)
        starts = [start(flow, name=LONG, tags=tags) for _ in range(HOLDERS)]
        for first in range(0, HOLDERS, BATCH):
            stream.propose(*starts[first : first + BATCH])
        assert all(stream.final(proposal.id).HasField("accept") for proposal in starts)
        waits = [start(flow, name=LONG, tags=tags) for _ in range(3)]
        for proposal in waits:
            assert stream.decide(proposal).wait.queued
        order = [client.stub.GetTaskRun(GetTaskRunRequest(id=p.create_task_run.id)) for p in starts[:1]]
        assert order[0].task_run.spec.name == LONG
        ids = [proposal.create_task_run.id for proposal in starts]
        yield Crowd(tags[0], ids, [proposal.create_task_run.id for proposal in waits])
        stream.break_off()


def all_pages(call: Callable[[Any], Any], request: Any, field: str) -> tuple[list[Any], int]:
    """Return the items of all pages, and how many pages there were; no page is more than about 2 MiB."""
    items: list[Any] = []
    pages = 0
    while True:
        page = call(request)
        assert page.ByteSize() < 2.1 * 1024 * 1024
        items += getattr(page, field)
        pages += 1
        if not page.next_page_token:
            return items, pages
        request.page_token = page.next_page_token


def long_history(call: Callable[[Any], Any]) -> None:
    """Give a run very many states, each with a result."""
    for number in range(STATES):
        call(having(PENDING, f"{number:04}".encode() * (65_536 // 4)))


def test_a_task_runs_history_comes_in_pages(stub: OrchestratorStub, caller: Client) -> None:
    run = create_task(caller, create_flow(caller).spec.id).spec.id
    long_history(
        lambda state: caller.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run, state=state))
    )
    states, pages = all_pages(stub.ListTaskRunStates, ListTaskRunStatesRequest(task_run_id=run), "states")
    assert pages > 2
    assert [state.data.inline[:4].decode() for state in states] == [
        "",
        *(f"{number:04}" for number in range(STATES)),
    ]
    singly, pages = all_pages(
        stub.ListTaskRunStates, ListTaskRunStatesRequest(task_run_id=run, page_size=1), "states"
    )
    assert (singly, pages) == (states, STATES + 1)


def test_a_flow_runs_history_comes_in_pages(stub: OrchestratorStub, caller: Client) -> None:
    run = create_flow(caller).spec.id
    long_history(
        lambda state: caller.stub.SetFlowRunState(SetFlowRunStateRequest(flow_run_id=run, state=state))
    )
    states, pages = all_pages(stub.ListFlowRunStates, ListFlowRunStatesRequest(flow_run_id=run), "states")
    assert pages > 2
    assert len(states) == STATES + 1


def test_the_sdk_and_the_command_line_show_whole_histories(
    shared_server: Server, caller: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = create_flow(caller).spec.id
    run = create_task(caller, flow).spec.id
    for_task = SetTaskRunStateRequest(task_run_id=run)
    for_flow = SetFlowRunStateRequest(flow_run_id=flow)
    for number in range(1_010):  # more than the largest page that can be asked for
        state = having(PENDING, b"x" * 4_000) if number % 2 else PENDING
        for_task.state.CopyFrom(state)
        for_flow.state.CopyFrom(state)
        caller.stub.SetTaskRunState(for_task)
        caller.stub.SetFlowRunState(for_flow)
    monkeypatch.setenv("CLEARWAY_ADDRESS", shared_server.address)
    with get_client() as client:
        assert len(client.read_task_run_states(run)) == 1_011
        assert len(client.read_flow_run_states(flow)) == 1_011
    for group, id_ in (("task-run", run), ("flow-run", flow)):
        shown = answer(group, "inspect", id_, "-o", "json")
        assert len(json.loads(shown)["states"]) == 1_011


def test_a_limit_has_the_first_of_its_holders_and_says_how_many_there_are(
    stub: OrchestratorStub, crowd: Crowd
) -> None:
    limit = stub.GetConcurrencyLimit(GetConcurrencyLimitRequest(tag=crowd.tag)).concurrency_limit
    assert limit.taken_count == HOLDERS
    held, _ = all_pages(stub.ListSlotHolders, ListSlotHoldersRequest(tag=crowd.tag), "holders")
    slots = [holder.task_run_id for holder in held]
    assert sorted(slots) == sorted(crowd.holders)
    shown = [holder.task_run_id for holder in limit.holders]
    assert 300 < len(shown) < HOLDERS
    assert shown == slots[: len(shown)]
    assert [waiter.task_run_id for waiter in limit.waiters] == crowd.waiters
    by_id = stub.GetConcurrencyLimit(GetConcurrencyLimitRequest(id=limit.id)).concurrency_limit
    assert [holder.task_run_id for holder in by_id.holders] == shown
    again = stub.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag=crowd.tag, limit=HOLDERS))
    assert [holder.task_run_id for holder in again.concurrency_limit.holders] == shown
    assert again.concurrency_limit.taken_count == HOLDERS


def test_the_holders_and_the_waiters_of_a_tag_come_in_pages(stub: OrchestratorStub, crowd: Crowd) -> None:
    request = ListSlotHoldersRequest(tag=crowd.tag, page_size=1_000)
    holders, pages = all_pages(stub.ListSlotHolders, request, "holders")
    assert pages > 2
    assert sorted(holder.task_run_id for holder in holders) == sorted(crowd.holders)
    times = [holder.acquire_time.ToNanoseconds() for holder in holders]
    assert times == sorted(times)
    assert {holder.client_name for holder in holders} == {LONG}
    waiters, pages = all_pages(
        stub.ListSlotWaiters, ListSlotWaitersRequest(tag=crowd.tag, page_size=2), "waiters"
    )
    assert pages == 2
    assert [(waiter.task_run_id, waiter.position) for waiter in waiters] == [
        (run, position) for position, run in enumerate(crowd.waiters, start=1)
    ]


def test_the_sdk_and_the_command_line_show_all_holders(
    shared_server: Server, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARWAY_ADDRESS", shared_server.address)
    with get_client() as client:
        limit = client.read_concurrency_limit_by_tag(crowd.tag)
        assert limit.taken == len(limit.holders) == len(limit.active_slots) == HOLDERS
        assert client.read_concurrency_limit(limit.id).active_slots == limit.active_slots
        assert [waiter.task_run_id for waiter in client.read_slot_waiters(crowd.tag)] == crowd.waiters
    shown = json.loads(answer("concurrency-limit", "read", crowd.tag, "-o", "json"))
    assert shown["taken"] == len(shown["holders"]) == len(shown["active_slots"]) == HOLDERS


def test_limits_with_very_many_holders_come_in_pages(stub: OrchestratorStub, crowd: Crowd) -> None:
    request = ListConcurrencyLimitsRequest(page_size=1_000)
    limits, pages = all_pages(stub.ListConcurrencyLimits, request, "concurrency_limits")
    assert pages > 2
    crowded = [limit for limit in limits if limit.tag.startswith("crowd-")]
    assert len(crowded) == TAGS
    assert {limit.taken_count for limit in crowded} == {HOLDERS}
    assert {len(limit.holders) for limit in crowded} == {100}
    assert crowd.tag in {limit.tag for limit in crowded}


def test_what_a_run_waits_for_is_told_with_the_first_holders_and_how_many_there_are(
    stub: OrchestratorStub, crowd: Crowd
) -> None:
    explained = stub.ExplainTaskRun(ExplainTaskRunRequest(id=crowd.waiters[1]))
    assert explained.ByteSize() < MOST // 2
    assert len(explained.limits) == TAGS
    assert {limit.taken_count for limit in explained.limits} == {HOLDERS}
    blocking = explained.limits[0]
    assert (blocking.blocks, blocking.position) == (True, 2)
    limit = stub.GetConcurrencyLimit(GetConcurrencyLimitRequest(tag=blocking.tag)).concurrency_limit
    for holder in (*blocking.holders, *limit.holders):
        assert holder.HasField("lease_expire_time")  # which is renewed meanwhile
        holder.ClearField("lease_expire_time")
    assert list(blocking.holders) == list(limit.holders[:100])
    assert f"{HOLDERS} of {HOLDERS} slots are taken" in explained.summary


def test_what_a_run_waits_for_upstream_is_told_of_the_first_and_how_many_there_are(
    stub: OrchestratorStub, caller: Client
) -> None:
    flow = create_flow(caller).spec.id
    stream = caller.open()
    starts = [start(flow, PENDING, name=f"{number}-{LONG[:200]}") for number in range(1_500)]
    for first in range(0, len(starts), BATCH):
        stream.propose(*starts[first : first + BATCH])
    ids = [stream.final(proposal.id).run_id for proposal in starts]
    run = create_task(caller, flow, inputs=[TaskInput(parameter="x", task_run_ids=ids)])
    explained = stub.ExplainTaskRun(ExplainTaskRunRequest(id=run.spec.id))
    assert explained.upstream.run_count == len(ids)
    assert [upstream.task_run_id for upstream in explained.upstream.runs] == ids[:100]
    assert explained.summary.endswith(f" and {len(ids) - 10} more")


def test_a_reset_says_how_many_slots_it_took_back_and_whose_they_were_first(
    stub: OrchestratorStub, shared_server: Server
) -> None:
    with Client(shared_server.address) as client:
        tag = set_limit(client, HOLDERS)
        flow = create_flow(client, name=LONG, flow_name=LONG).spec.id
        stream = client.open(LONG)
        starts = [start(flow, name=LONG, tags=[tag]) for _ in range(HOLDERS)]
        for first in range(0, HOLDERS, BATCH):
            stream.propose(*starts[first : first + BATCH])
        assert all(stream.final(proposal.id).HasField("accept") for proposal in starts)
        held, _ = all_pages(stub.ListSlotHolders, ListSlotHoldersRequest(tag=tag), "holders")
        reset = stub.ResetConcurrencyLimit(ResetConcurrencyLimitRequest(tag=tag))
        assert reset.released_count == HOLDERS
        freed = [holder.task_run_id for holder in reset.released]
        assert freed == [holder.task_run_id for holder in held][: len(freed)]
        assert 600 < len(freed) < HOLDERS
        left = stub.GetConcurrencyLimit(GetConcurrencyLimitRequest(tag=tag)).concurrency_limit
        assert left.taken_count == 0
        stream.break_off()


def test_of_very_many_inputs_a_run_names_the_first_and_how_many_there_are(
    stub: OrchestratorStub, caller: Client, shared_server: Server
) -> None:
    run = create_task(caller, create_flow(caller).spec.id)
    ids = [new_id() for _ in range(120_000)]  # as an earlier version took them
    inputs = json.dumps([["first", ids[:9_000]], ["second", ids[9_000:]], ["third", []]])
    with closing(sqlite3.connect(shared_server.database, timeout=30)) as database, database:
        database.execute("UPDATE task_run SET inputs = ? WHERE id = ?", (inputs, run.spec.id))
    found = stub.GetTaskRun(GetTaskRunRequest(id=run.spec.id)).task_run
    assert found.input_count == len(ids)
    assert [id_ for given in found.spec.inputs for id_ in given.task_run_ids] == ids[:10_000]
    wanted = TaskRunFilter(flow_run_id=run.spec.flow_run_id)
    assert list(stub.ListTaskRuns(ListTaskRunsRequest(filter=wanted)).task_runs) == [found]
    assert stub.ExplainTaskRun(ExplainTaskRunRequest(id=run.spec.id)).task_run == found


def test_a_run_takes_so_many_inputs_and_no_more(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    many = [new_id() for _ in range(50_000)]
    given = [TaskInput(parameter="x", task_run_ids=many)]
    assert create_task(caller, flow, inputs=given).input_count == len(many)
    given.append(TaskInput(parameter="y", task_run_ids=many[:1]))
    with pytest.raises(grpc.RpcError, match="50001 items; at most 50000"):
        create_task(caller, flow, inputs=given)


def peak(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux says how much memory was used"
)
def test_a_list_of_large_runs_takes_little_memory_of_the_server(server: Server) -> None:
    rows, size = 160, 500_000
    parameters = json.dumps({"text": "x" * size})
    with Client(server.address) as client:
        for _ in range(rows):
            create_flow(client, parameters_json=parameters)
        client.stub.ListFlowRuns(ListFlowRunsRequest(page_size=1))  # what is loaded and compiled once
        Path(f"/proc/{server.pid}/clear_refs").write_text("5")
        before = peak(server.pid)
        found, pages = all_pages(client.stub.ListFlowRuns, ListFlowRunsRequest(page_size=1_000), "flow_runs")
        grown = peak(server.pid) - before
    assert len(found) == rows
    assert pages >= rows * size / (2 * 1024 * 1024)
    assert grown < rows * size / 3, f"{grown:,} bytes more for pages of 2 MiB"
