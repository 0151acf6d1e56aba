"""Log lines of processes that a run forks: the service has them, or the terminal says that it has not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clearway import get_client
from integration.sdk_runs import SECONDS, task_runs

PROGRAM = Path(__file__).with_name("sdk_forked.py")


def fork(how: str) -> tuple[str, list[str]]:
    """Run the program; return what it wrote to stderr, and the lines of its task that the service has."""
    done = subprocess.run(
        [sys.executable, PROGRAM, how], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    with get_client() as client:
        lines = client.read_logs(task_run_id=task_runs("forking")["logs-0"].id, limit=None)
    return done.stderr, [line.message for line in lines]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("how", "messages"),
    [
        ("process", ["in the process"]),
        ("grandchild", ["in the child", "in the grandchild"]),
        ("killed", ["the last word"]),
    ],
)
def test_lines_of_a_forked_process_are_kept_and_shown(how: str, messages: list[str]) -> None:
    errors, kept = fork(how)
    assert kept == ["before", *messages, "after"]
    for message in messages:
        assert errors.count(f"Task run 'logs-0' - {message}\n") == 1


@pytest.mark.usefixtures("service")
def test_many_and_long_lines_of_a_forked_process_are_kept_in_order() -> None:
    _, kept = fork("many")
    assert kept[:-2] == ["before", *(f"line {number}" for number in range(3_000))]
    assert kept[-2] == "\N{SNOWMAN}" * 65_536
    assert kept[-1] == "after"


def test_a_forked_process_that_outlives_its_parent_says_that_its_lines_are_not_kept() -> None:
    errors, kept = fork("orphan")
    assert "after my parent" not in kept
    assert errors.count("after my parent") == errors.count("and once more") == 1
    (refused,) = [line for line in errors.splitlines() if "no longer sent to the service" in line]
    assert "WARNING" in refused
    assert "forked process" in refused


def test_lines_of_a_process_that_a_worker_process_forks_are_kept() -> None:
    errors, kept = fork("worker")
    assert kept[:2] == ["before", "in a child of a worker"]
    assert kept[2].startswith("xxxx")
    assert kept[2].endswith("(a process that was forked from a worker process can log no more in one line)")
    assert kept[3] == "after"
    assert errors.count("in a child of a worker") == 1
