"""The lines of a server's log: JSON, without what clients sent, and few of a kind."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clearway.v1.cache_pb2 import LookupCacheRequest
from clearway.v1.concurrency_limit_pb2 import SetConcurrencyLimitRequest
from clearway.v1.log_pb2 import Log, WriteLogsRequest
from clearway.v1.orchestrator_pb2 import DESCRIPTOR
from clearway.v1.proposal_pb2 import Hello, ProposeRequest, SetTaskRunStateRequest
from clearway.v1.task_run_pb2 import GetTaskRunRequest, ListTaskRunsRequest, TaskRunFilter
from support.client import Client, Failure, failure_of
from support.payloads import PAYLOAD, assert_json_lines, assert_no_payload
from support.proposals import COMPLETED, RUNNING, create_flow, create_task, with_key, with_result
from support.server import Server
from support.terminal import Terminal
from support.waiting import DEADLINE_SECONDS, wait_until

ACCIDENTS = str(Path(__file__).with_name("log_lines.py"))
EVIL = "a\x1b[31mb\nc\u202e"
SHOWN = "a\\x1b[31mb\\nc\\u202e"
UNARY = [
    method.name for method in DESCRIPTOR.services_by_name["Orchestrator"].methods if method.name != "Propose"
]
# A tag of group 0, which no message has; and a string that is no UTF-8 would do as well.
NO_MESSAGE = b"\x07\xff" + PAYLOAD.encode()


def fails(call: Callable[[], Any]) -> Failure:
    """Return how a call fails."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return failure_of(raised.value)


def raw(client: Client, method: str, body: bytes) -> Failure:
    """Return how a unary call with these bytes fails."""
    call = client.channel.unary_unary(f"/clearway.v1.Orchestrator/{method}")
    return fails(lambda: call(body, timeout=DEADLINE_SECONDS))


def stream_raw(client: Client, *bodies: bytes) -> Failure:
    """Return how a stream with these messages ends."""
    call = client.channel.stream_stream("/clearway.v1.Orchestrator/Propose")
    return fails(lambda: list(call(iter(bodies), timeout=DEADLINE_SECONDS)))


def events(server: Server) -> list[dict[str, Any]]:
    """Return the lines of a log that are of warnings or worse."""
    lines = [json.loads(line) for line in server.log]
    return [line for line in lines if line["level"] not in ("info", "debug")]


