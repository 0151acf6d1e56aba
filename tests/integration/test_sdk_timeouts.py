"""Timeouts of tasks: what is interrupted, what is not, and how the runs end."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from clearway import ProcessPoolTaskRunner, State, flow, get_client, task
from integration.sdk_runs import SECONDS, history, last_flow_run, set_limit, slots, task_runs
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("service")

SHORT = 0.05


def loop_for_ever() -> None:
    while True:
        time.sleep(0.001)


def check_timed_out(state: State[Any], kind: str = "Task") -> None:
    assert (state.type.name, state.name) == ("FAILED", "TimedOut")
    assert state.message == f"{kind} run timed out after {SHORT:g} s"
    with pytest.raises(TimeoutError, match=state.message):
        state.result()


@pytest.mark.parametrize("submitted", [False, True])
def test_sync_code_is_interrupted(submitted: bool) -> None:
    cleaned_up: list[bool] = []

    @task(timeout_seconds=SHORT)
    def work() -> None:
        try:
            loop_for_ever()
        finally:
            cleaned_up.append(True)

    @flow
    def working() -> str:
        check_timed_out(work.submit(return_state=True) if submitted else work(return_state=True))
        return "checked"

    assert working() == "checked"
    assert cleaned_up == [True]
    assert history(task_runs("working")["work-0"].id) == ["Running", "TimedOut"]


@pytest.mark.parametrize("submitted", [False, True])
async def test_async_code_is_cancelled(submitted: bool) -> None:
    cleaned_up: list[bool] = []

    @task(timeout_seconds=SHORT)
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(True)

    @flow
    async def working() -> str:
        check_timed_out(await (work.submit(return_state=True) if submitted else work(return_state=True)))
        return "checked"

    assert await working() == "checked"
    assert cleaned_up == [True]
    assert history(task_runs("working")["work-0"].id) == ["Running", "TimedOut"]


def test_an_async_task_of_a_sync_flow_is_cancelled() -> None:
    @task(timeout_seconds=SHORT)
    async def work() -> None:
        await asyncio.Event().wait()

    @flow
    def working() -> str:
        check_timed_out(work(return_state=True))
        return "checked"

    assert working() == "checked"


async def test_a_sync_task_that_is_called_in_an_async_flow_is_interrupted() -> None:
    @task(timeout_seconds=SHORT)
    def work() -> None:
        loop_for_ever()

    @flow
    async def working() -> str:
        check_timed_out(work(return_state=True))
        check_timed_out(work.submit(return_state=True))
        return "checked"

    assert await working() == "checked"


@pytest.mark.parametrize("submitted", [False, True])
def test_what_ends_in_time_is_as_without(submitted: bool) -> None:
    @task(timeout_seconds=600)
    def work(x: int) -> int:
        return 10 // x

    @flow
    def working() -> str:
        if submitted:
            assert work.submit(2).result() == 5
            with pytest.raises(ZeroDivisionError):
                work.submit(0).result()
        else:
            assert work(2) == 5
            with pytest.raises(ZeroDivisionError):
                work(0)
        return "checked"

    assert working() == "checked"


async def test_async_code_that_ends_in_time_is_as_without() -> None:
    @task(timeout_seconds=600)
    async def work(x: int) -> int:
        await asyncio.sleep(0)
        if x == 0:
            raise TimeoutError("its own")
        return x

    @flow
    async def working() -> str:
        assert await work(2) == 2
        state = await work(0, return_state=True)
        assert (state.name, state.message) == (
            "Failed",
            "Task run encountered an exception: TimeoutError: its own",
        )
        return "checked"

    assert await working() == "checked"


@pytest.mark.parametrize("submitted", [False, True])
def test_a_run_that_timed_out_is_retried(submitted: bool) -> None:
    calls: list[int] = []

    @task(timeout_seconds=SHORT, retries=1)
    def work() -> str:
        calls.append(1)
        if len(calls) == 1:
            loop_for_ever()
        return "done"

    @flow
    def working() -> str:
        return work.submit().result() if submitted else work()

    assert working() == "done"
    assert history(task_runs("working")["work-0"].id) == ["Running", "AwaitingRetry", "Retrying", "Completed"]


async def test_an_async_run_that_timed_out_is_retried() -> None:
    calls: list[int] = []

    @task(timeout_seconds=SHORT, retries=1)
    async def work() -> str:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return "done"

    @flow
    async def working() -> list[str]:
        return [await work(), await (await work.submit()).result()]

    assert await working() == ["done", "done"]
    assert history(task_runs("working")["work-0"].id) == ["Running", "AwaitingRetry", "Retrying", "Completed"]


@pytest.mark.parametrize("submitted", [False, True])
def test_code_that_catches_the_interrupt_has_timed_out_all_the_same(submitted: bool) -> None:
    @task(timeout_seconds=SHORT)
    def work() -> str:
        try:
            loop_for_ever()
        except BaseException:  # noqa: BLE001 - as some code does
            return "never mind"
        return ""

    @flow
    def working() -> str:
        check_timed_out(work.submit(return_state=True) if submitted else work(return_state=True))
        return "checked"

    assert working() == "checked"


async def test_a_coroutine_that_catches_its_cancellation_has_timed_out_all_the_same() -> None:
    @task(timeout_seconds=SHORT)
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "never mind"
        return ""

    @flow
    async def working() -> str:
        check_timed_out(await work(return_state=True))
        return "checked"

    assert await working() == "checked"


def test_waiting_for_a_slot_does_not_count() -> None:
    tag = "timeouts-waiting"
    set_limit(tag, 1)

    @task(tags=[tag])
    def hold(began: threading.Event) -> None:
        began.set()
        with get_client() as client:
            wait_until(
                lambda: client.read_concurrency_limit_by_tag(tag).waiting == 1, "the other run to wait"
            )
        assert not threading.Event().wait(4 * SHORT)

    @task(tags=[tag], timeout_seconds=2 * SHORT)
    def work() -> str:
        return "done"

    @flow
    def working() -> str:
        began = threading.Event()
        hold.submit(began)
        assert began.wait(SECONDS)
        return work.submit().result()

    assert working() == "done"


class Stuck:
    """Blocks a thread in a way that no exception reaches."""

    def __init__(self) -> None:
        self.calls = 0
        self._go_on = threading.Event()

    def __call__(self) -> str:
        self.calls += 1
        if self.calls == 1:
            assert self._go_on.wait(SECONDS)
        return f"call {self.calls}"

    def go_on(self) -> None:
        self._go_on.set()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    monkeypatch.setenv("CLEARWAY_TIMEOUT_GRACE", "0.01")
    stuck = Stuck()
    yield stuck
    stuck.go_on()


LEFT_BEHIND = (
    "Task run timed out after 0.05 s, and its code could not be interrupted for 0.01 s more: it may still run"
)


def test_a_submitted_run_goes_on_without_code_that_cannot_be_interrupted(stuck: Stuck) -> None:
    tag = "timeouts-stuck"
    set_limit(tag, 1)

    @task(tags=[tag], timeout_seconds=SHORT)
    def work() -> str:
        return stuck()

    @flow
    def working() -> str:
        first = work.submit()
        state = first.wait()
        assert state is not None
        assert (state.name, state.message) == ("TimedOut", LEFT_BEHIND)
        assert slots(tag) == ()
        assert work.submit().result() == "call 2"
        stuck.go_on()
        assert first.wait() is state
        return "checked"

    assert working() == "checked"
    runs = task_runs("working")
    assert history(runs["work-0"].id) == ["Running", "TimedOut"]
    assert history(runs["work-1"].id) == ["Running", "Completed"]


def test_a_submitted_run_is_retried_beside_code_that_cannot_be_interrupted(stuck: Stuck) -> None:
    @task(timeout_seconds=SHORT, retries=1)
    def work() -> str:
        return stuck()

    @flow
    def working() -> str:
        return work.submit().result()

    assert working() == "call 2"


def in_thread(function: Callable[[], Any]) -> Any:
    """Call a function in another thread than the main one."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(SECONDS)
    return results[0]


