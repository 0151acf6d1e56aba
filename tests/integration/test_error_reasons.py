"""Each reason that the protocol knows, provoked by a real call: its status, its details, its exception."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from clearway import exceptions
from clearway._base.io_thread import get_io_thread
from clearway._transport.channel import GrpcChannel
from clearway._transport.current import connect
from clearway._transport.errors import exception_for
from clearway._transport.protocol import Transport
from clearway.v1 import error_pb2
from clearway.v1.concurrency_limit_pb2 import (
    DeleteConcurrencyLimitRequest,
    SetConcurrencyLimitRequest,
)
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.proposal_pb2 import Hello, ProposeRequest, SetTaskRunStateRequest
from clearway.v1.result_pb2 import DownloadResultRequest, UploadResultRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.session_pb2 import KeepAliveRequest, OpenSessionRequest
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, GetTaskRunRequest
from support.client import Client, Failure, Stream
from support.limits import get_limit, set_limit
from support.proposals import (
    PENDING,
    RUNNING,
    create_flow,
    create_task,
    new_id,
    seconds,
    start,
    task_spec,
    with_result,
)
from support.server import Server
from support.waiting import DEADLINE_SECONDS, wait_until

STORAGE = {"CLEARWAY_MAX_RESULT_STORAGE_BYTES": "8"}
FULL = "no-room-for-this"


class Service(NamedTuple):
    """Where a call is made.

    Attributes:
        transport: The SDK's way there.
        database: The service's file.
        server: The server; None for the embedded engine.
    """

    transport: Transport
    database: Path
    server: Server | None

    def call(self, method: str, request: Message) -> Any:
        """Make a call that succeeds."""
        return self.transport.call(method, request).result(DEADLINE_SECONDS)


class Case(NamedTuple):
    """How a reason is provoked by a unary call, and what comes of it.

    Attributes:
        provoke: Makes the method and the request that fails.
        code: Its status.
        exception: The SDK's.
        field: The field that is named.
        said: Part of the message.
        retry_seconds: When to try again, as the details say.
    """

    provoke: Callable[[Service], tuple[str, Message]]
    code: StatusCode
    exception: type[exceptions.ServiceError]
    field: str
    said: str
    retry_seconds: float | None = None


def a_flow_run(service: Service) -> str:
    id_ = new_id()
    service.call("CreateFlowRun", CreateFlowRunRequest(flow_run=FlowRunSpec(id=id_, flow_name="flow")))
    return id_


def a_task_run(service: Service) -> str:
    spec = task_spec(a_flow_run(service))
    service.call("CreateTaskRun", CreateTaskRunRequest(task_run=spec))
    return spec.id


def wrong_value(service: Service) -> tuple[str, Message]:
    del service
    return "SetConcurrencyLimit", SetConcurrencyLimitRequest(tag="disk", limit=-1)


def no_run(service: Service) -> tuple[str, Message]:
    del service
    return "GetTaskRun", GetTaskRunRequest(id=new_id())


def no_limit(service: Service) -> tuple[str, Message]:
    del service
    return "DeleteConcurrencyLimit", DeleteConcurrencyLimitRequest(tag="never-limited")


def no_session(service: Service) -> tuple[str, Message]:
    del service
    return "KeepAlive", KeepAliveRequest(session_id=new_id())


def used_proposal(service: Service) -> tuple[str, Message]:
    used = SetTaskRunStateRequest(proposal_id=new_id(), task_run_id=a_task_run(service), state=PENDING)
    service.call("SetTaskRunState", used)
    return "SetTaskRunState", SetTaskRunStateRequest(
        proposal_id=used.proposal_id, task_run_id=a_task_run(service), state=PENDING
    )


def used_run(service: Service) -> tuple[str, Message]:
    spec = task_spec(a_flow_run(service), id=a_task_run(service))
    return "CreateTaskRun", CreateTaskRunRequest(task_run=spec)


def no_result(service: Service) -> tuple[str, Message]:
    del service
    return "DownloadResult", DownloadResultRequest(location="service://" + "0" * 64)


def large_result(service: Service) -> tuple[str, Message]:
    del service
    chunk = b"123456789"
    return "UploadResult", UploadResultRequest(
        upload_id=new_id(), sha256=sha256(chunk).hexdigest(), size=len(chunk), chunk=chunk
    )


def full_disk(service: Service) -> tuple[str, Message]:
    with contextlib.closing(sqlite3.connect(service.database, timeout=DEADLINE_SECONDS)) as other, other:
        other.execute(
            "CREATE TRIGGER IF NOT EXISTS full BEFORE INSERT ON concurrency_limit "
            f"WHEN NEW.tag = '{FULL}' BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    return "SetConcurrencyLimit", SetConcurrencyLimitRequest(tag=FULL, limit=1)


UNARY = {
    "ERROR_REASON_INVALID_ARGUMENT": Case(
        wrong_value, StatusCode.INVALID_ARGUMENT, exceptions.InvalidArgument, "limit", "limit is -1"
    ),
    "ERROR_REASON_RUN_NOT_FOUND": Case(
        no_run, StatusCode.NOT_FOUND, exceptions.RunNotFound, "id", "no task run"
    ),
    "ERROR_REASON_LIMIT_NOT_FOUND": Case(
        no_limit, StatusCode.NOT_FOUND, exceptions.LimitNotFound, "tag", "never-limited"
    ),
    "ERROR_REASON_SESSION_EXPIRED": Case(
        no_session, StatusCode.FAILED_PRECONDITION, exceptions.SessionExpired, "session_id", "session"
    ),
    "ERROR_REASON_PROPOSAL_CONFLICT": Case(
        used_proposal, StatusCode.ALREADY_EXISTS, exceptions.ProposalConflict, "proposal_id", "another run"
    ),
    "ERROR_REASON_RUN_CONFLICT": Case(
        used_run, StatusCode.ALREADY_EXISTS, exceptions.RunConflict, "task_run.id", "another run"
    ),
    "ERROR_REASON_RESULT_NOT_FOUND": Case(
        no_result, StatusCode.NOT_FOUND, exceptions.ResultNotFound, "location", "there is no result"
    ),
    "ERROR_REASON_STORAGE_FULL": Case(
        large_result,
        StatusCode.RESOURCE_EXHAUSTED,
        exceptions.StorageFull,
        "",
        "CLEARWAY_MAX_RESULT_STORAGE_BYTES",
    ),
    "ERROR_REASON_STORE_UNAVAILABLE": Case(
        full_disk, StatusCode.UNAVAILABLE, exceptions.ServerUnavailable, "", "database or disk is full", 1
    ),
}
ON_STREAMS = {"ERROR_REASON_PROTOCOL", "ERROR_REASON_SHUTTING_DOWN"}
"""What only a stream is told; each has a test of its own below."""

ON_CONNECTIONS = {"ERROR_REASON_BUSY"}
"""What only a connection gets, not the embedded engine's process; it has a test of its own below."""


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("small") / "server.db", environment=STORAGE) as running:
        yield running


