"""A server whose result storage is busy, blocked or out of descriptors: all else continues."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from grpc import StatusCode

from clearway.v1.result_pb2 import DownloadResultRequest, UploadResultRequest, UploadResultResponse
from support.client import Client, failure_of
from support.proposals import new_id
from support.server import Server
from support.waiting import DEADLINE_SECONDS, wait_until

BODY = b"a result" * 100
DIGEST = sha256(BODY).hexdigest()
CALLERS = 32


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CALLERS) as pool:
        yield pool


def piece(upload_id: str, offset: int, end: int | None = None) -> UploadResultRequest:
    return UploadResultRequest(
        upload_id=upload_id, sha256=DIGEST, size=len(BODY), offset=offset, chunk=BODY[offset:end]
    )


def results_of(server: Server) -> Path:
    return server.database.with_name(f"{server.database.name}-results")


@contextmanager
def no_descriptors(server: Server) -> Iterator[None]:
    """Let the server open nothing more."""
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)


def test_running_out_of_descriptors_is_unavailable_and_nothing_is_lost(
    server: Server, client: Client
) -> None:
    begun, unbegun = new_id(), new_id()
    kept = b"kept before"
    digest = sha256(kept).hexdigest()
    client.stub.UploadResult(
        UploadResultRequest(upload_id=new_id(), sha256=digest, size=len(kept), chunk=kept)
    )
    client.stub.UploadResult(piece(begun, 0, 100))
    download = DownloadResultRequest(location=f"service://{digest}")
    with no_descriptors(server):
        for method, request in (
            ("DownloadResult", download),
            ("UploadResult", piece(begun, 100)),
            ("UploadResult", piece(unbegun, 0, 100)),
        ):
            failure = client.fails(method, request)
            assert (failure.code, failure.reason) == (
                StatusCode.UNAVAILABLE,
                "ERROR_REASON_STORE_UNAVAILABLE",
            )
            assert failure.retry_seconds == 1
            assert "Too many open files" in failure.message
    assert client.stub.DownloadResult(download).chunk == kept
    assert client.stub.UploadResult(piece(begun, 100)).location == f"service://{DIGEST}"
    lines = [line for line in server.log if "Too many open files" in line]
    assert len(lines) == 1, "failures of one kind are one line"


def test_a_file_that_blocks_whoever_opens_it_blocks_no_hello(
    server: Server, client: Client, callers: ThreadPoolExecutor
) -> None:
    folder = results_of(server) / DIGEST[:2]
    folder.mkdir(parents=True)
    os.mkfifo(folder / DIGEST)
    begun = threading.Barrier(CALLERS + 1)

    def upload() -> UploadResultResponse | None:
        begun.wait()
        try:
            # By a deadline only where it hangs.
            return client.stub.UploadResult(piece(new_id(), 0, 1), timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            failure = failure_of(error)
            assert failure.code is StatusCode.UNAVAILABLE, failure
            return None

    uploads = [callers.submit(upload) for _ in range(CALLERS)]
    begun.wait()
    wait_until(lambda: client.open().say_goodbye().code is StatusCode.OK, "a hello")
    assert [upload.result().received for upload in uploads] == [1] * CALLERS


def test_pieces_of_a_large_result_that_is_there_hold_up_no_hello(
    server: Server, client: Client, callers: ThreadPoolExecutor
) -> None:
    """The result is so large that hashing it for each piece would take until the deadline."""
    size = 512 * 1024 * 1024
    digest = sha256_of_zeros(size)
    target = results_of(server) / digest[:2] / digest
    target.parent.mkdir(parents=True)
    with target.open("wb") as file:
        file.truncate(size)
    stop = threading.Event()
    answered = [0] * CALLERS

    def upload(number: int) -> None:
        with Client(server.address) as own:
            while not stop.is_set():
                request = UploadResultRequest(upload_id=new_id(), sha256=digest, size=size, chunk=b"\0")
                assert own.stub.UploadResult(request).location == f"service://{digest}"
                answered[number] += 1

    uploads = [callers.submit(upload, number) for number in range(CALLERS)]
    try:
        hellos = 0
        # On a server that hashes each time, this takes minutes: each caller's third answer is 64 GiB away.
        while min(answered) < 3:
            client.open().say_goodbye()
            hellos += 1
        assert hellos > 1
    finally:
        stop.set()
    for each in uploads:
        each.result()
    read = bytes_read(server)
    assert read < 2 * size, "the result was read more than once"


def sha256_of_zeros(size: int) -> str:
    hashed, block = sha256(), bytes(1024 * 1024)
    for _ in range(size // len(block)):
        hashed.update(block)
    return hashed.hexdigest()


def bytes_read(server: Server) -> int:
    """Return how many bytes the server has read from files and sockets."""
    counts = dict(line.split(": ") for line in Path(f"/proc/{server.pid}/io").read_text().splitlines())
    return int(counts["rchar"])


def test_a_client_with_as_many_uploads_as_there_may_be_keeps_no_other_from_uploading(
    server: Server, client: Client, callers: ThreadPoolExecutor
) -> None:
    halves = [new_id() for _ in range(1_024)]
    half = sha256(b"xx").hexdigest()

    def begin(upload_id: str) -> None:
        request = UploadResultRequest(upload_id=upload_id, sha256=half, size=2, chunk=b"x")
        assert client.stub.UploadResult(request).received == 1

    list(callers.map(begin, halves))
    with Client(server.address) as other:
        (begun, whole) = new_id(), new_id()
        assert other.stub.UploadResult(piece(begun, 0, 100)).received == 100
        assert other.stub.UploadResult(piece(whole, 0)).location == f"service://{DIGEST}"
        assert other.stub.UploadResult(piece(begun, 100)).location == f"service://{DIGEST}"
    # Each upload of the other client took the place of one.
    assert len([*results_of(server).glob(f"uploads/*-{half}.part")]) == 1_022