@pytest.mark.parametrize("retries", [0, 1])
def test_of_a_called_run_the_service_knows_while_its_code_keeps_the_thread(
    stuck: Stuck, retries: int
) -> None:
    tag = f"timeouts-called-{retries}"
    set_limit(tag, 1)

    @task(tags=[tag], timeout_seconds=SHORT, retries=retries)
    def work() -> str:
        return stuck()

    @flow
    def working() -> str:
        return work(return_state=True).name

    def run_and_look() -> str:
        names: list[str] = []
        thread = threading.Thread(target=lambda: names.append(working()))
        thread.start()
        expected = "AwaitingRetry" if retries else "TimedOut"
        wait_until(lambda: state_name("working", "work-0") == expected, expected)
        assert slots(tag) == ()
        stuck.go_on()
        thread.join(SECONDS)
        return names[0]

    assert run_and_look() == ("Completed" if retries else "TimedOut")
    states = history(task_runs("working")["work-0"].id)
    assert states == ["Running"] + (["AwaitingRetry", "Retrying", "Completed"] if retries else ["TimedOut"])


def test_the_condition_is_asked_about_a_called_run_whose_code_keeps_the_thread(stuck: Stuck) -> None:
    asked: list[str] = []

    def never(_task: Any, _run: Any, state: State[Any]) -> bool:
        asked.append(state.name)
        return False

    @task(timeout_seconds=SHORT, retries=1, retry_condition_fn=never)
    def work() -> str:
        return stuck()

    @flow
    def condition() -> str:
        return work(return_state=True).name

    names: list[str] = []
    thread = threading.Thread(target=lambda: names.append(condition()))
    thread.start()
    wait_until(lambda: state_name("condition", "work-0") == "TimedOut", "TimedOut")
    stuck.go_on()
    thread.join(SECONDS)
    assert names == ["TimedOut"]
    assert asked == ["TimedOut"]
    assert history(task_runs("condition")["work-0"].id) == ["Running", "TimedOut"]