@pytest.fixture(params=["embedded", "server"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    if request.param == "server":
        server: Server = request.getfixturevalue("small_server")
        monkeypatch.setenv("CLEARWAY_ADDRESS", server.address)
        return Service(connect(), server.database, server)
    for name, value in STORAGE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CLEARWAY_DATABASE", str(tmp_path / "embedded.db"))
    return Service(connect(), tmp_path / "embedded.db", None)


@pytest.mark.parametrize("reason", UNARY)
def test_a_reason_is_raised_and_comes_back_as_its_exception(reason: str, service: Service) -> None:
    case = UNARY[reason]
    method, request = case.provoke(service)
    with pytest.raises(case.exception) as raised:
        # The SDK itself tries again for a while where that may help.
        service.transport.call(method, request, timeout=2).result(DEADLINE_SECONDS)
    error = raised.value
    assert type(error) is case.exception
    assert (error.reason, error.field) == (number(reason), case.field)
    assert case.said in str(error)
    if service.server is not None:
        with Client(service.server.address) as client:
            failure = client.fails(method, request)
        assert case.said in failure.message
        fields = (case.field,) if case.field else ()
        assert failure == Failure(case.code, reason, fields, failure.message, case.retry_seconds)


def test_each_reason_of_the_protocol_has_a_case() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert reasons == UNARY.keys() | ON_STREAMS | ON_CONNECTIONS | {"UNSPECIFIED"}


def test_each_reason_but_those_to_wait_for_has_an_exception_of_its_own() -> None:
    kinds = [case.exception for case in UNARY.values()] + [exceptions.ProtocolViolation]
    assert len(set(kinds)) == len(kinds)


def test_a_connection_with_too_much_under_way_is_busy_and_others_are_not(tmp_path: Path) -> None:
    half, a_call = 512 * 1024, 64 * 1024
    bounds = {"CLEARWAY_MAX_CLIENT_BYTES": str(2 * half)}
    with (
        Server(tmp_path / "server.db", environment=bounds) as server,
        Client(server.address) as client,
        Client(server.address) as other,
    ):
        tag = set_limit(other, 1)
        flow = create_flow(other).spec.id
        assert other.open().decide(start(flow, tags=[tag])).HasField("accept")
        session = other.stub.OpenSession(OpenSessionRequest()).session_id
        # Waiting in the queue for a slot, each with all that it has sent.
        waiting = [
            client.stub.SetTaskRunState.future(
                SetTaskRunStateRequest(
                    task_run_id=create_task(other, flow, tags=[tag]).spec.id,
                    state=with_result(RUNNING, bytes(a_call)),
                    wait_timeout=seconds(DEADLINE_SECONDS),
                )
            )
            for _ in range(half // a_call)
        ]
        wait_until(lambda: get_limit(other, tag).waiting_count == len(waiting), "all of them waiting")
        request = GetServerInfoRequest()
        failure = client.fails("GetServerInfo", request)
        assert failure == Failure(StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_BUSY", (), failure.message, 1)
        assert "try again" in failure.message
        # What keeps a session is taken all the same, and others are served.
        client.stub.KeepAlive(KeepAliveRequest(session_id=session))
        assert other.stub.GetServerInfo(request).version
        set_limit(other, 100, tag)
        assert all(each.result(DEADLINE_SECONDS).decision.HasField("accept") for each in waiting)
        assert wait_until(lambda: served(client, request), "room for another call")


def served(client: Client, request: Message) -> bool:
    """Return whether a call is served, for whose answer there may not be room yet."""
    try:
        return bool(client.stub.GetServerInfo(request).version)
    except grpc.RpcError:
        return False


def test_a_busy_server_is_one_to_try_again() -> None:
    error = exception_for(error_pb2.ERROR_REASON_BUSY, "too much under way")
    assert isinstance(error, exceptions.ServerUnavailable)


def test_messages_in_a_wrong_order_are_a_protocol_violation(small_server: Server) -> None:
    with Client(small_server.address) as client:
        stream = Stream(client.stub)
        stream.send(ProposeRequest(ping=1))
        end = stream.end()
    assert end == Failure(StatusCode.FAILED_PRECONDITION, "ERROR_REASON_PROTOCOL", ("hello",), end.message)
    error = converse(small_server.address, ProposeRequest(ping=1), threading.Event())
    assert type(error) is exceptions.ProtocolViolation
    assert (error.reason, error.field, str(error)) == (number("ERROR_REASON_PROTOCOL"), "hello", end.message)


def test_a_server_that_stops_says_so(tmp_path: Path) -> None:
    welcome = threading.Event()
    errors: list[exceptions.ServiceError] = []
    with Server(tmp_path / "server.db") as server, Client(server.address) as client:
        first = ProposeRequest(hello=Hello(client_name="tester"))
        talking = threading.Thread(
            target=lambda: errors.append(converse(server.address, first, welcome)), daemon=True
        )
        talking.start()
        stream = client.open()
        assert welcome.wait(DEADLINE_SECONDS)
        assert server.stop() == 0
        end = stream.end()
        talking.join(DEADLINE_SECONDS)
    assert end == Failure(StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTTING_DOWN", (), end.message, 1)
    (error,) = errors
    assert type(error) is exceptions.ServerUnavailable
    assert (error.reason, str(error)) == (number("ERROR_REASON_SHUTTING_DOWN"), end.message)


def number(reason: str) -> int:
    return error_pb2.ErrorReason.Value("ERROR_REASON_" + reason)


def converse(address: str, first: ProposeRequest, answered: threading.Event) -> exceptions.ServiceError:
    """Open a stream as the SDK does, and return the SDK's exception for its end."""

    async def talk() -> exceptions.ServiceError:
        channel = GrpcChannel(address, 0)
        try:
            stream = channel.open_stream()
            await stream.write(first.SerializeToString())
            while isinstance(await stream.read(), bytes):
                answered.set()
        except grpc.aio.AioRpcError as error:
            return channel.exception_from(error)
        finally:
            await channel.close()
        raise AssertionError("the stream ended well")

    return get_io_thread().submit(talk()).result(DEADLINE_SECONDS)
