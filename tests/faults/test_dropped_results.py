"""Dropping orphaned results while the client leaves or the server dies: remaining files stay listed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from clearway.v1.cache_pb2 import InvalidateCacheRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.proposal_pb2 import SetTaskRunStateRequest
from clearway.v1.result_pb2 import (
    DropOrphanedResultsRequest,
    ListOrphanedResultsRequest,
    UploadResultRequest,
)
from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, Data, ProposedState
from clearway.v1.task_run_pb2 import CreateTaskRunRequest
from clearway_service.api import results as handlers
from clearway_service.result_files.files import ResultFiles
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.client import Client
from support.proposals import RUNNING, create_flow, move, new_id, start, task_spec
from support.server import Server
from support.waiting import DEADLINE_SECONDS, wait_until

AT_ONCE = Duration(seconds=0)
LIST = ListOrphanedResultsRequest(older_than=AT_ONCE, page_size=1_000)
MANY = 300


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def kept(database: Path) -> set[str]:
    """Return the SHA-256 values of the results in the service's storage."""
    folder = database.with_name(f"{database.name}-results")
    return {path.name for path in folder.glob("??/*")}


def body_of(number: int) -> tuple[bytes, str]:
    body = b"%d " % number * 100
    return body, sha256(body).hexdigest()


def completed(number: int, location: str) -> ProposedState:
    body, digest = body_of(number)
    data = Data(encoding="json", location=location, size_bytes=len(body), sha256=digest)
    return ProposedState(type=STATE_TYPE_COMPLETED, data=data, cache_key=f"key {number}")


def orphan(client: Client, count: int) -> None:
    """Create orphaned results in the service's storage."""
    flow = create_flow(client).spec.id
    stream = client.open()
    for number in range(count):
        body, digest = body_of(number)
        upload = UploadResultRequest(upload_id=new_id(), sha256=digest, size_bytes=len(body), chunk=body)
        location = client.stub.UploadResult(upload).location
        run = new_id()
        stream.propose(start(flow, id=run), move(run, completed(number, location)))
    assert stream.say_goodbye().code is grpc.StatusCode.OK
    client.stub.InvalidateCache(InvalidateCacheRequest(all=True))


def listed(client: Client) -> dict[str, str]:
    """Return the SHA-256 values of the orphaned results, and their states."""
    return {result.sha256: result.state_id for result in client.stub.ListOrphanedResults(LIST).results}


def drop(found: dict[str, str], *, check_only: bool = False) -> DropOrphanedResultsRequest:
    return DropOrphanedResultsRequest(
        state_ids=list(found.values()), older_than=AT_ONCE, check_only=check_only
    )


@pytest.mark.parametrize("fault", ["the client leaves", "the server is killed"])
def test_each_file_that_stays_is_listed_and_dropped_the_next_time(
    server: Server, client: Client, fault: str
) -> None:
    orphan(client, MANY)
    found = listed(client)
    assert found.keys() == kept(server.database)
    dropping = client.stub.DropOrphanedResults.future(drop(found))
    wait_until(lambda: len(kept(server.database)) < MANY, "a file that is deleted")
    if fault == "the client leaves":
        dropping.cancel()
    else:
        server.kill()
        server.start()
    with Client(server.address) as again:
        left = listed(again)
        assert kept(server.database) <= left.keys()
        if left:
            again.stub.DropOrphanedResults(drop(left))
        assert (listed(again), kept(server.database)) == ({}, set())


def test_a_check_changes_nothing(server: Server, client: Client) -> None:
    orphan(client, 3)
    found = listed(client)
    for _ in range(2):
        checked = client.stub.DropOrphanedResults(drop(found, check_only=True))
        assert {result.sha256 for result in checked.results} == listed(client).keys() == kept(server.database)
    assert len(client.stub.DropOrphanedResults(drop(found)).results) == 3
    assert (listed(client), kept(server.database)) == ({}, set())
    assert not client.stub.DropOrphanedResults(drop(found, check_only=True)).results


async def test_what_a_client_that_leaves_would_have_deleted_itself_is_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "_DROPPED_AT_ONCE", 1)
    deleting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    delete = ResultFiles.delete

    def noted(files: ResultFiles, digest: str, written_before: float) -> bool:
        if digest == body_of(1)[1]:
            loop.call_soon_threadsafe(lambda: deleting.done() or deleting.set_result(None))
        return delete(files, digest, written_before)

    monkeypatch.setattr(ResultFiles, "delete", noted)
    service = await asyncio.to_thread(Service, ServiceSettings(database=tmp_path / "clearway.db"))
    orchestrator = service.orchestrator
    flow = await orchestrator.CreateFlowRun(
        CreateFlowRunRequest(flow_run=FlowRunSpec(id=new_id(), flow_name="f"))
    )
    for number in range(2):
        _, digest = body_of(number)
        spec = task_spec(flow.flow_run.spec.id)
        await orchestrator.CreateTaskRun(CreateTaskRunRequest(task_run=spec))
        for state in (RUNNING, completed(number, f"/elsewhere/{digest[:2]}/{digest}")):
            await orchestrator.SetTaskRunState(SetTaskRunStateRequest(task_run_id=spec.id, state=state))
    await orchestrator.InvalidateCache(InvalidateCacheRequest(all=True))
    before = (await orchestrator.ListOrphanedResults(LIST)).results
    assert [result.sha256 for result in before] == [body_of(0)[1], body_of(1)[1]]
    request = DropOrphanedResultsRequest(state_ids=[it.state_id for it in before], older_than=AT_ONCE)
    async with asyncio.timeout(DEADLINE_SECONDS):
        dropping = asyncio.ensure_future(orchestrator.DropOrphanedResults(request))
        await deleting  # the first one is dropped by now
        dropping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await dropping
        assert dropping.cancelled()
        # Commands run in order, so those of the cancelled call are done after this one.
        await orchestrator.InvalidateCache(InvalidateCacheRequest(all=True))
        assert (await orchestrator.ListOrphanedResults(LIST)).results == before
    await asyncio.to_thread(service.close)
    await service.close_reader()
