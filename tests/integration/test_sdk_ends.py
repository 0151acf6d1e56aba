"""What the terminal and the kept log say of a run's end: each thing once, without Clearway's own code."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

import clearway
import clearway_service
from clearway import get_client
from integration.sdk_runs import SECONDS, last_flow_run
from support.terminal import Terminal

PROGRAM = Path(__file__).with_name("sdk_ends.py")
OURS = tuple(str(Path(package.__file__ or "").parent) for package in (clearway, clearway_service))
_BEGIN = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} \| ")


def ended(*arguments: str, code: int = 1) -> str:
    """Run the program; return what it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == code, done.stderr
    return done.stderr


def shown(*arguments: str) -> list[str]:
    """Run the program at a terminal of 80 columns; return the lines that stay there, rejoined."""
    with Terminal([sys.executable, str(PROGRAM), *arguments], 80) as terminal:
        _, lines = terminal.end()
    text, wrapped = "", False
    for line in lines:
        text += line if wrapped else f"\n{line}"
        wrapped = len(line) >= 79
    return text.splitlines()


def logged(errors: str) -> list[tuple[str, str]]:
    """Return the level and the text of each log line, without what follows its first line."""
    lines = [line.split(" | ", 2) for line in errors.splitlines() if _BEGIN.match(line)]
    return [(level.strip(), text.partition(" - ")[2]) for _, level, text in lines]


def kept(flow_name: str) -> list[tuple[int, str]]:
    """Return the level and the text of each line that the service has of the latest run of a flow."""
    with get_client() as client:
        return [(log.level, log.message) for log in client.read_logs(flow_run_id=last_flow_run(flow_name).id)]


@pytest.mark.usefixtures("service")
def test_a_retried_attempt_is_one_warning_and_the_last_one_has_the_traceback() -> None:
    errors = ended("retried", "return_state", code=0)
    began, *attempts, failed, end = logged(errors)
    assert began[0] == "INFO"
    assert attempts == [("WARNING", "ValueError: bad row ...; it runs again at once")] * 2
    assert failed == ("ERROR", "its code raised an exception")
    assert end[0] == "ERROR"
    assert re.fullmatch(
        r"ended as Failed \(ValueError\) in \d+\.\d s: 1 task run: 1 failed; 2 retries", end[1]
    )
    assert errors.count("Traceback") == 1
    assert errors.count("in the second line") == 2  # the traceback has the line of code too
    assert sum("Traceback" in message for _, message in kept("retried")) == 1
    assert not any(path in errors for path in OURS)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("name", ["failing", "failing_async"])
def test_an_exception_that_reaches_the_caller_is_shown_by_python_alone(name: str) -> None:
    errors = ended(name)
    assert errors.count("Traceback") == 1
    assert errors.count("KeyError: 'of the flow'") == 1
    assert errors.endswith("KeyError: 'of the flow'\n")
    (level, text) = logged(errors)[-1]
    assert level == "ERROR"
    assert re.fullmatch(r"ended as Failed \(KeyError\) in \d+\.\d s: no task runs", text)
    errors_kept = [message for at, message in kept(name) if at >= logging.ERROR]
    assert len(errors_kept) == 1, "the service has the traceback, in one line"
    assert "Traceback" in errors_kept[0]


@pytest.mark.usefixtures("service")
def test_an_exception_that_stays_in_a_state_is_shown_once() -> None:
    errors = ended("failing", "return_state", code=0)
    assert errors.count("Traceback") == errors.count("KeyError: 'of the flow'") == 1
    assert [level for level, _ in logged(errors)] == ["INFO", "ERROR"]


def test_a_retried_flow_has_one_traceback() -> None:
    errors = ended("failing_twice", "return_state", code=0)
    assert ("WARNING", "KeyError: 'of the flow'; it runs again at once") in logged(errors)
    assert errors.count("Traceback") == 1


def test_the_exception_of_a_subflow_is_logged_once_with_the_subflow() -> None:
    errors = ended("parent", "return_state", code=0)
    assert errors.count("Traceback") == 1
    text = logged(errors)[-1][1]
    assert text.endswith(": 1 task run and 1 subflow: 1 completed, 1 failed")


