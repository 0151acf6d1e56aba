from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
from contextlib import closing
from pathlib import Path

import pytest

from clearway._base.ids import new_id
from clearway._transport.current import connect, disconnect
from clearway._transport.protocol import Transport
from clearway._transport.rpcs import GET_FLOW_RUN, GET_SERVER_INFO
from clearway._transport.server import GrpcTransport
from clearway.exceptions import ClientClosed, InvalidArgument, RunNotFound, ServerUnavailable
from clearway.v1.flow_run_pb2 import GetFlowRunRequest
from clearway.v1.proposal_pb2 import ABORT_REASON_TERMINAL, Decision, Proposal
from clearway.v1.retry_pb2 import RetryPolicy
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.state_pb2 import STATE_TYPE_CRASHED, STATE_TYPE_RUNNING, Data, ProposedState
from integration.sdk_messages import (
    SECONDS,
    complete_task,
    create_flow_run,
    history,
    set_limit,
    start_task,
    state_of,
    wait_until,
)
from integration.sdk_proxy import Proxy
from support.server import Server


@pytest.fixture
def transport(service: str) -> Transport:
    del service
    return connect()


@pytest.fixture
def proxy(shared_server: Server) -> Iterator[Proxy]:
    with Proxy(shared_server.address) as running:
        yield running


@pytest.fixture
def through_proxy(proxy: Proxy) -> Iterator[GrpcTransport]:
    transport = GrpcTransport(proxy.address, reconnect_timeout=SECONDS)
    yield transport
    proxy.let_go()
    transport.close()


# What both ways to the service do


def test_a_proposal_is_answered(transport: Transport) -> None:
    flow_run_id = create_flow_run(transport)
    proposal = start_task(flow_run_id, 1)
    decision = transport.propose(proposal).result(SECONDS)
    assert decision.HasField("accept")
    assert decision.proposal_id == proposal.id
    assert decision.run_id == proposal.create_task_run.id
    assert state_of(transport, decision.run_id).name == "Running"


def test_thousands_of_proposals_of_many_threads_are_each_answered_once(transport: Transport) -> None:
    flow_run_id = create_flow_run(transport)
    answered: list[str] = []

    def propose(thread: int) -> None:
        proposals = [start_task(flow_run_id, f"{thread}-{number}") for number in range(500)]
        futures = [transport.propose(proposal) for proposal in proposals]
        for proposal, future in zip(proposals, futures, strict=True):
            assert future.result(SECONDS).run_id == proposal.create_task_run.id
            answered.append(proposal.id)

    threads = [threading.Thread(target=propose, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answered)) == 2_000


def test_a_wrong_proposal_fails_alone_with_the_field_that_is_wrong(transport: Transport) -> None:
    flow_run_id = create_flow_run(transport)
    wrong = transport.propose(start_task(flow_run_id, 1, "tag", retry_policy=RetryPolicy(max_attempts=-1)))
    right = transport.propose(start_task(flow_run_id, 2))
    with pytest.raises(InvalidArgument, match="-1") as caught:
        wrong.result(SECONDS)
    assert "retry_policy.max_attempts" in caught.value.field
    assert caught.value.metadata == {"field": caught.value.field}
    assert right.result(SECONDS).HasField("accept")


def test_a_proposal_for_a_run_that_is_not_there_is_a_run_not_found(transport: Transport) -> None:
    with pytest.raises(RunNotFound):
        transport.propose(complete_task(new_id())).result(SECONDS)


def test_a_call_is_answered_and_its_errors_are_the_sdks(transport: Transport) -> None:
    assert GET_SERVER_INFO.start(transport, GetServerInfoRequest()).result(SECONDS).database == "sqlite"
    with pytest.raises(RunNotFound):
        GET_FLOW_RUN.start(transport, GetFlowRunRequest(id=new_id())).result(SECONDS)
    with pytest.raises(InvalidArgument) as caught:
        GET_FLOW_RUN.start(transport, GetFlowRunRequest(id="x")).result(SECONDS)
    assert caught.value.field == "id"