def state_name(flow_name: str, task_run_name: str) -> str:
    """Return the name of the state of a task run, empty where there is none yet."""
    with get_client() as client:
        if not client.read_flow_runs(flow_names=[flow_name], limit=1):
            return ""
    run = task_runs(flow_name).get(task_run_name)
    return "" if run is None else run.state.name


def test_outside_the_main_thread_a_called_task_is_interrupted() -> None:
    @task(timeout_seconds=SHORT)
    def work() -> None:
        loop_for_ever()

    @flow
    def working() -> str:
        check_timed_out(work(return_state=True))
        return "checked"

    assert in_thread(working) == "checked"


def test_where_the_signal_is_another_s_a_task_is_interrupted_all_the_same() -> None:
    before = signal.signal(signal.SIGURG, lambda *_: None)
    try:
        test_sync_code_is_interrupted(submitted=False)
    finally:
        signal.signal(signal.SIGURG, before)


@pytest.mark.parametrize("retries", [0, 1])
def test_a_worker_process_interrupts_its_code(retries: int, tmp_path: Path) -> None:
    called = tmp_path / "called"

    @task(timeout_seconds=SHORT, retries=retries)
    def work() -> str:
        if not called.exists():
            called.touch()
            while True:
                time.sleep(0.001)
        return "done"

    @task(timeout_seconds=SHORT)
    async def wait() -> None:
        await asyncio.Event().wait()

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def working() -> str:
        state = work.submit(return_state=True)
        if retries:
            assert state.result() == "done"
        else:
            check_timed_out(state)
        check_timed_out(wait.submit(return_state=True))
        return "checked"

    assert working() == "checked"


def test_a_worker_process_whose_code_cannot_be_interrupted_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLEARWAY_TIMEOUT_GRACE", "0.01")
    monkeypatch.setattr("clearway._execution.task.submission._BEGIN_SECONDS", 2.0)
    tag = "timeouts-process"
    set_limit(tag, 1)

    @task(timeout_seconds=SHORT, tags=[tag])
    def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG})
        threading.Event().wait()

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def working() -> str:
        state = work.submit(return_state=True)
        assert state.name == "TimedOut"
        assert state.message.endswith("its code could not be interrupted: what ran it was told to stop")
        assert slots(tag) == ()
        return "checked"

    assert working() == "checked"


