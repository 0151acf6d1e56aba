"""Calling and submitting tasks."""

from __future__ import annotations

import threading
import traceback
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any

import pytest

from clearway import Completed, Failed, TaskFuture, TaskRunContext, flow, get_client, task
from clearway.exceptions import CrashedRun, FailedRun, InvalidArgument, ParameterBindError, UpstreamTaskError
from integration.sdk_runs import SECONDS, history, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task
def fail(message: str = "bad") -> int:
    raise ValueError(message)


def test_a_call_returns_the_result_itself() -> None:
    box: list[int] = []

    @task
    def give() -> list[int]:
        return box

    @flow
    def same() -> bool:
        return give() is box and give.submit().result() is box

    assert same()


def test_a_sync_call_runs_in_the_caller_s_thread_and_a_submitted_one_does_not() -> None:
    @task
    def thread() -> int:
        return threading.get_ident()

    @flow
    def threads() -> tuple[bool, bool]:
        mine = threading.get_ident()
        return thread() == mine, thread.submit().result() == mine

    assert threads() == (True, False)


def test_a_failing_task_raises_its_own_exception_with_its_own_traceback() -> None:
    @flow
    def failing(*, submitted: bool) -> int:
        return fail.submit().result() if submitted else fail()

    for submitted in (False, True):
        with pytest.raises(ValueError, match="bad") as caught:
            failing(submitted=submitted)
        frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert frames[-1] == "fail"
        assert "failing" in frames
        (run,) = task_runs("failing").values()
        assert run.state.name == "Failed"
        assert run.state.message == "Task run encountered an exception: ValueError: bad"
        kept = run.state.result(raise_on_failure=False)
        assert isinstance(kept, ValueError)
        assert kept is not caught.value
        assert kept.args == ("bad",)


def test_the_exception_is_the_same_object_for_all_who_ask() -> None:
    @flow
    def asking() -> bool:
        future = fail.submit()
        seen = []
        for _ in range(3):
            with pytest.raises(ValueError, match="bad") as caught:
                future.result()
            seen.append(caught.value)
        return seen[0] is seen[1] is seen[2]

    assert asking()


def test_return_state_returns_how_the_run_ended() -> None:
    @flow
    def states() -> bool:
        good, bad = add(1, return_state=True), fail(return_state=True)
        assert (good.name, good.result()) == ("Completed", 2)
        assert (bad.name, type(bad.result(raise_on_failure=False))) == ("Failed", ValueError)
        assert add.submit(1, return_state=True).result() == 2
        assert good.details.task_run_id
        return True

    assert states()


def test_a_task_may_return_the_state_that_it_ends_in() -> None:
    @task
    def check(ok: bool) -> Any:
        return Completed(5, message="fine") if ok else Failed(message="not today")

    @flow
    def checks() -> int:
        with pytest.raises(FailedRun, match="not today"):
            check(ok=False)
        assert check(ok=True, return_state=True).message == "fine"
        value: int = check(ok=True)
        return value

    assert checks() == 5
    assert [run.state.name for run in task_runs("checks").values()] == ["Failed", "Completed", "Completed"]


def test_arguments_that_do_not_fit_raise_before_there_is_a_run() -> None:
    @flow
    def wrong() -> str:
        with pytest.raises(ParameterBindError, match="add"):
            add()  # type: ignore[call-overload]
        return "caught"

    assert wrong() == "caught"
    assert task_runs("wrong") == {}


@dataclass
class Order:
    items: list[Any]


def test_futures_and_states_anywhere_among_the_arguments_are_resolved_and_recorded() -> None:
    @task
    def collect(first: Any, rest: Any, order: Order, *more: Any, **named: Any) -> Any:
        return first, rest, order, more, named

    @flow
    def nested() -> Any:
        one, two = add.submit(0), add(1, return_state=True)
        return collect(one, {"a": [one, (two,)]}, Order([two]), {1, one}, named=two, plain=5)

    assert nested() == (1, {"a": [1, (2,)]}, Order([2]), ({1},), {"named": 2, "plain": 5})
    runs = task_runs("nested")
    one, two = runs["add-0"].id, runs["add-1"].id
    assert runs["collect-0"].task_inputs == {
        "first": (one,),
        "rest": (one, two),
        "order": (two,),
        "more": (one,),
        "named": (two,),
    }