def test_a_wait_for_a_slot_is_told_and_the_grant_follows_by_itself(
    transport: Transport, service: str
) -> None:
    tag = f"grant-{service}"
    set_limit(transport, tag, 1)
    flow_run_id = create_flow_run(transport)
    holder = transport.propose(start_task(flow_run_id, 1, tag)).result(SECONDS)
    told: list[Decision] = []
    waiting = threading.Event()

    def on_wait(decision: Decision) -> None:
        told.append(decision)
        waiting.set()

    waiter = transport.propose(start_task(flow_run_id, 2, tag), on_wait)
    assert waiting.wait(SECONDS)
    assert not waiter.done()
    assert told[0].wait.queued
    assert list(told[0].wait.blocking_tags) == [tag]
    transport.propose(complete_task(holder.run_id)).result(SECONDS)
    assert waiter.result(SECONDS).HasField("accept")
    assert len(told) == 1


def test_a_withdrawn_proposal_leaves_the_queue(transport: Transport, service: str) -> None:
    tag = f"withdrawn-{service}"
    set_limit(transport, tag, 1)
    flow_run_id = create_flow_run(transport)
    holder = transport.propose(start_task(flow_run_id, 1, tag)).result(SECONDS)
    waiting = threading.Event()
    unwanted = start_task(flow_run_id, 2, tag)
    withdrawn = transport.propose(unwanted, lambda _: waiting.set())
    assert waiting.wait(SECONDS)
    wanted = transport.propose(start_task(flow_run_id, 3, tag))
    transport.withdraw(unwanted.id)
    with pytest.raises(CancelledError):
        withdrawn.result(SECONDS)
    transport.propose(complete_task(holder.run_id)).result(SECONDS)
    assert wanted.result(SECONDS).HasField("accept")
    assert history(transport, unwanted.create_task_run.id)[-1] != "Running"


def test_closing_gives_back_what_the_session_held(service: str) -> None:
    tag = f"closing-{service}"
    first = connect()
    set_limit(first, tag, 1)
    flow_run_id = create_flow_run(first)
    held = first.propose(start_task(flow_run_id, 1, tag)).result(SECONDS)
    waiter = first.propose(start_task(flow_run_id, 2, tag))
    disconnect()
    assert isinstance(waiter.exception(SECONDS), ClientClosed)
    second = connect()
    assert second is not first
    assert state_of(second, held.run_id).type == STATE_TYPE_CRASHED
    other_flow_run_id = create_flow_run(second)
    assert second.propose(start_task(other_flow_run_id, 1, tag)).result(SECONDS).HasField("accept")


def test_what_was_proposed_before_closing_is_decided(transport: Transport) -> None:
    flow_run_id = create_flow_run(transport)
    futures = [transport.propose(start_task(flow_run_id, number)) for number in range(1_000)]
    transport.close()
    assert all(future.result(0).HasField("accept") for future in futures)


def test_a_session_that_was_ended_while_it_was_in_use_is_replaced(
    transport: Transport, service: str, shared_server: Server, home: Path
) -> None:
    flow_run_id = create_flow_run(transport)
    # As after the process, or its machine, stood still for longer than its lease.
    path = home / "clearway.db" if service == "embedded" else shared_server.database
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE session SET ended = 1")
    futures = [transport.propose(start_task(flow_run_id, number)) for number in range(100)]
    assert all(future.result(SECONDS).HasField("accept") for future in futures)


def test_after_closing_everything_fails_and_closing_again_is_nothing(transport: Transport) -> None:
    flow_run_id = create_flow_run(transport)
    transport.close()
    transport.close()
    with pytest.raises(ClientClosed):
        transport.propose(start_task(flow_run_id, 1)).result(SECONDS)
    with pytest.raises(ClientClosed):
        transport.call("GetServerInfo", GetServerInfoRequest()).result(SECONDS)
    transport.withdraw(new_id())


