"""The kind of an error, the same in its process and for other readers; errors that are not retried."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
from typing import Any

import pytest

from clearway import (
    Cancelled,
    Failed,
    ProcessPoolTaskRunner,
    State,
    Task,
    allow_failure,
    exceptions,
    flow,
    get_client,
    task,
)
from clearway.run_errors import RunErrorKind
from integration.cli_process import answer
from integration.sdk_runs import flow_history, history, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@task
def fails() -> None:
    raise ValueError("bad")


@task(timeout_seconds=0.01)
async def takes_long() -> None:
    await asyncio.sleep(60)


@task(persist_result=True)
def cannot_be_kept() -> Any:
    return threading.Lock()


@task
def dies() -> None:
    os._exit(3)


@task
def cannot_be_sent() -> Any:
    return threading.Lock()


@task
def cancels_itself() -> State[None]:
    return Cancelled(ValueError("no longer wanted"))


@task
def raises_a_timeout_of_its_own() -> None:
    raise TimeoutError("the other side did not answer")


@task
def takes(value: object) -> object:
    return value


def end_of(work: Task[[], Any], **options: Any) -> tuple[State[Any], State[Any]]:
    """Run a task; return the state that its process has, and the one that other processes read."""
    ended: list[State[Any]] = []

    @flow(**options)
    def working() -> bool:
        ended.append(work.submit().wait())
        return True

    assert working()
    ((_, run),) = task_runs("working").items()
    return ended[0], run.state


CASES: dict[Task[[], Any], RunErrorKind] = {
    fails: RunErrorKind.APPLICATION,
    raises_a_timeout_of_its_own: RunErrorKind.APPLICATION,
    takes_long: RunErrorKind.TIMEOUT,
    cannot_be_kept: RunErrorKind.RESULT,
    cancels_itself: RunErrorKind.CANCELLED,
}


@pytest.mark.parametrize(("work", "kind"), CASES.items(), ids=[work.name for work in CASES])
def test_an_error_has_its_kind_wherever_it_is_read(work: Task[[], Any], kind: RunErrorKind) -> None:
    for state in end_of(work):
        assert state.error is not None
        assert (state.error.kind, state.error.non_retryable) == (kind, False)


@pytest.mark.parametrize(
    ("work", "kind"), [(dies, RunErrorKind.LOST), (cannot_be_sent, RunErrorKind.RESULT)], ids=["dies", "sent"]
)
def test_a_worker_process_that_dies_is_lost_and_one_that_returns_nothing_to_read_is_not(
    work: Task[[], Any], kind: RunErrorKind
) -> None:
    for state in end_of(work, task_runner=ProcessPoolTaskRunner(max_workers=1)):
        assert state.error is not None
        assert state.error.kind is kind


def test_a_run_that_did_not_start_names_the_run_that_failed_and_its_error() -> None:
    @flow
    def chain() -> bool:
        first = fails.submit()
        second = takes.submit(first)
        takes.submit(second).wait()
        return True

    assert chain()
    runs = task_runs("chain")
    direct, indirect = (runs[name].state.error for name in ("takes-0", "takes-1"))
    assert direct is not None
    assert (direct.type, direct.kind) == ("clearway.exceptions.UpstreamTaskError", RunErrorKind.UPSTREAM)
    assert direct.message == runs["takes-0"].state.message
    assert direct.cause is not None
    assert (direct.cause.title, direct.cause.kind) == ("ValueError: bad", RunErrorKind.APPLICATION)
    assert indirect is not None
    assert indirect.cause == direct
    assert indirect.message.endswith(f"it is NotReady, since {direct.message}")


def test_a_run_that_did_not_start_is_no_failure_that_may_be_allowed_and_raises_alike_elsewhere() -> None:
    @flow
    def chain() -> bool:
        takes.submit(allow_failure(takes.submit(fails.submit()))).wait()
        return True

    assert chain()
    states = [run.state for name, run in task_runs("chain").items() if name.startswith("takes")]
    assert [state.name for state in states] == ["NotReady", "NotReady"]
    for state in states:
        with pytest.raises(
            exceptions.UpstreamTaskError, match="did not start: the upstream task run"
        ) as caught:
            state.result()
        assert caught.value.error == state.error


def test_a_subflow_that_did_not_start_fails_its_parent_like_any_exception() -> None:
    @flow
    def child(value: object) -> object:
        return value

    @flow
    def parent() -> Any:
        return child(fails.submit())

    with pytest.raises(exceptions.UpstreamTaskError, match="'child' was not started") as caught:
        parent()
    assert caught.value.error is not None
    assert caught.value.error.kind is RunErrorKind.UPSTREAM
    error = last_flow_run("parent").state.error
    assert error is not None
    assert error.kind is RunErrorKind.APPLICATION


def test_an_interrupted_run_says_by_what() -> None:
    begun = asyncio.Event()

    @task
    async def waits() -> None:
        begun.set()
        await asyncio.sleep(60)

    @flow
    async def working() -> None:
        await waits()

    async def main() -> None:
        running = asyncio.ensure_future(working())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    ((_, task_run),) = task_runs("working").items()
    for run in (last_flow_run("working"), task_run):
        error = run.state.error
        assert (run.state.type.name, error is not None) == ("CRASHED", True)
        assert error is not None
        assert (error.type, error.kind) == ("asyncio.exceptions.CancelledError", RunErrorKind.CANCELLED)
        assert error.message == run.state.message
        with pytest.raises(exceptions.CrashedRun) as caught:
            run.state.result()
        assert str(caught.value) == run.state.message
        assert caught.value.error == error


def test_the_command_line_says_the_kind_in_json_and_nothing_twice_for_people() -> None:
    end_of(fails)

    @flow
    def chain() -> bool:
        takes.submit(fails.submit()).wait()
        return True

    assert chain()
    for name, kind in (("fails-0", "APPLICATION"), ("takes-0", "UPSTREAM")):
        run = task_runs("chain")[name]
        document = json.loads(answer("task-run", "inspect", run.id, "-o", "json"))
        assert (document["state"]["error"]["kind"], document["task_name"]) == (kind, name[:-2])
        shown = answer("task-run", "inspect", run.id)
        assert ("UpstreamTaskError" in shown, "Traceback" in shown) == (False, False)
        assert ("ValueError: bad\n" in shown) is (kind == "APPLICATION")


class WrongInput(exceptions.NonRetryable, ValueError):  # noqa: N818 - as those that it derives from
    """No second attempt mends it."""


def calls(error: Exception, *, inside: bool = False) -> tuple[Task[[], None], list[int]]:
    """Return a task that is retried and fails with an exception, and its calls."""
    made: list[int] = []

    def never(*_: object) -> bool:
        raise AssertionError("the condition was asked")

    @task(retries=3, retry_condition_fn=None if inside else never)
    def work() -> None:
        made.append(1)
        if inside:
            raise ConnectionError("try again") from error
        raise error

    return work, made


@pytest.mark.parametrize("submitted", [False, True])
@pytest.mark.parametrize("error", [exceptions.NonRetryable("no"), WrongInput("no")], ids=["plain", "derived"])
def test_a_task_that_raises_what_is_not_retryable_is_not_retried(error: Exception, submitted: bool) -> None:
    work, made = calls(error)

    @flow
    def working() -> bool:
        with pytest.raises(type(error), match="no"):
            work.submit().result() if submitted else work()
        return True

    assert working()
    ((_, run),) = task_runs("working").items()
    assert (len(made), history(run.id)) == (1, ["Running", "Failed"])
    assert run.state.error is not None
    assert (run.state.error.kind, run.state.error.non_retryable) == (RunErrorKind.APPLICATION, True)


def test_only_the_exception_that_ends_the_run_counts() -> None:
    work, made = calls(WrongInput("no"), inside=True)
    first, _ = end_of(work)
    assert (len(made), first.is_failed()) == (4, True)
    assert first.error is not None
    assert not first.error.non_retryable


def test_a_state_made_of_such_an_exception_is_not_retried_either() -> None:
    made: list[int] = []

    @task(retries=2)
    def work() -> State[None]:
        made.append(1)
        return Failed(WrongInput("no"))

    first, read = end_of(work)
    assert (len(made), first.is_failed()) == (1, True)
    assert read.error is not None
    assert read.error.non_retryable


@pytest.mark.parametrize("catches", [False, True])
def test_a_flow_is_not_retried_unless_it_catches_the_exception_of_its_task(catches: bool) -> None:
    work, _ = calls(WrongInput("no"))
    attempts = itertools.count(1)

    @flow(retries=1)
    def working() -> None:
        next(attempts)
        try:
            work()
        except WrongInput as error:
            if catches:
                raise ConnectionError("something else") from error
            raise

    with pytest.raises(ConnectionError if catches else WrongInput):
        working()
    run = last_flow_run("working")
    retried = ["AwaitingRetry", "Retrying"] if catches else []
    assert flow_history(run.id) == ["Pending", "Running", *retried, "Failed"]
    assert next(attempts) == (3 if catches else 2)


def test_task_runs_are_listed_by_the_task_they_are_of() -> None:
    named = takes.with_options(name="load orders", task_run_name="something else {value}")

    @flow
    def working() -> bool:
        named(1)
        named(2)
        takes(3)
        return True

    assert working()
    with get_client() as client:
        flow_run_id = last_flow_run("working").id
        found = client.read_task_runs(flow_run_id=flow_run_id, task_names=["load orders"])
        assert [(run.task_name, run.name) for run in found] == [
            ("load orders", "something else 2"),
            ("load orders", "something else 1"),
        ]
        both = client.read_task_runs(flow_run_id=flow_run_id, task_names=["load orders", "takes"])
        assert len(both) == 3
        assert not client.read_task_runs(flow_run_id=flow_run_id, task_names=["load"])
    listed = json.loads(
        answer("task-run", "ls", "--flow-run", flow_run_id, "--task", "load orders", "-o", "json")
    )
    assert [run["task_name"] for run in listed] == ["load orders"] * 2
    assert "Task      " in answer("task-run", "inspect", listed[0]["id"])
