"""A served stream that ends before it has begun, or whose client stops listening."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from clearway.v1.concurrency_limit_pb2 import SetConcurrencyLimitRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.orchestrator_pb2_grpc import OrchestratorStub
from clearway.v1.proposal_pb2 import Hello, ProposeRequest, ProposeResponse
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.task_run_pb2 import GetTaskRunRequest
from clearway_service.api import propose_stream
from clearway_service.api.intake import Intake
from clearway_service.api.outbox import PONG_BYTES, Outbox
from clearway_service.server import serving
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.local import LocalClient
from support.proposals import COMPLETED, RUNNING, move, new_id, scheduled, start, with_result
from support.waiting import DEADLINE_SECONDS, wait_until

pytestmark = pytest.mark.slow  # floods and thousands of examples

HELLO = ProposeRequest(hello=Hello(client_name="tester"))


@asynccontextmanager
async def opened(path: Path, **more: Any) -> AsyncIterator[Service]:
    """Open an engine whose server is patient with calls in flight."""
    more = {"shutdown_grace": timedelta(minutes=10), **more}
    settings = ServiceSettings(database=path / "clearway.db", port=0, **more)
    service = await asyncio.to_thread(Service, settings)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield service
    finally:
        await asyncio.to_thread(service.close)
        await service.close_reader()


@asynccontextmanager
async def channel_to(port: int) -> AsyncIterator[Any]:
    """Yield a stub for the server on a port."""
    # Its window does not grow: what is not read stays with the server.
    options = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield OrchestratorStub(channel)


async def test_a_call_that_says_nothing_does_not_hold_up_the_end_of_the_server(tmp_path: Path) -> None:
    async with opened(tmp_path) as service, AsyncExitStack() as stack:
        async with serving(service) as port:
            stub = await stack.enter_async_context(channel_to(port))
            silent, talking = stub.Propose(), stub.Propose()
            await silent.wait_for_connection()
            await talking.write(HELLO)
            assert (await talking.read()).HasField("welcome")
        for call in (silent, talking):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call.read()
            assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_call_that_says_nothing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propose_stream, "HELLO_SECONDS", 0.2)
    async with opened(tmp_path) as service, serving(service) as port, channel_to(port) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Propose().read()
        assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "no hello came within 0.2 s" in (failed.value.details() or "")


async def test_a_call_that_breaks_while_its_session_is_opened_leaves_no_connection(tmp_path: Path) -> None:
    async with opened(tmp_path) as service, serving(service) as port, channel_to(port) as stub:
        local = await asyncio.to_thread(LocalClient, service)
        flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
        with local.engine_held(start(flow.flow_run.spec.id)):
            call = stub.Propose()
            await call.write(HELLO)
            await asyncio.to_thread(
                wait_until, lambda: service.engine.pipeline._ordered, "the opening of a session"
            )
            call.cancel()
            # A call on the same channel is served after the cancelled one has been heard of.
            health = asyncio.ensure_future(stub.GetServerInfo(GetServerInfoRequest()))
            await health
        gone = lambda: list(service.engine.leases._holders) == [local.connection]  # noqa: E731
        await asyncio.to_thread(wait_until, gone, "the end of the connection")


async def test_a_client_that_closes_its_side_gives_up_its_place_and_keeps_its_session(tmp_path: Path) -> None:
    async with opened(tmp_path) as service, serving(service) as port, channel_to(port) as stub:
        await stub.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag="disk", limit=1))
        flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
        local = await asyncio.to_thread(LocalClient, service)
        holder = start(flow.flow_run.spec.id, tags=["disk"])
        await asyncio.to_thread(local.decide, holder)
        waiting, running = start(flow.flow_run.spec.id, tags=["disk"]), start(flow.flow_run.spec.id)
        call = stub.Propose()
        await call.write(HELLO)
        await call.write(ProposeRequest(proposals=[waiting, running]))
        await call.done_writing()
        async for _message in call:
            pass
        await asyncio.to_thread(local.decide, move(holder.create_task_run.id, COMPLETED))
        kept = await stub.GetTaskRun(GetTaskRunRequest(id=running.create_task_run.id))
        left = await stub.GetTaskRun(GetTaskRunRequest(id=waiting.create_task_run.id))
        assert (kept.task_run.state.name, left.task_run.state.name) == ("Running", "Pending")


# What a client may have under way here: it is held back sooner, so that a test need not send as much.
BOUND = 1024 * 1024
HALF = BOUND // 2
MESSAGE = 256 * 1024


async def test_a_client_that_floods_and_reads_nothing_is_held_back_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_message, messages = 128, 150
    deliver, read = Outbox.deliver, Intake.read
    delivered, decisions, requests, seen = [0], [0], [0], set()

    def watch(outbox: Outbox, response: ProposeResponse) -> None:
        deliver(outbox, response)
        delivered.append(len(response.decisions))
        decisions.append(outbox._caller.decisions)
        requests.append(outbox._caller.requests)

    async def watch_reading(intake: Intake, connection: Any) -> bytes | None:
        seen.add(intake)
        return await read(intake, connection)

    def held_back() -> bool:
        return any(intake.held_back for intake in seen) and service.engine.budget.used >= HALF

    monkeypatch.setattr(Outbox, "deliver", watch)
    monkeypatch.setattr(Intake, "read", watch_reading)
    async with opened(tmp_path, max_client_bytes=BOUND) as service, serving(service) as port:
        async with channel_to(port) as stub:
            flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
            call = stub.Propose()
            await call.write(HELLO)
            batches = [[start(flow.flow_run.spec.id) for _ in range(a_message)] for _ in range(messages)]

            async def flood() -> None:
                for batch in batches:
                    await call.write(ProposeRequest(proposals=batch))
                await call.done_writing()

            flooding = asyncio.create_task(flood())
            all_of_them = a_message * messages
            decided = lambda: sum(delivered) == all_of_them  # noqa: E731
            await asyncio.to_thread(wait_until, lambda: decided() or held_back(), "the end of the flood")
            assert not decided(), "nothing held the client back"
            accepted = [decision.proposal_id async for message in call for decision in message.decisions]
            await flooding
        assert accepted == [proposal.id for batch in batches for proposal in batch]
        assert max(requests) <= HALF + MESSAGE
        assert max(decisions) <= HALF + MESSAGE
        await asyncio.to_thread(
            wait_until, lambda: not service.engine.budget.used, "the end of all that was counted"
        )


async def test_a_client_that_floods_with_pings_and_reads_nothing_is_held_back_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings = 20_000
    notify = Outbox._notify
    unread, held_back = [], asyncio.Event()

    def watch(outbox: Outbox) -> None:
        notify(outbox)
        unread.append(outbox.pongs)
        if outbox._caller.decisions >= HALF:
            held_back.set()

    monkeypatch.setattr(Outbox, "_notify", watch)
    async with (
        opened(tmp_path, max_client_bytes=BOUND) as service,
        serving(service) as port,
        channel_to(port) as stub,
    ):
        call = stub.Propose()
        await call.write(HELLO)

        async def flood() -> None:
            for number in range(1, pings + 1):
                await call.write(ProposeRequest(ping=number))
            await call.done_writing()

        flooding = asyncio.create_task(flood())
        await held_back.wait()
        pongs = [message.pong async for message in call if message.pong]
        await flooding
    assert pongs == list(range(1, pings + 1))
    assert max(unread) <= HALF // PONG_BYTES + 1


async def test_what_is_not_answered_is_waited_for_so_that_it_does_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propose_stream, "_MAX_COMMANDS", 20)
    async with opened(tmp_path) as service, serving(service) as port, channel_to(port) as stub:
        local = await asyncio.to_thread(LocalClient, service)
        flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
        call = stub.Propose()
        await call.write(HELLO)
        await call.read()
        with local.engine_held(start(flow.flow_run.spec.id)):
            for _ in range(60):
                await call.write(ProposeRequest(withdrawals=[new_id()]))
            await asyncio.to_thread(
                wait_until, lambda: len(service.engine.pipeline._ordered) >= 20, "the first withdrawals"
            )
            # Served after what the stream's loop had to do.
            await stub.GetServerInfo(GetServerInfoRequest())
            assert len(service.engine.pipeline._ordered) == 20
        await call.write(ProposeRequest(ping=1))
        while not (await call.read()).pong:
            pass


async def read_all(call: Any) -> None:
    """Read a call's messages to its end."""
    while await call.read() is not grpc.aio.EOF:
        pass