def test_the_process_has_one_connection(service: str) -> None:
    del service
    found: list[Transport] = []
    threads = [threading.Thread(target=lambda: found.append(connect())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(transport) for transport in found} == {id(connect())}


FORK = """
import multiprocessing
import sys
from integration.sdk_messages import create_flow_run, start_task
from clearway._transport.current import connect
from clearway.exceptions import ForkedProcess

def run_child(work):
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    return child.exitcode

def use():
    try:
        transport = connect()
    except ForkedProcess as error:
        assert "spawn" in str(error)
        raise SystemExit(3)
    flow_run_id = create_flow_run(transport)
    assert transport.propose(start_task(flow_run_id, 1)).result(30).HasField("accept")

assert run_child(use) == 0
flow_run_id = create_flow_run(connect())
assert run_child(use) == int(sys.argv[1])
for number in range(20):
    future = connect().propose(start_task(flow_run_id, number))
    assert run_child(lambda: None) == 0
    assert future.result(30).HasField("accept")
"""


def test_a_forked_child_has_a_connection_of_its_own_or_is_told_why_not(service: str) -> None:
    run_script(FORK, "0" if service == "embedded" else "3")


UNCLOSED = """
from integration.sdk_messages import create_flow_run, start_task
from clearway._transport.current import connect
transport = connect()
flow_run_id = create_flow_run(transport)
futures = [transport.propose(start_task(flow_run_id, number)) for number in range(100)]
"""


def test_a_program_that_ends_without_closing_says_nothing_and_leaves_nothing_running(service: str) -> None:
    del service
    assert run_script(UNCLOSED) == ""


def run_script(script: str, *arguments: str) -> str:
    """Run a script in another process; return what it wrote to stderr."""
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            script,
            *arguments,
        ],
        env=os.environ | {"PYTHONPATH": f"{tests}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


# What a server adds: it may be away


def test_a_server_that_is_not_there_is_a_clear_error_at_once() -> None:
    transport = GrpcTransport("127.0.0.1:1", reconnect_timeout=3_600)
    for future in (
        transport.call("GetServerInfo", GetServerInfoRequest()),
        transport.propose(start_task(new_id(), 1)),
    ):
        error = future.exception(SECONDS)
        assert isinstance(error, ServerUnavailable)
        assert "127.0.0.1:1" in str(error)
        assert "CLEARWAY_ADDRESS" in str(error)
    transport.close()


def test_a_server_that_comes_later_is_found_by_the_next_proposal(proxy: Proxy) -> None:
    proxy.go_away()
    transport = GrpcTransport(proxy.address, reconnect_timeout=SECONDS)
    proposal = start_task(new_id(), 1)
    assert isinstance(transport.propose(proposal).exception(SECONDS), ServerUnavailable)
    proxy.come_back()
    # Within gRPC's own back-off the channel still answers what it found before.
    error: BaseException | None = ServerUnavailable("")
    while isinstance(error, ServerUnavailable):
        error = transport.propose(proposal).exception(SECONDS)
    assert isinstance(error, RunNotFound)
    transport.close()


def test_a_cut_stream_is_resumed_and_nothing_happened_to_its_runs(
    proxy: Proxy, through_proxy: GrpcTransport
) -> None:
    flow_run_id = create_flow_run(through_proxy)
    running = through_proxy.propose(start_task(flow_run_id, 1)).result(SECONDS)
    for number in range(2, 6):
        proxy.cut()
        assert through_proxy.propose(start_task(flow_run_id, number)).result(SECONDS).HasField("accept")
    assert through_proxy.propose(complete_task(running.run_id)).result(SECONDS).HasField("accept")
    assert history(through_proxy, running.run_id) == ["Running", "Completed"]
    assert proxy.connections >= 5


def test_proposals_in_flight_when_the_stream_is_cut_are_each_decided_once(
    proxy: Proxy, through_proxy: GrpcTransport
) -> None:
    flow_run_id = create_flow_run(through_proxy)
    proposals = [start_task(flow_run_id, number) for number in range(2_000)]
    futures = []
    for number, proposal in enumerate(proposals):
        futures.append(through_proxy.propose(proposal))
        if number % 400 == 200:
            proxy.cut()
    for proposal, future in zip(proposals, futures, strict=True):
        decision = future.result(SECONDS)
        assert decision.HasField("accept")
        assert decision.proposal_id == proposal.id
    for proposal in proposals[::100]:
        assert history(through_proxy, proposal.create_task_run.id) == ["Running"]


def test_answers_that_were_lost_with_the_stream_are_given_again(
    proxy: Proxy, through_proxy: GrpcTransport
) -> None:
    flow_run_id = create_flow_run(through_proxy)
    proxy.hold()  # what is proposed now arrives nowhere, or its answer does not
    futures = [through_proxy.propose(start_task(flow_run_id, number)) for number in range(100)]
    with pytest.raises(TimeoutError):
        futures[-1].result(0.2)
    assert not any(future.done() for future in futures)
    proxy.cut()
    proxy.let_go()
    assert all(future.result(SECONDS).HasField("accept") for future in futures)


def test_a_place_in_the_queue_survives_a_cut_stream(proxy: Proxy, through_proxy: GrpcTransport) -> None:
    set_limit(through_proxy, "queue-cut", 1)
    flow_run_id = create_flow_run(through_proxy)
    holder = through_proxy.propose(start_task(flow_run_id, 1, "queue-cut")).result(SECONDS)
    waits = threading.Semaphore(0)
    waiter = through_proxy.propose(start_task(flow_run_id, 2, "queue-cut"), lambda _: waits.release())
    assert waits.acquire(timeout=SECONDS)
    proxy.cut()
    assert waits.acquire(timeout=SECONDS)  # told again on the new stream
    through_proxy.propose(complete_task(holder.run_id)).result(SECONDS)
    assert waiter.result(SECONDS).HasField("accept")


def test_calls_outlast_a_short_absence_of_a_server_that_was_reached(
    proxy: Proxy, through_proxy: GrpcTransport
) -> None:
    flow_run_id = create_flow_run(through_proxy)
    proxy.go_away()
    call = through_proxy.call("GetFlowRun", GetFlowRunRequest(id=flow_run_id))
    proposal = through_proxy.propose(start_task(flow_run_id, 1))
    assert not wait([call], timeout=0.3).done
    assert not proposal.done()
    proxy.come_back()
    assert proposal.result(SECONDS).HasField("accept")
    call.result(SECONDS)


def test_what_is_pending_fails_when_the_server_is_away_for_too_long(proxy: Proxy) -> None:
    transport = GrpcTransport(proxy.address, reconnect_timeout=0.2)
    flow_run_id = create_flow_run(transport)
    proxy.go_away()
    for future in (
        transport.propose(start_task(flow_run_id, 1)),
        transport.call("GetFlowRun", GetFlowRunRequest(id=flow_run_id)),
    ):
        assert isinstance(future.exception(SECONDS), ServerUnavailable)
    proxy.come_back()
    error: BaseException | None = ServerUnavailable("")
    while isinstance(error, ServerUnavailable):  # the session is kept, and found again
        error = transport.propose(start_task(flow_run_id, 2)).exception(SECONDS)
    assert error is None
    transport.close()


def test_closing_while_the_server_is_away_does_not_wait_for_it(proxy: Proxy) -> None:
    transport = GrpcTransport(proxy.address, reconnect_timeout=3_600)
    flow_run_id = create_flow_run(transport)
    proxy.go_away()
    future = transport.propose(start_task(flow_run_id, 1))
    transport.close()
    assert isinstance(future.exception(SECONDS), ClientClosed)


def test_a_call_with_a_timeout_ends_in_time(proxy: Proxy, through_proxy: GrpcTransport) -> None:
    through_proxy.call("GetServerInfo", GetServerInfoRequest()).result(SECONDS)
    proxy.hold()
    error = through_proxy.call("GetServerInfo", GetServerInfoRequest(), timeout=0.2).exception(SECONDS)
    assert isinstance(error, ServerUnavailable)
    assert "it did not answer in time" in str(error)


def test_a_proposal_larger_than_the_service_takes_fails_and_its_neighbours_do_not(tmp_path: Path) -> None:
    with Server(tmp_path / "small.db", environment={"CLEARWAY_MAX_MESSAGE_BYTES": "65536"}) as server:
        transport = GrpcTransport(server.address, reconnect_timeout=SECONDS)
        flow_run_id = create_flow_run(transport)
        large = start_task(flow_run_id, "large")
        large.state.data.CopyFrom(Data(encoding="json", inline=b"x" * 66_000, size_bytes=66_000))
        medium = [start_task(flow_run_id, number) for number in range(20)]
        for proposal in medium:
            proposal.state.message = "m" * 10_000
        futures = [transport.propose(proposal) for proposal in [*medium[:10], large, *medium[10:]]]
        error = futures.pop(10).exception(SECONDS)
        assert isinstance(error, InvalidArgument)
        assert "the service takes 65,536 at most" in str(error)
        assert all(future.result(SECONDS).HasField("accept") for future in futures)
        transport.close()


def test_a_killed_server_that_starts_again_answers_what_was_pending(server: Server) -> None:
    transport = GrpcTransport(server.address, reconnect_timeout=SECONDS)
    flow_run_id = create_flow_run(transport)
    running = transport.propose(start_task(flow_run_id, 0)).result(SECONDS)
    futures = [transport.propose(start_task(flow_run_id, number)) for number in range(1, 500)]
    server.kill()
    futures += [transport.propose(start_task(flow_run_id, number)) for number in range(500, 1_000)]
    server.start()
    assert all(future.result(SECONDS).HasField("accept") for future in futures)
    assert transport.propose(complete_task(running.run_id)).result(SECONDS).HasField("accept")
    transport.close()


def test_a_server_that_is_asked_to_stop_is_found_again_when_it_is_back(server: Server) -> None:
    transport = GrpcTransport(server.address, reconnect_timeout=SECONDS)
    flow_run_id = create_flow_run(transport)
    assert server.stop() == 0
    future = transport.propose(start_task(flow_run_id, 1))
    server.start()
    assert future.result(SECONDS).HasField("accept")
    transport.close()


def test_a_session_with_nothing_to_say_outlives_its_lease(tmp_path: Path) -> None:
    with Server(tmp_path / "server.db", environment={"CLEARWAY_LEASE_SECONDS": "1"}) as server:
        transport = GrpcTransport(server.address, reconnect_timeout=SECONDS)
        running = transport.propose(start_task(create_flow_run(transport), 1)).result(SECONDS)
        lease_end = session_end(server)
        wait_until(lambda: session_end(server) >= lease_end + 3_000_000)
        assert history(transport, running.run_id) == ["Running"]
        transport.close()


def session_end(server: Server) -> int:
    """Return when the lease of the server's only session runs out, in microseconds."""
    with closing(sqlite3.connect(server.database)) as database:
        rows: list[tuple[int]] = database.execute("SELECT expires FROM session WHERE NOT ended").fetchall()
    return rows[0][0]


def test_a_session_that_expired_meanwhile_is_replaced_and_its_runs_are_known_to_have_crashed(
    tmp_path: Path,
) -> None:
    lease = {"CLEARWAY_LEASE_SECONDS": "1", "CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0"}
    with Server(tmp_path / "server.db", environment=lease) as server, Proxy(server.address) as proxy:
        transport = GrpcTransport(proxy.address, reconnect_timeout=SECONDS)
        observer = GrpcTransport(server.address, reconnect_timeout=SECONDS)
        flow_run_id = create_flow_run(transport)
        running = transport.propose(start_task(flow_run_id, 1)).result(SECONDS)
        proxy.go_away()
        wait_until(lambda: state_of(observer, running.run_id).type == STATE_TYPE_CRASHED)
        completed = transport.propose(complete_task(running.run_id))
        again = transport.propose(
            Proposal(id=new_id(), task_run_id=running.run_id, state=ProposedState(type=STATE_TYPE_RUNNING))
        )
        proxy.come_back()
        assert completed.result(SECONDS).abort.reason == ABORT_REASON_TERMINAL
        assert again.result(SECONDS).abort.reason == ABORT_REASON_TERMINAL
        assert transport.propose(start_task(create_flow_run(transport), 1)).result(SECONDS).HasField("accept")
        transport.close()
        observer.close()