# Flows.


def test_a_sync_flow_is_interrupted_in_its_own_code_and_in_blocking_calls() -> None:
    @flow(timeout_seconds=SHORT)
    def looping() -> None:
        loop_for_ever()

    @flow(timeout_seconds=SHORT)
    def sleeping() -> None:
        time.sleep(SECONDS)

    @flow(timeout_seconds=SHORT)
    def locked() -> None:
        threading.Event().wait()

    for timed in (looping, sleeping, locked):
        check_timed_out(timed(return_state=True), "Flow")
        assert last_flow_run(timed.name).state.name == "TimedOut"


def wait_for(event: threading.Event) -> None:
    assert event.wait(SECONDS)


@pytest.mark.parametrize("in_main", [True, False])
def test_a_flow_that_waits_for_its_tasks_is_interrupted_and_ends_them(
    in_main: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARWAY_MAX_THREADS", "1")
    go_on = threading.Event()
    held = task(wait_for, name="held")

    @flow(timeout_seconds=4 * SHORT)
    def waiting() -> None:
        held.submit(go_on)
        held.submit(go_on).wait()

    def run() -> State[None]:
        return waiting(return_state=True)

    state = run() if in_main else in_thread(run)
    go_on.set()
    assert (state.name, state.message) == ("TimedOut", "Flow run timed out after 0.2 s")
    runs = task_runs("waiting")
    assert {run.state.name for run in runs.values()} <= {"Crashed", "Cancelled"}
    assert "TimeoutError: Flow run timed out after 0.2 s" in runs["held-0"].state.message


async def test_an_async_flow_is_cancelled_and_ends_its_tasks() -> None:
    @task
    async def hold() -> None:
        await asyncio.Event().wait()

    @flow(timeout_seconds=4 * SHORT)
    async def waiting(*, submitted: bool) -> None:
        await (await hold.submit()).wait() if submitted else await hold()

    for submitted in (False, True):
        state = await waiting(submitted=submitted, return_state=True)
        assert (state.name, state.message) == ("TimedOut", "Flow run timed out after 0.2 s")
        assert task_runs("waiting")["hold-0"].state.name == "Crashed"


def test_a_subflow_s_timeout_is_its_own_and_the_parent_s_ends_both() -> None:
    @flow(timeout_seconds=SHORT)
    def short() -> None:
        loop_for_ever()

    @flow(timeout_seconds=600)
    def long() -> None:
        loop_for_ever()

    @flow
    def parent() -> str:
        check_timed_out(short(return_state=True), "Flow")
        return "checked"

    @flow(timeout_seconds=SHORT)
    def impatient() -> None:
        long(return_state=True)

    assert parent() == "checked"
    check_timed_out(impatient(return_state=True), "Flow")
    run = last_flow_run("long")
    assert run.state.name == "Crashed"
    assert run.state.message == "interrupted by TimeIsUp: Flow run timed out after 0.05 s"


def test_a_flow_s_timeout_ends_the_task_that_it_is_in() -> None:
    @task(timeout_seconds=600)
    def work() -> None:
        loop_for_ever()

    @flow(timeout_seconds=SHORT)
    def working() -> None:
        work()

    check_timed_out(working(return_state=True), "Flow")
    assert task_runs("working")["work-0"].state.name == "Crashed"


def test_a_flow_that_timed_out_is_retried() -> None:
    calls: list[int] = []

    @task
    def work() -> str:
        calls.append(1)
        if len(calls) == 1:
            loop_for_ever()
        return "done"

    @flow(timeout_seconds=10 * SHORT, retries=1)
    def working() -> str:
        return work()

    assert working() == "done"
    runs = task_runs("working")
    assert {name: run.state.name for name, run in runs.items()} == {
        "work-0": "Crashed",
        "work-0-2": "Completed",
    }


def block_until(deadline: float) -> int:
    """Return after the deadline, without awaiting and without looking for interrupts."""
    while time.monotonic() < deadline:
        with suppress(BaseException):
            time.sleep(deadline - time.monotonic())
    return 1


@pytest.mark.parametrize("way", ["called", "submitted", "with_options"])
async def test_an_async_task_that_blocks_past_its_timeout_has_timed_out(way: str) -> None:
    @task(timeout_seconds=None if way == "with_options" else SHORT)
    async def work() -> int:
        return block_until(time.monotonic() + 2 * SHORT)

    @flow
    async def working() -> str:
        limited = work.with_options(timeout_seconds=SHORT)
        run = limited.submit if way == "submitted" else limited
        check_timed_out(await run(return_state=True))
        return "checked"

    assert await working() == "checked"
    assert history(task_runs("working")["work-0"].id) == ["Running", "TimedOut"]


def test_an_async_task_of_a_sync_flow_that_blocks_past_its_timeout_has_timed_out() -> None:
    @task(timeout_seconds=SHORT)
    async def work() -> int:
        return block_until(time.monotonic() + 2 * SHORT)

    @flow
    def working() -> str:
        check_timed_out(work(return_state=True))
        return "checked"

    assert working() == "checked"


async def test_an_async_task_that_blocks_and_then_raises_has_timed_out() -> None:
    @task(timeout_seconds=SHORT)
    async def work() -> None:
        block_until(time.monotonic() + 2 * SHORT)
        raise ValueError("too late")

    @flow
    async def working() -> str:
        check_timed_out(await work(return_state=True))
        return "checked"

    assert await working() == "checked"


async def test_an_async_flow_that_blocks_past_its_timeout_has_timed_out() -> None:
    @flow(timeout_seconds=SHORT)
    async def working() -> int:
        return block_until(time.monotonic() + 2 * SHORT)

    check_timed_out(await working(return_state=True), "Flow")
    assert last_flow_run("working").state.name == "TimedOut"


def test_an_async_task_that_blocks_in_a_worker_process_has_timed_out() -> None:
    @task(timeout_seconds=SHORT)
    async def work() -> int:
        deadline = time.monotonic() + 2 * SHORT
        while time.monotonic() < deadline:
            pass
        return 1

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def working() -> str:
        check_timed_out(work.submit(return_state=True))
        return "checked"

    assert working() == "checked"


@pytest.fixture
def switch_interval() -> Iterator[float]:
    """Return how long a thread keeps the interpreter, and set that again after the test."""
    before = sys.getswitchinterval()
    yield before
    sys.setswitchinterval(before)


@pytest.mark.parametrize("submitted", [False, True])
def test_sync_code_that_keeps_the_interpreter_past_its_timeout_has_timed_out(
    submitted: bool, switch_interval: float
) -> None:
    @task(timeout_seconds=SHORT)
    def work() -> int:
        sys.setswitchinterval(60)  # no other thread gets its turn, as in a long call into C
        try:
            deadline = time.monotonic() + 2 * SHORT
            while time.monotonic() < deadline:
                pass
            return 1
        finally:
            sys.setswitchinterval(switch_interval)

    @flow
    def working() -> str:
        check_timed_out(work.submit(return_state=True) if submitted else work(return_state=True))
        return "checked"

    assert working() == "checked"


@pytest.mark.parametrize("none", [0, 0.0, None])
def test_a_timeout_of_zero_is_none(none: Any) -> None:
    @task(timeout_seconds=none)
    def work() -> int:
        return 1

    @flow(timeout_seconds=none)
    def working() -> int:
        return work() + work.with_options(timeout_seconds=5).with_options(timeout_seconds=none)()  # type: ignore[no-any-return]

    assert working() == 2
    limited = working.with_options(timeout_seconds=5)
    assert limited.timeout_seconds == 5
    again = limited.with_options(timeout_seconds=none)
    assert (work.timeout_seconds, working.timeout_seconds, again.timeout_seconds) == (None, None, None)
    assert again() == 2