@asynccontextmanager
async def unread_decisions(service: Service, stub: Any) -> AsyncIterator[Any]:
    """Yield a call whose client proposes much and reads nothing, once there is no room for its decisions."""
    flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
    call = stub.Propose()
    await call.write(HELLO)
    await call.read()
    later = start(flow.flow_run.spec.id, with_result(scheduled(timedelta(hours=1)), bytes(64 * 1024)))
    await call.write(ProposeRequest(proposals=[later]))

    async def flood() -> None:
        for _ in range(20):
            moves = [move(later.create_task_run.id, RUNNING) for _ in range(100)]
            await call.write(ProposeRequest(proposals=moves))

    flooding = asyncio.create_task(flood())
    await asyncio.to_thread(
        wait_until, lambda: service.engine.pipeline._submitted._blocked, "a client without room"
    )
    yield call
    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)


async def test_a_client_that_reads_nothing_is_dropped_when_its_session_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propose_stream, "EXPIRED_SECONDS", 0.2, raising=False)
    settings = {"lease": timedelta(seconds=1), "max_client_bytes": BOUND}
    async with (
        opened(tmp_path, **settings) as service,
        serving(service) as port,
        channel_to(port) as stub,
        unread_decisions(service, stub) as call,
    ):
        engine = service.engine
        held = lambda: (engine.budget.used, engine.leases._holders, len(engine.pipeline._submitted))  # noqa: E731
        dropped = lambda: not any(held())  # noqa: E731
        await asyncio.to_thread(wait_until, dropped, "the end of what the client had under way")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await read_all(call)
        assert "has ended; open a new one" in (failed.value.details() or "")