def test_a_task_whose_upstream_failed_does_not_run() -> None:
    ran = []

    @task
    def after(x: Any) -> None:
        ran.append(x)

    @flow
    def upstream() -> str:
        bad = fail.submit()
        for future in (after.submit(bad), after.submit([{"deep": bad}]), after.submit(1, wait_for=[bad])):
            with pytest.raises(UpstreamTaskError, match="'fail-0' did not complete"):
                future.result()
            state = future.wait()
            assert state is not None
            assert (state.type.name, state.name) == ("PENDING", "NotReady")
        with pytest.raises(UpstreamTaskError):
            after(bad)
        with pytest.raises(UpstreamTaskError):
            add.submit(after.submit(bad)).result()
        return "done"

    assert upstream() == "done"
    assert ran == []
    runs = task_runs("upstream")
    assert {run.state.name for name, run in runs.items() if name.startswith("after")} == {"NotReady"}
    assert history(runs["after-0"].id) == ["NotReady"]


def test_wait_for_puts_runs_in_order() -> None:
    order: list[str] = []
    go = threading.Event()

    @task
    def first() -> None:
        go.wait(SECONDS)
        order.append("first")

    @task
    def second() -> None:
        order.append("second")

    @flow
    def ordered() -> None:
        before = first.submit()
        after = second.submit(wait_for=[before])
        assert not after.is_done()
        assert after.get_state().is_pending()
        go.set()

    ordered()
    assert order == ["first", "second"]
    runs = task_runs("ordered")
    assert runs["second-0"].task_inputs == {"wait_for": (runs["first-0"].id,)}


def test_a_future_tells_what_its_run_is_doing() -> None:
    started, go = threading.Event(), threading.Event()

    @task
    def wait() -> str:
        started.set()
        go.wait(SECONDS)
        return "done"

    @flow
    def watched() -> str:
        future: TaskFuture[str] = wait.submit()
        assert started.wait(SECONDS)
        assert future.get_state().is_running()
        assert future.wait(0.001) is None
        with pytest.raises(TimeoutError, match=r"'wait-0' is not done after 0\.001 s; it is Running"):
            future.result(timeout=0.001)
        go.set()
        assert future.result(timeout=SECONDS) == "done"
        assert future.get_state().is_completed()
        assert future.task_run_id == task_runs("watched")["wait-0"].id
        return future.result()

    assert watched() == "done"


def test_more_tasks_than_threads_all_run_and_no_more_than_threads_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLEARWAY_MAX_THREADS", "3")
    lock = threading.Lock()
    running = [0, 0]

    @task
    def work(number: int) -> int:
        with lock:
            running[0] += 1
            running[1] = max(running)
        pause.wait(0.005)
        with lock:
            running[0] -= 1
        return number

    pause = threading.Event()

    @flow
    def busy() -> list[int]:
        return [future.result() for future in work.map(range(30))]

    assert busy() == list(range(30))
    assert 1 < running[1] <= 3


def test_a_task_that_waits_for_another_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_MAX_THREADS", "1")

    @flow
    def chain() -> int:
        future = add.submit(0)
        for _ in range(20):
            future = add.submit(future)
        return future.result()

    assert chain() == 21


def test_context_variables_of_the_flow_are_there_in_its_tasks() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    @task
    def read() -> str:
        return variable.get()

    @task
    def read_for(_: int) -> str:
        return variable.get()

    @flow
    def reading() -> list[str]:
        token = variable.set("set")
        try:
            return [read(), read.submit().result(), *[future.result() for future in read_for.map([0])]]
        finally:
            variable.reset(token)

    assert reading() == ["set"] * 3


