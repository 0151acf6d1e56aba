"""The server as a process: how it starts, says where it listens, stops, and comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from clearway.v1.flow_run_pb2 import GetFlowRunRequest
from clearway.v1.orchestrator_pb2 import DESCRIPTOR
from clearway.v1.proposal_pb2 import SetTaskRunStateRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from support.client import Client, Stream, failure_of
from support.database import history_gaps, locked, row_counts
from support.limits import get_limit, held_by, set_limit
from support.proposals import (
    COMPLETED,
    RUNNING,
    create_flow,
    create_task,
    get_task,
    move,
    names,
    new_id,
    seconds,
    start,
)
from support.server import Server
from support.waiting import wait_until


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clearway_service", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | environment, check=False
    )


def test_the_server_says_where_it_listens(shared_server: Server) -> None:
    events = [json.loads(line) for line in shared_server.log]
    (listening,) = [event for event in events if event["event"] == "listening"]
    assert listening["address"] == shared_server.address
    assert listening["database"] == str(shared_server.database)
    assert listening["version"]
    assert listening["level"] == "info"


def test_health_is_served(caller: Client) -> None:
    stub: Any = health_pb2_grpc.HealthStub(caller.channel)
    for name in ("", "clearway.v1.Orchestrator"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as raised:
        stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert failure_of(raised.value).code == StatusCode.NOT_FOUND


def test_reflection_tells_every_rpc(caller: Client) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(caller.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="clearway.v1.Orchestrator"),
    ]
    listed, described = stub.ServerReflectionInfo(iter(requests))
    services = {service.name for service in listed.list_services_response.service}
    assert {"clearway.v1.Orchestrator", "grpc.health.v1.Health"} <= services
    (file, *_) = described.file_descriptor_response.file_descriptor_proto
    assert file == DESCRIPTOR.serialized_pb


def test_reflection_shows_the_role_of_every_rpc_and_the_rules_of_fields(caller: Client) -> None:
    """A client that has no protos builds them from what reflection returns, options included."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(caller.channel)
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="clearway.v1.Orchestrator")
    (described,) = stub.ServerReflectionInfo(iter([request]))
    bodies = described.file_descriptor_response.file_descriptor_proto
    files = {file.name: file for file in map(FileDescriptorProto.FromString, bodies)}
    pool = DescriptorPool()

    def add(name: str) -> None:
        """Add a file after those that it imports."""
        file = files.pop(name, None)
        if file is not None:
            for imported in file.dependency:
                add(imported)
            pool.Add(file)

    add(DESCRIPTOR.name)
    role: Any = pool.FindExtensionByName("clearway.v1.role")
    rules: Any = pool.FindExtensionByName("clearway.v1.rules")
    options: Any = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.MethodOptions"))
    methods = pool.FindServiceByName("clearway.v1.Orchestrator").methods
    roles = {
        method.name: role.enum_type.values_by_number[
            options.FromString(method.GetOptions().SerializeToString()).Extensions[role]
        ].name
        for method in methods
    }
    assert len(roles) == len(DESCRIPTOR.services_by_name["Orchestrator"].methods)
    assert set(roles.values()) == {"ROLE_READ", "ROLE_WORK", "ROLE_OPERATE"}
    assert (roles["GetTaskRun"], roles["Propose"]) == ("ROLE_READ", "ROLE_WORK")
    assert roles["SetConcurrencyLimit"] == "ROLE_OPERATE"
    field = pool.FindMessageTypeByName("clearway.v1.TaskRunSpec").fields_by_name["task_key"]
    of_field: Any = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FieldOptions"))
    told = of_field.FromString(field.GetOptions().SerializeToString()).Extensions[rules]
    assert (told.required, told.max_chars) == (True, 255)