async def test_a_client_that_reads_nothing_does_not_double_the_grace_of_a_shutdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graces: list[float] = []
    kind: Any = type(grpc.aio.server())
    stop = kind.stop

    async def note(server: Any, grace: float) -> None:
        graces.append(grace)
        await stop(server, grace)

    monkeypatch.setattr(kind, "stop", note)
    settings = {"shutdown_grace": timedelta(seconds=1), "max_client_bytes": BOUND}
    async with opened(tmp_path, **settings) as service, AsyncExitStack() as stack:
        async with serving(service) as port:
            stub = await stack.enter_async_context(channel_to(port))
            await stack.enter_async_context(unread_decisions(service, stub))
        assert graces == [0.0], "what is left of the grace after the streams had all of it"


async def test_while_the_total_is_used_up_large_messages_have_turns_and_small_ones_need_none(
    tmp_path: Path,
) -> None:
    total = 4 * BOUND
    async with (
        opened(tmp_path, max_client_bytes=total, max_inflight_bytes=total) as service,
        serving(service) as port,
        channel_to(port) as stub,
    ):
        flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))

        def message(count: int) -> ProposeRequest:
            large = with_result(scheduled(timedelta(hours=1)), bytes(60_000))
            return ProposeRequest(proposals=[start(flow.flow_run.spec.id, large) for _ in range(count)])

        async def decide(call: Any, count: int) -> None:
            await call.write(message(count))
            decided = 0
            while decided < count:
                decided += len((await call.read()).decisions)

        calls = [stub.Propose() for _ in range(3)]
        for call in calls:
            await call.write(HELLO)
            await call.read()
        for call in calls[:2]:
            await decide(call, 10)
        others = service.engine.budget.caller()
        others.take_in(total)
        await service.engine.budget.large.acquire("another stream")
        waiting = [asyncio.create_task(decide(call, 10)) for call in calls[:2]]
        for _ in range(3):
            await decide(calls[2], 1)
        assert not any(each.done() for each in waiting)
        # Each of the two is decided, although nobody leaves room, and the turn is there for the next.
        service.engine.budget.large.release()
        await asyncio.gather(*waiting)
        async with service.engine.budget.large.hold("another stream"):
            await decide(calls[2], 1)
        others.settle(total)


async def test_a_stream_that_is_silent_or_leaves_does_not_keep_a_turn(tmp_path: Path) -> None:
    total = 4 * BOUND
    async with (
        opened(tmp_path, max_client_bytes=total, max_inflight_bytes=total) as service,
        serving(service) as port,
        channel_to(port) as stub,
    ):
        flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
        large = with_result(scheduled(timedelta(hours=1)), bytes(60_000))
        others = service.engine.budget.caller()
        others.take_in(total)
        silent, leaving = stub.Propose(), stub.Propose()
        for call in (silent, leaving):
            await call.write(HELLO)
            await call.read()
            await call.write(
                ProposeRequest(proposals=[start(flow.flow_run.spec.id, large) for _ in range(10)])
            )
            decided = 0
            while decided < 10:
                decided += len((await call.read()).decisions)
        leaving.cancel()
        async with service.engine.budget.large.hold("another stream"):
            others.settle(total)


async def test_while_the_total_is_used_up_one_large_message_is_taken_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propose_stream, "_DECIDED_SECONDS", DEADLINE_SECONDS, raising=False)
    total, count, order = 4 * BOUND, 60, []
    deliver = Outbox.deliver

    def watch(outbox: Outbox, response: ProposeResponse) -> None:
        order.extend([outbox] * len(response.decisions))
        deliver(outbox, response)

    monkeypatch.setattr(Outbox, "deliver", watch)
    async with (
        opened(tmp_path, max_client_bytes=total, max_inflight_bytes=total) as service,
        serving(service) as port,
        channel_to(port) as stub,
    ):
        flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
        large = with_result(scheduled(timedelta(hours=1)), bytes(60_000))
        others = service.engine.budget.caller()
        others.take_in(total)

        async def propose(call: Any) -> None:
            await call.write(
                ProposeRequest(proposals=[start(flow.flow_run.spec.id, large) for _ in range(count)])
            )
            decided = 0
            while decided < count:
                decided += len((await call.read()).decisions)

        calls = [stub.Propose() for _ in range(4)]
        for call in calls:
            await call.write(HELLO)
            await call.read()
        await asyncio.gather(*(propose(call) for call in calls))
        others.settle(total)
    assert len(order) == len(calls) * count
    assert sum(one is not other for one, other in itertools.pairwise(order)) == len(calls) - 1
