"""Tasks in worker processes: what only a ``ProcessPoolTaskRunner`` has to get right."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import psutil
import pytest

from clearway import (
    ProcessPoolTaskRunner,
    flow,
    get_client,
    get_run_context,
    get_run_logger,
    runtime,
    tags,
    task,
)
from clearway.context import current_tags
from clearway.exceptions import FailedRun, NotPicklable, WorkerDied
from clearway.logging import flush_logs
from integration.sdk_runs import SECONDS, history, last_flow_run, task_runs
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("service")

PROGRAM = Path(__file__).with_name("sdk_process_pool.py")
ONE, TWO = ProcessPoolTaskRunner(max_workers=1), ProcessPoolTaskRunner(max_workers=2)


class Stubborn(Exception):  # noqa: N818 - an exception of a user's
    """Can be pickled, and not be read back."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{why} ({code})")


def test_tasks_run_in_as_many_processes_as_there_may_be_and_these_end_with_the_flow_run(
    tmp_path: Path,
) -> None:
    met = tmp_path / "met"
    met.mkdir()

    @task
    def meet(number: int) -> int:
        (met / str(number)).touch()
        while len(list(met.iterdir())) < 2:  # the other one is at it at the same time
            os.sched_yield()
        return os.getpid()

    @flow(task_runner=TWO)
    def meeting() -> set[int]:
        return {future.result() for future in meet.map(range(8))}

    pids = meeting()
    assert len(pids) == 2
    assert os.getpid() not in pids
    for pid in pids:
        wait_until(lambda pid=pid: not psutil.pid_exists(pid), f"the end of worker {pid}")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            "was killed by SIGKILL, as the system does where memory runs out while it ran",
        ),
        ("import os; os._exit(3)", r"left with exit code 3, as by os._exit\(\) while it ran"),
    ],
)
def test_a_run_whose_worker_dies_is_crashed_and_the_others_go_on(code: str, how: str) -> None:
    @task
    def run(number: int) -> int:
        if number == 1:
            exec(code)
        return number

    @flow(task_runner=TWO)
    def surviving() -> list[Any]:
        return [future.result(raise_on_failure=False) for future in run.map(range(5))]

    first, died, *others = surviving()
    assert (first, others) == (0, [2, 3, 4])
    assert isinstance(died, WorkerDied)
    assert died.args == (task_runs("surviving")["run-1"].state.message,)
    assert re.fullmatch(rf"the worker process \d+ {how} the task run 'run-1'", str(died))
    assert task_runs("surviving")["run-1"].state.name == "Crashed"


def test_a_run_with_retries_whose_worker_dies_is_tried_again(tmp_path: Path) -> None:
    died = tmp_path / "died"

    @task(retries=1)
    def run() -> str:
        if not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "the second time"

    @flow(task_runner=ONE)
    def persisting() -> str:
        return run.submit().result()

    assert persisting() == "the second time"
    names = history(task_runs("persisting")["run-0"].id)
    assert names == ["Running", "AwaitingRetry", "Retrying", "Completed"]


def test_a_worker_that_dies_while_it_has_nothing_to_do_is_replaced() -> None:
    @task
    def who() -> int:
        return os.getpid()

    @flow(task_runner=ONE)
    def replacing() -> tuple[int, int]:
        first = who.submit().result()
        os.kill(first, signal.SIGKILL)
        return first, who.submit().result()

    first, second = replacing()
    assert first != second
    assert [run.state.name for run in task_runs("replacing").values()] == ["Completed"] * 2


def test_code_that_exits_crashes_its_run_and_no_other() -> None:
    @task
    def leave() -> None:
        sys.exit("enough")

    @task
    def stay() -> int:
        return os.getpid()

    @flow(task_runner=ONE)
    def leaving() -> tuple[int, str, int]:
        before, left = stay.submit().result(), leave.submit(return_state=True)
        return before, left.name, stay.submit().result()

    before, name, after = leaving()
    assert (name, after) == ("Crashed", before)


def test_an_argument_that_cannot_be_pickled_is_named() -> None:
    @task
    def take(number: int, lock: Any) -> None: ...

    @flow(task_runner=ONE)
    def giving() -> None:
        take.submit(1, lock=threading.Lock()).result()

    with pytest.raises(
        NotPicklable,
        match=r"the argument 'lock' of the task run 'take-0', of type _thread.lock, cannot be sent to a "
        r"worker process: TypeError: .*ThreadPoolTaskRunner",
    ):
        giving()
    assert task_runs("giving")["take-0"].state.name == "Failed"


def test_a_result_that_cannot_be_pickled_is_a_clear_error() -> None:
    @task
    def make() -> Any:
        return threading.Lock()

    @flow(task_runner=ONE)
    def making() -> None:
        make.submit().result()

    with pytest.raises(
        NotPicklable, match=r"what the task returned, of type _thread.lock, cannot be sent back"
    ):
        making()


