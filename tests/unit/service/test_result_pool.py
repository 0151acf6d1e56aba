"""The threads of the result storage: bounded, and nothing else waits for them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.orchestrator_pb2_grpc import OrchestratorStub
from clearway.v1.proposal_pb2 import Hello, ProposeRequest
from clearway.v1.result_pb2 import UploadResultRequest
from clearway_service.engine.clock import new_id
from clearway_service.errors import ShuttingDownError, StoreUnavailableError
from clearway_service.result_files.files import Received, ResultFiles
from clearway_service.result_files.pool import FilePool
from clearway_service.result_files.storage import ResultStorage
from clearway_service.server import serving
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.client import failure_of
from support.proposals import start
from support.waiting import DEADLINE_SECONDS, wait_until

BODY = b"a result"
DIGEST = sha256(BODY).hexdigest()


@contextmanager
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let pieces wait in their threads until the block is left; yield a list with one for each."""
    waiting: list[int] = []
    go_on = threading.Event()
    write = ResultFiles.write

    def wait(files: ResultFiles, *piece: Any) -> Any:
        waiting.append(1)
        assert go_on.wait(DEADLINE_SECONDS)
        return write(files, *piece)

    monkeypatch.setattr(ResultFiles, "write", wait)
    try:
        yield waiting
    finally:
        go_on.set()


