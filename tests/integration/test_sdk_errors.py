"""What users see of an exception: in the terminal, in the logs, in the state, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import clearway
from clearway import flow, get_client, task
from clearway.exceptions import FailedRun
from clearway.logging import flush_logs
from integration.cli_process import answer
from integration.cli_process import run as run_cli
from integration.sdk_runs import SECONDS, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")

PROGRAM = Path(__file__).with_name("sdk_failing.py")
SDK = str(Path(clearway.__file__).parent)


def fail(how: str) -> str:
    """Run the failing program; return what it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, PROGRAM, how], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("how", ["direct", "submitted", "nested", "beside", "asynchronous", "awaited"])
def test_a_traceback_has_the_users_lines_only(how: str) -> None:
    errors = fail(how)
    assert errors.endswith("ValueError: no such ключ: x\n")
    assert "in helper" in errors
    assert "in load" in errors
    assert "<module>" in errors
    assert SDK not in errors


def test_a_misuse_is_shown_where_it_is() -> None:
    errors = fail("outside")
    assert 'load("x")' in errors
    assert errors.splitlines()[-1].startswith("clearway.exceptions.MissingContext: the task 'load'")
    assert SDK not in errors


def test_with_the_setting_our_lines_are_shown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_DEBUG", "1")
    assert SDK in fail("direct")


def test_what_was_raised_is_in_the_state_for_everybody() -> None:
    fail("direct")
    run, task_run = last_flow_run("direct"), task_runs("direct")["load-0"]
    for state in (run.state, task_run.state):
        error = state.error
        assert error is not None
        assert (error.type, error.message) == ("builtins.ValueError", "no such ключ: x")
        assert error.cause is not None
        assert error.cause.type == "builtins.KeyError"
        assert "in helper" in error.cause.stack_trace
        with pytest.raises(ValueError, match="no such ключ: x") as raised:
            state.result()
        assert "in load" in "".join(raised.value.__notes__)
    for kind, run_id in (("flow-run", run.id), ("task-run", task_run.id)):
        shown = run_cli(kind, "inspect", run_id).stdout
        assert "ValueError: no such ключ: x\n" in shown
        assert "Caused by KeyError: 'x'" in shown
        assert 'line 12, in helper\n    return {"a": "b"}[key]' in shown
        document = json.loads(answer(kind, "inspect", run_id, "-o", "json"))["state"]["error"]
        assert document["message"] == "no such ключ: x"
        assert document["cause"]["type"] == "builtins.KeyError"


def test_the_failure_is_logged_with_the_run_and_its_traceback_once() -> None:
    fail("nested")
    run = last_flow_run("nested")
    subflow, task_run = last_flow_run("direct"), task_runs("direct")["load-0"]
    with get_client() as client:
        (logged,) = client.read_logs(task_run_id=task_run.id)
        flow_logs = client.read_logs(flow_run_id=run.id) + client.read_logs(flow_run_id=subflow.id)
    assert logged.message.startswith("its code raised an exception\nTraceback")
    assert "in helper" in logged.message
    assert SDK not in logged.message
    assert sum("Traceback" in log.message for log in flow_logs) == 1


def test_an_exception_whose_class_is_not_here_is_raised_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = ModuleType("elsewhere")
    exec("class TheirsError(Exception): pass", elsewhere.__dict__)
    monkeypatch.setitem(sys.modules, "elsewhere", elsewhere)

    @task
    def fails() -> None:
        raise elsewhere.TheirsError("row 17")

    @flow
    def main() -> str:
        return fails(return_state=True).details.task_run_id

    run_id = task_runs_of(main)
    monkeypatch.delitem(sys.modules, "elsewhere")
    with get_client() as client:
        state = client.read_task_run(run_id).state
    with pytest.raises(FailedRun, match=r"elsewhere\.TheirsError: row 17") as raised:
        state.result()
    assert "No module named 'elsewhere'" in str(raised.value)
    assert raised.value.error == state.error
    assert state.error is not None
    assert "in fails" in state.error.stack_trace


def task_runs_of(main: clearway.Flow[[], str]) -> str:
    run_id = main()
    flush_logs().result(SECONDS)
    return run_id


def test_an_exception_that_cannot_be_pickled_is_told_all_the_same() -> None:
    @task
    def fails() -> None:
        error = ValueError("has a lock")
        error.lock = __import__("threading").Lock()  # type: ignore[attr-defined]
        raise error

    @flow
    def main() -> str:
        return fails(return_state=True).details.task_run_id

    with get_client() as client:
        state = client.read_task_run(main()).state
    with pytest.raises(FailedRun, match="ValueError: has a lock"):
        state.result()


def test_a_message_that_is_no_utf_8_is_escaped_and_the_exception_is_as_it_was() -> None:
    @task
    def load() -> None:
        raise ValueError("caf\udce9 is no menu")

    @flow
    def reading() -> str:
        state = load(return_state=True)
        return str(state.result(raise_on_failure=False))

    assert reading() == "caf\udce9 is no menu"
    state = task_runs("reading")["load-0"].state
    assert state is not None
    assert state.message.endswith(r"ValueError: caf\udce9 is no menu")