@pytest.mark.parametrize("name", ["failing", "parent", "mapped", "retried"])
def test_on_a_terminal_a_flows_end_is_one_line(name: str) -> None:
    lines = shown(name)
    assert sum("ended as Failed" in line and "Flow run" in line for line in lines) == 1 + (name == "parent")
    assert not any("did not end" in line or "not completed" in line for line in lines)


def test_on_a_terminal_an_exception_that_stays_in_a_state_is_shown_once() -> None:
    lines = shown("failing", "return_state")
    assert sum("KeyError: 'of the flow'" in line for line in lines) == 1
    assert sum("ended as Failed" in line for line in lines) == 1


def test_a_map_that_fails_has_counts_that_add_up() -> None:
    errors = ended("mapped")
    assert logged(errors)[-1][1].endswith(" s: 5 task runs: 3 completed, 2 failed")
    assert errors.count("its code raised an exception") == 2
    assert errors.count("3 completed") == 1


def test_each_kind_of_end_is_counted_by_itself() -> None:
    text = logged(ended("kinds"))[-1][1]
    assert text.endswith(" s: 6 task runs: 3 completed, 1 failed, 1 cancelled, 1 not started")
    message = last_flow_run("kinds").state.message
    assert message == (
        "of the task runs and subflows, 1 of 6 failed, 1 of 6 were cancelled, 1 of 6 did not run to an end"
    )


def test_a_failure_before_the_code_is_logged_too() -> None:
    errors = ended("keyless", "return_state", code=0)
    assert ("ERROR", "its cache_key_fn raised an exception") in logged(errors)
    assert errors.count("Traceback") == errors.count("ZeroDivisionError: division by zero") == 1


def test_a_state_made_by_hand_says_why_once() -> None:
    errors = ended("by_hand", "return_state", code=0)
    assert errors.count("no data today") == 1
    assert "ended as Failed (no data today) in " in errors


def test_a_flow_that_completes_says_so_with_its_counts() -> None:
    text = logged(ended("completing", code=0))[-1]
    assert re.fullmatch(r"ended as Completed in \d+\.\d s: 1 task run: 1 completed", text[1])
    assert text[0] == "INFO"


@pytest.mark.usefixtures("service")
def test_a_dead_worker_is_the_users_lines_and_one_sentence() -> None:
    errors = ended("worker")
    assert not any(path in errors for path in OURS)
    assert errors.count("Traceback") == 1
    assert errors.splitlines()[-1].startswith("clearway.exceptions.WorkerDied: the worker process")
    assert 'File "' in errors
    failed = [text for level, text in logged(errors) if level == "ERROR"]
    assert re.fullmatch(r"WorkerDied: the worker process .*|the worker process .*", failed[0])
    assert re.search(r"1 task run: 1 crashed$", failed[1])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("completing", "home"),
        ("completing", "database"),
        ("failing_async", "folder"),
        ("completing", "address"),
        ("failing_async", "address"),
        ("completing", "lease"),
        ("client", "database"),
        ("client", "address"),
        ("async_client", "folder"),
        ("async_client", "address"),
    ],
)
def test_what_is_wrong_with_a_setting_is_the_users_lines_and_one_sentence(
    name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("This is neither a database nor a folder.\n" * 20)
    variables = {
        "home": ("CLEARWAY_HOME", str(wrong)),
        "database": ("CLEARWAY_DATABASE", str(wrong)),
        "folder": ("CLEARWAY_DATABASE", str(tmp_path)),
        "address": ("CLEARWAY_ADDRESS", "127.0.0.1:1"),
        "lease": ("CLEARWAY_LEASE_SECONDS", "long"),
    }
    variable, value = variables[what]
    monkeypatch.setenv(variable, value)
    errors = ended(name)
    assert errors.count("Traceback") == 1, errors
    assert not any(path in errors for path in OURS)
    assert value in errors.splitlines()[-1]
    assert errors.splitlines()[-1].startswith("clearway.exceptions.")
    assert errors.count(errors.splitlines()[-1].partition(": ")[2]) == 1