async def test_a_hello_a_ping_and_a_decision_wait_for_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServiceSettings(database=tmp_path / "clearway.db", port=0)
    service = await asyncio.to_thread(Service, settings)
    excess = 44
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        serving(service) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = OrchestratorStub(channel)
        flow = await stub.CreateFlowRun(CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
        with blocked(monkeypatch) as waiting:
            uploads = [asyncio.ensure_future(outcome(stub)) for _ in range(256 + excess)]
            # They are of one connection, which leaves half of what is queued to others.
            refused = [await each for each in islice(asyncio.as_completed(uploads), 128 + excess)]
            stream = stub.Propose()
            await stream.write(ProposeRequest(hello=Hello(client_name="tester")))
            assert (await stream.read()).HasField("welcome")
            await stream.write(ProposeRequest(ping=1))
            assert (await stream.read()).pong == 1
            await stream.write(ProposeRequest(proposals=[start(flow.flow_run.id)]))
            assert (await stream.read()).decisions[0].HasField("accept")
            assert len(waiting) == 4
        outcomes = [await each for each in uploads]
    await asyncio.to_thread(service.close)
    await service.close_reader()
    assert {(each.code, each.reason, each.retry_seconds) for each in refused} == {
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", 1)
    }
    assert outcomes.count(f"service://{DIGEST}") == 128


async def outcome(stub: Any) -> Any:
    """Upload; return the location, or how that failed."""
    request = UploadResultRequest(upload_id=new_id(), sha256=DIGEST, size=len(BODY), chunk=BODY)
    try:
        return (await stub.UploadResult(request)).location
    except grpc.aio.AioRpcError as error:
        return failure_of(error)


async def test_callers_who_need_the_same_file_hashed_share_one_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / DIGEST[:2] / DIGEST
    path.parent.mkdir()
    path.write_bytes(BODY)
    begun, go_on, readings = threading.Event(), threading.Event(), []
    verify = ResultFiles._verify

    def wait(files: ResultFiles, digest: str) -> None:
        readings.append(digest)
        begun.set()
        assert go_on.wait(DEADLINE_SECONDS)
        verify(files, digest)

    monkeypatch.setattr(ResultFiles, "_verify", wait)
    storage = ResultStorage(ResultFiles(tmp_path, 1_000, 0))
    pieces = [
        asyncio.ensure_future(storage.upload(new_id(), DIGEST, len(BODY), 0, BODY[:1])) for _ in range(32)
    ]
    await asyncio.to_thread(begun.wait, DEADLINE_SECONDS)
    other = sha256(b"other").hexdigest()
    # Others are written meanwhile.
    assert (await storage.upload(new_id(), other, 5, 0, b"other")).location == f"service://{other}"
    pieces.pop().cancel()  # one that goes takes nothing from the others
    go_on.set()
    assert await asyncio.gather(*pieces) == [Received(len(BODY), f"service://{DIGEST}")] * 31
    assert readings == [DIGEST]
    storage.close()


class TestBounds:
    @pytest.fixture
    def go_on(self) -> Iterator[threading.Event]:
        event = threading.Event()
        yield event
        event.set()

    @pytest.fixture
    def pool(self) -> Iterator[FilePool]:
        pool = FilePool("test", 1, most_calls=3, most_bytes=100)
        yield pool
        pool.close()

    def test_calls_are_bounded(self, pool: FilePool, go_on: threading.Event) -> None:
        queued: list[Future[bool]] = [pool.submit(go_on.wait, DEADLINE_SECONDS) for _ in range(3)]
        with pytest.raises(StoreUnavailableError, match="3 calls with 0 bytes are queued"):
            pool.submit(go_on.wait)
        go_on.set()
        assert [each.result(DEADLINE_SECONDS) for each in queued] == [True] * 3
        assert pool.submit(int).result(DEADLINE_SECONDS) == 0

    def test_bytes_are_bounded_and_one_call_always_fits(self, pool: FilePool, go_on: threading.Event) -> None:
        large = pool.submit(go_on.wait, DEADLINE_SECONDS, size=1_000)
        with pytest.raises(StoreUnavailableError, match="1 calls with 1,000 bytes"):
            pool.submit(int, size=1)
        go_on.set()
        large.result(DEADLINE_SECONDS)
        assert pool.submit(int, size=100).result(DEADLINE_SECONDS) == 0

    def test_a_client_leaves_room_for_others(self, go_on: threading.Event) -> None:
        pool = FilePool("test", 1, most_calls=8, most_bytes=80)
        queued = [pool.submit(go_on.wait, DEADLINE_SECONDS, owner="one") for _ in range(4)]
        with pytest.raises(StoreUnavailableError, match="4 calls of this connection with 0 bytes"):
            pool.submit(int, owner="one")
        queued += [pool.submit(go_on.wait, DEADLINE_SECONDS, owner="two", size=20) for _ in range(2)]
        with pytest.raises(StoreUnavailableError, match="2 calls of this connection with 40 bytes"):
            pool.submit(int, owner="two", size=10)
        # One call of a client fits where it has none, as long as anything is free.
        queued.append(pool.submit(go_on.wait, DEADLINE_SECONDS, owner="three", size=40))
        with pytest.raises(StoreUnavailableError, match="7 calls with 80 bytes"):
            pool.submit(int, owner="four", size=10)
        go_on.set()
        assert [each.result(DEADLINE_SECONDS) for each in queued] == [True] * 7
        wait_until(lambda: not pool._calls, "the end of the calls")
        assert not pool._owned
        assert pool.submit(int, owner="one", size=40).result(DEADLINE_SECONDS) == 0
        pool.close()

    async def test_a_call_whose_caller_has_gone_counts_until_it_is_done(
        self, pool: FilePool, go_on: threading.Event
    ) -> None:
        for _ in range(3):
            call = asyncio.ensure_future(pool.run(go_on.wait, DEADLINE_SECONDS))
            await asyncio.sleep(0)  # it is submitted
            call.cancel()
        with pytest.raises(StoreUnavailableError, match="3 calls"):
            await pool.run(int)
        go_on.set()
        await asyncio.to_thread(wait_until, lambda: not pool._calls, "the end of the calls")

    def test_one_that_fails_makes_room(self, pool: FilePool) -> None:
        for _ in range(5):
            with pytest.raises(ValueError, match="invalid literal"):
                pool.submit(int, "x").result(DEADLINE_SECONDS)

    def test_a_closed_one_takes_nothing(self, pool: FilePool) -> None:
        pool.close()
        with pytest.raises(ShuttingDownError):
            pool.submit(int)


async def test_work_that_fails_after_its_caller_has_gone_is_no_error_of_anybody() -> None:
    pool = FilePool("files", 1, 10, 0)
    unhandled: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
    go_on = threading.Event()

    def fail() -> None:
        assert go_on.wait(DEADLINE_SECONDS)
        raise StoreUnavailableError("the disk is gone")

    running = asyncio.create_task(pool.run(fail))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    del running
    go_on.set()
    with pytest.raises(StoreUnavailableError, match="the disk is gone"):
        await pool.run(fail)  # the one thread is through with the first
    await asyncio.sleep(0)
    gc.collect()
    assert not unhandled
    pool.close()