@pytest.mark.parametrize("method", UNARY)
def test_bytes_that_are_no_message_are_an_invalid_argument(method: str, caller: Client) -> None:
    failure = raw(caller, method, NO_MESSAGE)
    assert (failure.code, failure.reason) == (StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_ARGUMENT")
    assert f"clearway.v1.{method}Request" in failure.message
    assert PAYLOAD not in failure.message


def test_bytes_that_are_no_message_end_a_stream_with_an_invalid_argument(caller: Client) -> None:
    hello = ProposeRequest(hello=Hello(client_name="c", language="l", version="v")).SerializeToString()
    for bodies in ([NO_MESSAGE], [hello, NO_MESSAGE]):
        failure = stream_raw(caller, *bodies)
        assert (failure.code, failure.reason) == (
            StatusCode.INVALID_ARGUMENT,
            "ERROR_REASON_INVALID_ARGUMENT",
        )
        assert "clearway.v1.ProposeRequest" in failure.message


def test_bytes_that_are_no_message_of_other_services_are_an_invalid_argument(caller: Client) -> None:
    check = caller.channel.unary_unary("/grpc.health.v1.Health/Check")
    watch = caller.channel.unary_stream("/grpc.health.v1.Health/Watch")
    reflect = caller.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    for call in (
        lambda: check(NO_MESSAGE, timeout=DEADLINE_SECONDS),
        lambda: list(watch(NO_MESSAGE, timeout=DEADLINE_SECONDS)),
        lambda: list(reflect(iter([NO_MESSAGE]), timeout=DEADLINE_SECONDS)),
    ):
        assert fails(call).code == StatusCode.INVALID_ARGUMENT
    health = health_pb2_grpc.HealthStub(caller.channel)
    unknown = health_pb2.HealthCheckRequest(service="nobody")
    assert fails(lambda: health.Check(unknown)).code == StatusCode.NOT_FOUND


def test_a_flood_of_such_bytes_is_one_line_without_a_traceback(server: Server) -> None:
    with Client(server.address) as client:
        for _ in range(40):
            raw(client, "GetFlowRun", NO_MESSAGE)
        for _ in range(10):
            stream_raw(client, NO_MESSAGE)
    (line,) = events(server)
    assert line["event"].endswith("bytes from a client are no clearway.v1.GetFlowRunRequest")
    assert "exception" not in line
    assert "Traceback" not in "".join(server.log)


@contextlib.contextmanager
def damaged(server: Server, *statements: str) -> Iterator[None]:
    """Change a server's file from outside, which is not allowed."""
    with contextlib.closing(sqlite3.connect(server.database, timeout=30, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
    yield


def frames(line: dict[str, Any]) -> list[str]:
    """Return the functions in a line's traceback."""
    return [function for error in line["exception"] for _file, _line, function in error["frames"]]


def test_an_error_that_nobody_foresaw_is_internal_and_one_line_without_what_it_met(server: Server) -> None:
    with Client(server.address) as client:
        run = create_task(client, create_flow(client).spec.id)
        broken = f"UPDATE task_run SET inputs = '{PAYLOAD}'"
        with damaged(server, broken):
            for _ in range(20):
                failure = client.fails("GetTaskRun", GetTaskRunRequest(id=run.spec.id))
        assert (failure.code, failure.message) == (
            StatusCode.INTERNAL,
            "the service failed (JSONDecodeError); its log says where",
        )
        listed = client.fails("ListTaskRuns", ListTaskRunsRequest(filter=TaskRunFilter(task_keys=["work"])))
        assert listed.code == StatusCode.INTERNAL
    wait_until(lambda: len(events(server)) > 1 or None, "both lines are in the log")
    first, second = events(server)
    assert first["event"] == "/clearway.v1.Orchestrator/GetTaskRun failed"
    assert second["event"] == "/clearway.v1.Orchestrator/ListTaskRuns failed"
    assert "GetTaskRun" in frames(first)
    assert first["exception"][0]["exc_type"] == "json.decoder.JSONDecodeError"
    assert first["exception"][0]["exc_value"] is None
    assert_no_payload(server.log)


def test_a_database_that_fails_is_told_without_what_was_to_be_written(server: Server) -> None:
    tables = ("log", "cache_entry", "concurrency_limit", "task_run_tag", "abort")
    with Client(server.address) as client:
        flow = create_flow(client, parameters_json=json.dumps({"x": PAYLOAD}))
        run = create_task(client, flow.spec.id, tags=[PAYLOAD], name=PAYLOAD)
        with damaged(server, *(f"DROP TABLE {table}" for table in tables)):
            written = WriteLogsRequest(logs=[Log(flow_run_id=flow.spec.id, message=PAYLOAD)])
            for method, request in (
                ("WriteLogs", written),
                ("LookupCache", LookupCacheRequest(key=PAYLOAD)),
                ("SetConcurrencyLimit", SetConcurrencyLimitRequest(tag=PAYLOAD, limit=1)),
                ("ListTaskRuns", ListTaskRunsRequest(filter=TaskRunFilter(tags=[PAYLOAD]))),
                (
                    "SetTaskRunState",
                    SetTaskRunStateRequest(task_run_id=run.spec.id, state=with_key(RUNNING, PAYLOAD)),
                ),
                (
                    "SetTaskRunState",
                    SetTaskRunStateRequest(
                        task_run_id=run.spec.id,
                        state=with_result(with_key(COMPLETED, PAYLOAD), PAYLOAD.encode()),
                    ),
                ),
            ):
                failure = client.fails(method, request)
                assert (failure.code, failure.reason) == (
                    StatusCode.UNAVAILABLE,
                    "ERROR_REASON_STORE_UNAVAILABLE",
                ), method
                assert "no such table" in failure.message
                assert PAYLOAD not in failure.message
    told = [error["exc_value"] or "" for line in events(server) for error in line["exception"]]
    assert any("no such table" in text for text in told)
    assert_no_payload(server.log)


def test_rows_that_a_turn_cannot_read_are_told_without_their_values(server: Server) -> None:
    with Client(server.address) as client:
        run = create_task(client, create_flow(client).spec.id)
        with damaged(server, f"UPDATE task_run SET tags = '{PAYLOAD}'"):
            request = SetTaskRunStateRequest(task_run_id=run.spec.id, state=RUNNING)
            failure = client.fails("SetTaskRunState", request)
    assert (failure.code, failure.reason) == (StatusCode.UNAVAILABLE, "ERROR_REASON_STORE_UNAVAILABLE")
    assert failure.message == "the service failed (JSONDecodeError); its log says where"
    (line,) = events(server)
    assert line["event"] == "a transaction failed and was rolled back"
    assert_no_payload(server.log)


def lines_of(accident: str, value: str = PAYLOAD) -> list[str]:
    """Return what a process writes to standard error that has an accident."""
    command = [sys.executable, ACCIDENTS, accident, value]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert (done.returncode < 0) == (accident == "crash")
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("accident", "event", "kind"),
    [
        ("exception", "it failed", "builtins.ValueError"),
        ("structured", "it failed", "builtins.ValueError"),
        ("uncaught", "the server ended because of an uncaught error", "builtins.ValueError"),
        ("thread", "the thread poor ended because of an uncaught error", "builtins.ValueError"),
        ("unraisable", "an error could not be raised in a function", "builtins.ValueError"),
        ("unretrieved", "Task exception was never retrieved", "builtins.ValueError"),
        ("format", "a log line could not be formatted", None),
    ],
)
def test_whatever_fails_is_one_json_line_without_values(accident: str, event: str, kind: str | None) -> None:
    log = lines_of(accident)
    assert_json_lines(log)
    assert_no_payload(log)
    (line,) = map(json.loads, log)
    assert line["event"] == event
    if kind is not None:
        assert line["exception"][0]["exc_type"] == kind
        assert all(len(frame) == 3 for frame in line["exception"][0]["frames"])


def test_warnings_of_python_are_lines_of_the_log() -> None:
    log = lines_of("warning")
    assert_json_lines(log)
    (line,) = map(json.loads, log)
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "DeprecationWarning: old" in line["event"]


def test_lines_that_were_left_out_are_counted_at_the_end() -> None:
    first, last = map(json.loads, lines_of("repeated"))
    assert first["event"] == "it failed"
    assert last["event"] == "4 lines that repeat earlier ones were left out"


def test_a_line_has_a_bound() -> None:
    (line,) = map(json.loads, lines_of("long", "x"))
    assert line["event"] == "x" * 2_000 + "..."


def test_what_a_library_of_c_says_before_a_crash_is_a_json_line() -> None:
    log = lines_of("crash")
    assert_json_lines(log)
    first, last = map(json.loads, log)
    assert first["event"] == "first"
    assert (last["event"], last["level"]) == ("E0000 00:00:1.5 12 core.cc:1] last words", "error")


def test_lines_of_grpcs_core_are_json_where_they_are_asked_for(tmp_path: Path) -> None:
    verbose = {"GRPC_VERBOSITY": "DEBUG", "GRPC_TRACE": "http"}
    with Server(tmp_path / "server.db", environment=verbose) as server:
        with Client(server.address) as client:
            create_flow(client)
        assert server.stop() == 0
        assert_json_lines(server.log)
        assert any(json.loads(line)["logger"] == "native" for line in server.log)
        assert json.loads(server.log[0])["event"]


@pytest.mark.parametrize("accident", ["name", "structured name"])
def test_a_name_in_a_line_at_a_terminal_is_written_out(accident: str) -> None:
    with Terminal([sys.executable, ACCIDENTS, accident, EVIL], NO_COLOR="1") as terminal:
        code, lines = terminal.end()
    assert code == 0
    shown = [line for line in lines if line]
    assert len(shown) == 1
    assert SHOWN in shown[0]


def test_an_error_at_a_terminal_is_told_without_values_and_with_where_it_was_raised() -> None:
    with Terminal([sys.executable, ACCIDENTS, "exception", PAYLOAD], NO_COLOR="1") as terminal:
        _code, lines = terminal.end()
    assert_no_payload(lines)
    assert any("builtins.ValueError" in line for line in lines)
    assert any("log_lines.py:" in line and "in _raise" in line for line in lines)


def test_why_a_server_does_not_start_is_json_in_a_file_and_plain_at_a_terminal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "clearway_service", "--port", "70000", "--database", str(tmp_path / "x")]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert_json_lines(done.stderr.splitlines())
    assert "--port is '70000'" in done.stderr
    with Terminal(command) as terminal:
        code, lines = terminal.end()
    assert code == 2
    assert lines[0] == "Error: --port is '70000'; it must be a whole number from 0 to 65,535"


def test_a_server_that_is_interrupted_ends_without_a_line_that_is_no_json(tmp_path: Path) -> None:
    with Server(tmp_path / "server.db") as server:
        assert server._end(signal.SIGINT) == 0
        assert [json.loads(line)["event"] for line in server.log[-2:]] == ["draining", "stopped"]