def test_a_port_that_is_taken_is_a_clear_line_and_exit_code_1(shared_server: Server, tmp_path: Path) -> None:
    port = shared_server.address.rpartition(":")[2]
    finished = run("--port", port, "--database", str(tmp_path / "other.db"))
    assert finished.returncode == 1
    assert shared_server.address in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--port", "70000"], {}, "70000"),
        (["--port", "0"], {"CLEARWAY_LEASE_SECONDS": "soon"}, "CLEARWAY_LEASE_SECONDS is 'soon'"),
        (["--port", "0"], {"CLEARWAY_LEASE_SECONDS": "0.5"}, "CLEARWAY_LEASE_SECONDS is '0.5'"),
        (["--port", "0"], {"CLEARWAY_LEASE_SECONDS": "nan"}, "CLEARWAY_LEASE_SECONDS"),
    ],
    ids=["port", "lease", "short", "nan"],
)
def test_a_wrong_setting_is_a_clear_line_and_exit_code_2(
    arguments: list[str], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    finished = run(*arguments, "--database", str(tmp_path / "server.db"), **environment)
    assert finished.returncode == 2
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_file_that_is_no_database_is_a_clear_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear reader, this is no database. " * 100)
    finished = run("--port", "0", "--database", str(path))
    assert finished.returncode == 1
    assert str(path) in finished.stderr
    assert "Traceback" not in finished.stderr
    assert path.read_text().startswith("Dear reader")


def test_sigterm_answers_what_was_proposed_and_exits_0(tmp_path: Path) -> None:
    with Server(tmp_path / "server.db") as server, Client(server.address) as client:
        flow, tag = create_flow(client).spec.id, set_limit(client, 1)
        stream, silent = client.open(), client.open()
        held = stream.decide(start(flow, tags=[tag])).run_id
        waits = start(flow, tags=[tag])
        assert stream.decide(waits).wait.queued
        proposals = [start(flow) for _ in range(500)]
        with locked(server.database):
            stream.propose(*proposals)
            stream.ping(1)
        assert server.stop() == 0
        end = stream.end()
        assert (end.code, end.reason) == (StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTTING_DOWN")
        assert end.retry_seconds == 1
        assert silent.end().code == StatusCode.UNAVAILABLE
        assert all(stream.decision(proposal.id).HasField("accept") for proposal in proposals)
        assert [json.loads(line)["event"] for line in server.log[-2:]] == ["draining", "stopped"]
        server.start()
        back = client.open(resume=stream.session_id)
        assert get_task(client, held).state.name == "Running"
        assert back.decide(move(held, COMPLETED)).HasField("accept")
        back.propose(waits)
        assert back.final(waits.id).HasField("accept")
        back.say_goodbye()


def test_sigterm_does_not_wait_for_a_client_that_says_nothing(tmp_path: Path) -> None:
    with Server(tmp_path / "server.db", environment={"CLEARWAY_SHUTDOWN_GRACE_SECONDS": "60"}) as server:
        with Client(server.address) as client:
            client.open()
            Stream(client.stub)
            assert server.stop() == 0
        assert "did not end within" not in "".join(server.log)


def test_what_was_told_is_there_after_a_kill(tmp_path: Path) -> None:
    with Server(tmp_path / "server.db") as server, Client(server.address) as client:
        flow = create_flow(client, name="kept", parameters_json='{"x": 1}', tags=["t"], retries=2)
        before = client.stub.GetFlowRun(GetFlowRunRequest(id=flow.spec.id)).flow_run
        stream = client.open()
        proposals = [start(flow.spec.id) for _ in range(50)]
        stream.propose(*proposals)
        told = [stream.decision(proposal.id) for proposal in proposals]
        server.kill()
        stream.end()
        server.start()
        wait_until(lambda: _answers(client), "the server's return")
        assert client.stub.GetFlowRun(GetFlowRunRequest(id=flow.spec.id)).flow_run == before
        back = client.open(resume=stream.session_id)
        back.propose(*proposals)
        assert [back.decision(proposal.id) for proposal in proposals] == told
        assert names(client, told[0].run_id) == ["Running"]
        assert history_gaps(server.database) == []
        back.say_goodbye()


def test_a_waiting_unary_caller_that_is_lost_with_the_server_gets_no_slot(tmp_path: Path) -> None:
    with Server(tmp_path / "server.db") as server, Client(server.address) as client:
        flow, tag = create_flow(client).spec.id, set_limit(client, 1)
        held, waits = (create_task(client, flow, tags=[tag]).spec.id for _ in range(2))
        client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=held, state=RUNNING))
        request = SetTaskRunStateRequest(
            proposal_id=new_id(), task_run_id=waits, state=RUNNING, wait_timeout=seconds(60)
        )
        with ThreadPoolExecutor() as pool:
            call = pool.submit(client.fails, "SetTaskRunState", request)
            wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the waiter")
            server.kill()
            assert call.result().code == StatusCode.UNAVAILABLE
        server.start()
        wait_until(lambda: _answers(client), "the server's return")
        client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=held, state=COMPLETED))
        assert get_task(client, waits).state.name == "Pending"
        assert held_by(client, tag) == []
        again = client.stub.SetTaskRunState(request)
        assert again.decision.HasField("accept")
        assert row_counts(server.database)["waiter"] == 0


def _answers(client: Client) -> bool:
    try:
        return bool(client.stub.GetServerInfo(GetServerInfoRequest()).version)
    except grpc.RpcError:
        return False
