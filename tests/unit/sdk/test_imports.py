from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import clearway


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_clearway_loads_next_to_nothing() -> None:
    loaded = loaded_after("import clearway")
    assert {name for name in loaded if name.startswith("clearway")} == {"clearway"}


def test_defining_flows_and_tasks_loads_no_service_no_wire_and_no_loop() -> None:
    loaded = loaded_after(
        "from clearway import flow, task, tags, unmapped, Completed, get_run_logger, get_client\n"
        "@task(retries=1, tags=['a'])\ndef t(): ...\n@flow\ndef f(): ...\n"
    )
    heavy = {"asyncio", "grpc", "sqlalchemy", "alembic", "cloudpickle", "rich", "typer", "clearway_service"}
    assert not loaded & heavy


def test_defining_flows_and_tasks_with_options_loads_no_messages() -> None:
    loaded = loaded_after(
        "from datetime import timedelta\nfrom clearway import flow, task\n"
        "@task(timeout_seconds=1, cache_expiration=timedelta(1))\ndef t(): ...\n"
        "@flow(timeout_seconds=1)\ndef f(): ...\nt.with_options(retries=1), f.with_options(retries=1)\n"
    )
    assert not loaded & {"google.protobuf", "pydantic", "difflib", "clearway.v1"}


def test_a_flow_that_runs_in_its_own_process_loads_neither_sqlalchemy_nor_grpc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARWAY_HOME", str(tmp_path))
    program = (
        "from clearway import flow, task\n"
        "@task\ndef double(number): return 2 * number\n"
        "@flow\ndef doubled(number: int): return double.submit(number).result() + double(number)\n"
        "assert doubled(1) == 4"
    )
    for _home in ("new", "made before"):
        loaded = loaded_after(program)
        assert "clearway_service" in loaded
        assert not loaded & {
            "sqlalchemy",
            "alembic",
            "aiosqlite",
            "grpc",
            "rich",
            "typer",
            "structlog",
            "psutil",
        }


def test_the_messages_alone_load_no_sdk() -> None:
    loaded = loaded_after("from clearway.v1 import state_pb2")
    ours = {name for name in loaded if name.startswith("clearway")}
    assert all(name == "clearway" or name.startswith("clearway.v1") for name in ours)


def test_the_client_of_a_server_loads_no_service() -> None:
    loaded = loaded_after(
        "import clearway._execution.flow.calls, clearway._execution.task.calls, clearway._transport.server"
    )
    assert not loaded & {"sqlalchemy", "alembic", "clearway_service", "rich", "typer"}


def test_all_that_is_offered_is_there() -> None:
    for name in clearway.__all__:
        assert getattr(clearway, name) is not None
        assert name in dir(clearway)


def test_what_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'clearway' has no attribute 'workflow'"):
        clearway.workflow  # noqa: B018


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("clearway.exceptions", ["ClearwayError", "InvalidSetting", "ServiceError"]),
        ("clearway.results", ["StoredResult"]),
        ("clearway.run_errors", ["RunError"]),
        ("clearway.states", ["State", "StateDetails", "StateType"]),
        ("clearway.task_runners", ["TaskCall", "TaskConcurrencyType", "TaskExecutor", "TaskRunner"]),
        ("clearway.context", ["FlowRunContext", "TaskRunContext"]),
        ("clearway.flows", ["Flow"]),
        ("clearway.tasks", ["Task"]),
    ],
)
def test_a_public_class_is_of_the_module_that_users_import_it_from(module: str, names: list[str]) -> None:
    for name in names:
        offered = getattr(importlib.import_module(module), name)
        assert offered.__module__ == module
        assert pickle.loads(pickle.dumps(offered)) is offered