def test_a_task_that_uses_what_cannot_be_pickled_is_a_clear_error() -> None:
    lock = threading.Lock()

    @task
    def locked() -> None:
        with lock:
            pass

    @flow(task_runner=ONE)
    def locking() -> None:
        locked.submit().result()

    with pytest.raises(
        NotPicklable, match=r"the task 'locked' cannot be sent to a worker process: TypeError: .*lock"
    ):
        locking()


def test_the_traceback_and_the_cause_of_an_exception_come_along() -> None:
    @task
    def fail() -> None:
        try:
            {}["key"]
        except KeyError as error:
            raise ValueError("no such thing") from error

    @flow(task_runner=ONE)
    def failing() -> None:
        fail.submit().result()

    with pytest.raises(ValueError, match="no such thing") as caught:
        failing()
    assert isinstance(caught.value.__cause__, KeyError)
    text = "".join(traceback.format_exception(caught.value))
    assert 'raise ValueError("no such thing") from error' in text
    assert "remote_code" not in text


def test_an_exception_that_cannot_be_read_back_says_what_it_was() -> None:
    @task
    def fail() -> None:
        raise Stubborn(7, "no way")

    @flow(task_runner=ONE)
    def failing() -> None:
        fail.submit().result()

    with pytest.raises(FailedRun, match=r"Stubborn: no way \(7\)") as caught:
        failing()
    assert 'raise Stubborn(7, "no way")' in "".join(traceback.format_exception(caught.value))


def test_the_code_finds_its_runs_in_the_worker() -> None:
    @task(tags=["own"])
    async def look(number: int) -> dict[str, Any]:  # noqa: ARG001
        context: Any = get_run_context()
        return {
            "task run": (context.task_run_id, context.task_run_name, dict(context.parameters)),
            "flow run": (runtime.flow_run.id, runtime.flow_run.flow_name, runtime.flow_run.parameters),
            "tags": (sorted(context.tags), sorted(current_tags())),
        }

    @flow(name="looking", task_runner=ONE)
    def looking(small: int, large: bytes) -> dict[str, Any]:  # noqa: ARG001
        with tags("given"):
            return look.submit(small).result()

    seen = looking(5, bytes(100_000))
    assert seen == {
        "task run": (task_runs("looking")["look-0"].id, "look-0", {"number": 5}),
        "flow run": (last_flow_run("looking").id, "looking", {"small": 5}),
        "tags": (["given", "own"], ["given"]),
    }


def test_what_is_logged_and_printed_comes_to_the_flows_process(caplog: pytest.LogCaptureFixture) -> None:
    @task(log_prints=True)
    def speak() -> None:
        print("by print")
        logging.getLogger("of.a.user").warning("by %s", "a logger")
        try:
            int("x")
        except ValueError:
            get_run_logger().exception("by the run's logger")
        get_run_logger().debug("not asked for")

    @flow(task_runner=ONE)
    def speaking() -> None:
        speak.submit().result()

    speaking()
    flush_logs().result()
    run_id = task_runs("speaking")["speak-0"].id
    with get_client() as client:
        lines = [line.message for line in client.read_logs(flow_run_id=last_flow_run("speaking").id)]
    assert "by print" in lines
    kept = next(line for line in lines if line.startswith("by the run's logger"))
    assert "ValueError: invalid literal" in kept
    assert "not asked for" not in lines
    seen = {record.name: record for record in caplog.records}
    assert seen["of.a.user"].getMessage() == "by a logger"
    assert seen["of.a.user"].process != os.getpid()
    assert seen["clearway.task_run"].__dict__["task_run_id"] == run_id


def test_a_program_needs_no_guard_and_its_own_classes_and_globals_work() -> None:
    done = subprocess.run([sys.executable, PROGRAM, "looking"], capture_output=True, text=True, check=True)
    assert done.stdout == "[10, 20, 30] [1, 2, 3] 0 True\n"
    assert [run.state.name for run in task_runs("looking").values()] == ["Completed"] * 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_program(number: signal.Signals, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    program = subprocess.Popen(
        [sys.executable, PROGRAM, "blocking", begun],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: begun.exists() and begun.read_text() != "", "the beginning of the task")
    worker = psutil.Process(int(begun.read_text()))
    if number is signal.SIGINT:
        os.killpg(program.pid, number)  # as a terminal does: to the workers, too
    else:
        program.kill()
    _, errors = program.communicate(timeout=SECONDS)
    worker.wait(SECONDS)
    assert program.returncode == -number
    if number is signal.SIGINT:
        assert "KeyboardInterrupt" in errors
        assert [run.state.name for run in task_runs("blocking").values()] == ["Crashed"]
