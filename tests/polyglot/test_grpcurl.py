"""grpcurl, which knows the service by reflection alone: what an operator does with it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearway.v1 import orchestrator_pb2
from integration.cli_process import CLEARWAY
from polyglot.golang import grpcurl
from support.proposals import new_id
from support.server import Server

SERVICE = "clearway.v1.Orchestrator"
RPCS = [method.name for method in orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].methods]
DOCS = Path(__file__).parents[2] / "docs"
OPERATIONS = DOCS / "operations.md"
PROTOCOL = DOCS / "protocol.md"


def ask(server: Server, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run grpcurl with the options that come before the address, and what comes after it."""
    *options, last = arguments
    command = [grpcurl(), "-plaintext", *options, server.address, *shlex.split(last)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def call(server: Server, rpc: str, request: dict[str, Any]) -> dict[str, Any]:
    done = ask(server, "-d", json.dumps(request), f"{SERVICE}/{rpc}")
    assert (done.returncode, done.stderr) == (0, ""), f"{rpc}: {done.stdout}{done.stderr}"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_services_are_listed_and_described_with_their_comments(server: Server) -> None:
    listed = ask(server, "list").stdout.split()
    assert {SERVICE, "grpc.health.v1.Health"} <= set(listed)
    assert ask(server, f"list {SERVICE}").stdout.split() == sorted(f"{SERVICE}.{rpc}" for rpc in RPCS)
    described = ask(server, f"describe {SERVICE}").stdout
    propose = (
        "rpc Propose ( stream .clearway.v1.ProposeRequest ) returns ( stream .clearway.v1.ProposeResponse )"
    )
    assert f"{propose} {{\n    option (.clearway.v1.role) = ROLE_WORK;\n  }}" in described
    assert described.count("option (.clearway.v1.role) = ROLE_") == len(RPCS)
    spec = ask(server, "describe clearway.v1.TaskRunSpec").stdout
    assert "string task_key = 3 [" in spec
    assert "required: true, format: FIELD_FORMAT_KEY, max_chars: 255" in " ".join(spec.split())


def test_every_unary_rpc_is_called_with_json(server: Server) -> None:
    called = set()

    def ok(rpc: str, **request: Any) -> dict[str, Any]:
        called.add(rpc)
        return call(server, rpc, request)

    assert ok("GetServerInfo")["database"] == "sqlite"
    spec = {"flow_name": "by-hand", "parameters_json": '{"x": 1}'}
    flow = ok("CreateFlowRun", flow_run=spec)["flow_run"]["spec"]["id"]
    assert ok("GetFlowRun", id=flow)["flow_run"]["spec"]["flow_name"] == "by-hand"
    assert (
        ok("SetFlowRunState", flow_run_id=flow, state={"type": "STATE_TYPE_RUNNING"})["decision"]["accept"]
        == {}
    )
    (listed,) = ok("ListFlowRuns", filter={"flow_names": ["by-hand"]})["flow_runs"]
    assert listed["spec"]["id"] == flow
    states = ok("ListFlowRunStates", flow_run_id=flow)["states"]
    assert [state["name"] for state in states] == ["Pending", "Running"]

    limit = ok("SetConcurrencyLimit", tag="database", limit=1)["concurrency_limit"]["id"]
    assert ok("SetConcurrencyLimit", tag="database", limit=1)["previous_limit"] == 1
    session = ok("OpenSession", client_name="me", language="json")["session_id"]
    assert ok("KeepAlive", session_id=session)["lease"] == "30s"
    spec = {"flow_run_id": flow, "task_key": "load", "dynamic_key": "0", "tags": ["database"]}
    task = ok("CreateTaskRun", task_run=spec)["task_run"]["spec"]["id"]
    other = ok("CreateTaskRun", task_run=spec | {"dynamic_key": "1"})["task_run"]["spec"]["id"]
    running = {"type": "STATE_TYPE_RUNNING", "cache_key": "load-1"}
    begun = ok("SetTaskRunState", task_run_id=task, session_id=session, state=running)
    assert begun["decision"]["state"]["name"] == "Running"
    waits = ok(
        "SetTaskRunState", proposal_id=new_id(), task_run_id=other, state={"type": "STATE_TYPE_RUNNING"}
    )
    assert waits["decision"]["wait"]["reason"] == "WAIT_REASON_LIMIT"
    assert waits["decision"]["wait"]["retry_after"] == "30s"
    explained = ok("ExplainTaskRun", id=other)
    assert explained["limits"][0]["holders"][0]["task_run_id"] == task
    assert explained["limit"]["tag"] == "database"
    assert ok("GetConcurrencyLimit", id=limit)["concurrency_limit"]["holders"][0]["task_run_id"] == task
    assert ok("GetConcurrencyLimit", tag="database")["concurrency_limit"]["limit"] == 1
    (listed,) = ok("ListConcurrencyLimits")["concurrency_limits"]
    (holder,) = ok("ListSlotHolders", tag="database")["holders"]
    assert (listed["tag"], holder["task_run_id"], ok("ListSlotWaiters", tag="database")) == (
        "database",
        task,
        {},
    )
    assert ok("ResetConcurrencyLimit", tag="database")["released_count"] == 1
    assert "taken_count" not in ok("GetConcurrencyLimit", tag="database")["concurrency_limit"]
    data = {"encoding": "json", "inline": "NDI=", "size_bytes": 2}
    ended = running | {"type": "STATE_TYPE_COMPLETED", "data": data}
    assert ok("SetTaskRunState", task_run_id=task, state=ended)["decision"]["accept"] == {}
    assert ok("GetTaskRun", id=task)["task_run"]["state"]["data"]["inline"] == "NDI="
    completed = ok("ListTaskRuns", filter={"state_types": ["STATE_TYPE_COMPLETED"]})["task_runs"]
    assert [each["spec"]["id"] for each in completed] == [task]
    names = [state["name"] for state in ok("ListTaskRunStates", task_run_id=task)["states"]]
    assert names == ["Pending", "Running", "Completed"]
    assert ok("CloseSession", session_id=session) == ok("DeleteConcurrencyLimit", tag="database") == {}

    cache_results_and_logs(ok, flow)
    assert called == set(RPCS) - {"Propose"}


def cache_results_and_logs(ok: Callable[..., dict[str, Any]], flow: str) -> None:
    """Call what is about the cache entry of ``load-1``, stored results, and the logs of a flow run."""
    assert ok("LookupCache", key="load-1")["entry"]["state"]["data"]["inline"] == "NDI="
    assert [each["key"] for each in ok("ListCacheEntries")["entries"]] == ["load-1"]
    assert ok("GetCacheStats")["total"]["entry_count"] == "1"
    assert ok("ListTaskCacheStats")["tasks"][0]["task_key"] == "load"
    assert ok("InvalidateCache", filter={"key_prefix": "load-"})["count"] == "1"

    digest = "73475cb40a568e8da8a045ced110137e159f890ac4da883b6b17dc651b3a8049"
    content = {"sha256": digest, "size_bytes": "2"}
    kept = ok("UploadResult", upload_id=new_id(), chunk="NDI=", **content)["location"]
    assert ok("DownloadResult", location=kept)["chunk"] == "NDI="
    assert ok("ListOrphanedResults") == ok("DropOrphanedResults", state_ids=[new_id()]) == {}

    line = {"flow_run_id": flow, "level": 30, "message": "by hand", "create_time": "2030-01-31T12:00:00Z"}
    assert ok("WriteLogs", logs=[line]) == {"written_count": 1}
    assert [each["message"] for each in ok("ListLogs", flow_run_id=flow, min_level=30)["logs"]] == ["by hand"]


def test_a_stream_session_by_hand(server: Server) -> None:
    flow = call(server, "CreateFlowRun", {"flow_run": {"flow_name": "by-hand"}})["flow_run"]["spec"]["id"]
    first, second = new_id(), new_id()
    spec = {"id": new_id(), "flow_run_id": flow, "task_key": "load", "dynamic_key": "0"}
    messages: list[dict[str, Any]] = [
        {"hello": {"client_name": "me"}, "ping": 1},
        {"proposals": [{"id": first, "create_task_run": spec, "state": {"type": "STATE_TYPE_RUNNING"}}]},
        {"proposals": [{"id": second, "task_run_id": spec["id"], "state": {"type": "STATE_TYPE_COMPLETED"}}]},
        {"goodbye": True},
    ]
    done = ask(server, "-d", "@", f"{SERVICE}/Propose", text="\n".join(json.dumps(each) for each in messages))
    assert (done.returncode, done.stderr) == (0, "")
    answers = several(done.stdout)
    assert answers[0]["welcome"]["lease"] == "30s"
    assert "1" in [answer.get("pong") for answer in answers]
    decisions = [decision for answer in answers for decision in answer.get("decisions", [])]
    assert [(each["proposal_id"], each["state"]["name"]) for each in decisions if "accept" in each] == [
        (first, "Running"),
        (second, "Completed"),
    ]


def several(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects that stand one behind the other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def test_a_failed_call_shows_its_code_its_message_and_what_was_wrong_where(server: Server) -> None:
    done = ask(server, "-d", '{"tag": "database", "limit": -1}', f"{SERVICE}/SetConcurrencyLimit")
    assert done.returncode == 64 + 3  # INVALID_ARGUMENT
    shown = done.stdout + done.stderr
    assert "Code: InvalidArgument" in shown
    assert "Message: limit is -1; it must be from 0 to 1000000" in shown
    for document in (OPERATIONS, PROTOCOL):
        text = document.read_text(encoding="utf-8")
        assert "Message: limit is -1; it must be from 0 to 1000000" in text
        for fact in ('"reason": "ERROR_REASON_INVALID_ARGUMENT"', '"field": "limit"'):
            assert fact in shown
            assert fact in text


def rows() -> list[str]:
    """Return the shell commands of the table in the operations document, those of both columns."""
    section = OPERATIONS.read_text(encoding="utf-8").split("## The commands")[1].split("\n## ")[0]
    cells = [line.split(" | ")[1:] for line in section.splitlines() if line.startswith("| ")]
    return [
        command
        for row in cells
        for cell in row
        for command in re.findall("`([^`]+)`", cell)
        if " " in command
    ]


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> dict[str, str]:
    """Return an environment in which the document's commands are found."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "grpcurl").symlink_to(grpcurl())
    (tmp_path / "bin" / "clearway").symlink_to(CLEARWAY)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    return {"PATH": path, "CLEARWAY_ADDRESS": server.address, "CLEARWAY_HOME": str(tmp_path / "home")}


def sh(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    text = OPERATIONS.read_text(encoding="utf-8")
    function = next(line for line in text.splitlines() if line.startswith("call()"))
    return subprocess.run(
        ["bash", "-c", f"{function}\n{command}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_commands_of_the_operations_document_do_what_they_say(
    server: Server, shell: dict[str, str]
) -> None:
    flow = call(server, "CreateFlowRun", {"flow_run": {"flow_name": "by-hand"}})["flow_run"]["spec"]["id"]
    call(server, "SetConcurrencyLimit", {"tag": "database", "limit": 1})
    spec = {"flow_run_id": flow, "task_key": "load", "dynamic_key": "0", "tags": ["database"]}
    task = call(server, "CreateTaskRun", {"task_run": spec})["task_run"]["spec"]["id"]
    commands = rows()
    assert len(commands) >= 24
    for command in commands:
        run = flow if "flow-run" in command or "ListLogs" in command else task
        # At a terminal it asks.
        confirmed = f"{command} --yes" if command.startswith("clearway concurrency-limit reset") else command
        done = sh(re.sub(r"\bID\b", run, confirmed), shell)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout + done.stderr, command
    assert call(server, "GetTaskRun", {"id": task})["task_run"]["state"]["message"] == "by hand"


def like(documented: Any, shown: Any) -> bool:
    """Return whether what was shown has all that is documented; "..." stands for any text."""
    if isinstance(documented, dict):
        return isinstance(shown, dict) and all(
            like(value, shown.get(key)) for key, value in documented.items()
        )
    return (isinstance(shown, str) and bool(shown)) if documented == "..." else documented == shown


def test_the_conversation_of_the_protocol_document_is_what_the_server_says(shell: dict[str, str]) -> None:
    text = PROTOCOL.read_text(encoding="utf-8")
    begin, end = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    script = subprocess.run(
        ["bash", "-ec", begin + end], env=shell, capture_output=True, text=True, timeout=60, check=False
    )
    assert (script.returncode, script.stderr) == (0, "")
    *_, accepted, waits, completed, accepted_later = several(script.stdout)
    documented = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert len(documented) == 2
    for each, shown in zip(documented, (accepted, waits), strict=True):
        assert like(each, shown), shown
    assert completed["decision"]["state"]["type"] == "STATE_TYPE_COMPLETED"
    assert "accept" in accepted_later["decision"]


def test_the_documents_stream_by_hand(shell: dict[str, str]) -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    block = next(each for each in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "-d @" in each)
    done = sh(block, shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert [key for answer in several(done.stdout) for key in answer] == ["welcome", "pong"]