def test_the_context_of_a_run_tells_which_it_is() -> None:
    @task
    def who() -> TaskRunContext | None:
        return TaskRunContext.get()

    @flow
    def asking() -> list[TaskRunContext | None]:
        return [who(), who.submit().result()]

    contexts = asking()
    runs = task_runs("asking")
    for context, name in zip(contexts, ("who-0", "who-1"), strict=True):
        assert context is not None
        assert (context.task_run_id, context.task_run_name) == (runs[name].id, name)
        assert (context.flow_run_id, context.task, context.run_count) == (
            last_flow_run("asking").id,
            who,
            1,
        )
    assert TaskRunContext.get() is None


def test_a_result_that_cannot_be_kept_is_still_returned() -> None:
    lock = threading.Lock()

    @task
    def make() -> Any:
        return lock

    @flow
    def making() -> bool:
        return make() is lock and make.submit().result() is lock

    assert making()
    assert {run.state.name for run in task_runs("making").values()} == {"Completed"}


def test_an_exception_that_cannot_be_pickled_is_still_told() -> None:
    class Stubborn(Exception):  # noqa: N818
        def __init__(self, lock: Any) -> None:
            super().__init__("stubborn")
            self.lock = lock

    @task
    def hold() -> None:
        raise Stubborn(threading.Lock())

    @flow
    def holding() -> None:
        hold()

    with pytest.raises(Stubborn):
        holding()
    kept = task_runs("holding")["hold-0"].state.result(raise_on_failure=False)
    assert isinstance(kept, FailedRun)
    assert "Stubborn: stubborn" in str(kept)


def test_what_a_task_exits_with_crashes_its_run() -> None:
    @task
    def leave() -> None:
        raise SystemExit(3)

    @flow
    def leaving() -> None:
        future = leave.submit()
        future.wait()
        leave()

    with pytest.raises(SystemExit):
        leaving()
    assert last_flow_run("leaving").state.name == "Crashed"
    runs = task_runs("leaving")
    assert [run.state.name for run in runs.values()] == ["Crashed", "Crashed"]
    assert runs["leave-0"].state.message == "interrupted by SystemExit: 3"


def test_a_flow_s_own_reads_see_what_its_tasks_did() -> None:
    @flow
    def reading() -> list[str]:
        add(1)
        add(2)
        with get_client() as client:
            runs = client.read_task_runs(flow_run_id=last_flow_run("reading").id)
        return [run.state.name for run in runs]

    assert reading() == ["Completed", "Completed"]


def test_what_the_service_refuses_is_said_and_leaves_nothing_behind() -> None:
    tagged = add.with_options(tags=[f"tag-{number}" for number in range(65)])

    @task
    def misnamed() -> Any:
        return Failed(name="x" * 300)

    @flow
    def refused() -> str:
        with pytest.raises(InvalidArgument, match="64"):
            tagged(1)
        with pytest.raises(InvalidArgument, match="64"):
            tagged.submit(1).result()
        with pytest.raises(InvalidArgument, match="255"):
            misnamed()
        return "refused"

    assert refused() == "refused"
    assert {name: run.state.name for name, run in task_runs("refused").items()} == {"misnamed-0": "Crashed"}


def test_a_long_chain_of_runs_that_are_not_ready_ends() -> None:
    @flow
    def chain() -> str:
        future = fail.submit()
        for _ in range(200):
            future = add.submit(future)
        with pytest.raises(UpstreamTaskError, match="'add-198' did not complete"):
            future.result()
        return "done"

    assert chain() == "done"


def test_a_sync_call_of_another_thread_is_ended_with_its_flow() -> None:
    started, go = threading.Event(), threading.Event()
    ended: list[BaseException] = []

    @task
    def block() -> None:
        started.set()
        go.wait(SECONDS)

    def call() -> None:
        try:
            block()
        except CrashedRun as error:
            ended.append(error)

    @flow
    def interrupted() -> None:
        thread = threading.Thread(target=copy_context().run, args=(call,))
        threads.append(thread)
        thread.start()
        started.wait(SECONDS)
        raise KeyboardInterrupt

    threads: list[threading.Thread] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    go.set()
    threads[0].join(SECONDS)
    assert "interrupted from the keyboard" in str(ended[0])
    assert task_runs("interrupted")["block-0"].state.name == "Crashed"
