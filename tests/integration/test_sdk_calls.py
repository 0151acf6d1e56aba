"""Who may call whom: sync and async flows and tasks, from plain code, from each other, and from threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clearway import FlowRunContext, flow, get_client, task
from clearway.exceptions import MissingContext, NestedTask
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@flow
def sync_flow(x: int = 1) -> int:
    return x + 1


@flow
async def async_flow(x: int = 1) -> int:
    await asyncio.sleep(0)
    return x + 1


@task
def sync_task(x: int = 1) -> int:
    return x + 1


@task
async def async_task(x: int = 1) -> int:
    await asyncio.sleep(0)
    return x + 1


FLOWS = {"sync flow": sync_flow, "async flow": async_flow}
TASKS = {"sync task": sync_task, "async task": async_task}
CALLED: dict[str, Any] = {**FLOWS, **TASKS}
CALLS: dict[str, Callable[[Any], Any]] = {
    "call": lambda called: called(1),
    "state": lambda called: called(1, return_state=True),
    "submit": lambda called: called.submit(1),
    "map": lambda called: called.map([1]),
}


def outcome(value: Any) -> Any:
    """Return the result of whatever a call returned in sync code."""
    if isinstance(value, list):
        return outcome(value[0])
    return value.result() if hasattr(value, "result") else value


async def outcome_async(value: Any) -> Any:
    """Return the result of whatever a call returned in async code."""
    if isinstance(value, list):
        return await outcome_async(value[0])
    if hasattr(value, "result"):
        value = value.result()
    return await outcome_async(await value) if asyncio.iscoroutine(value) else value


def ways(called: str) -> list[str]:
    return ["call", "state"] if called in FLOWS else list(CALLS)


EVERY = [(called, way) for called in CALLED for way in ways(called)]


@pytest.mark.parametrize(("called", "way"), EVERY)
def test_in_a_sync_flow_everything_runs_and_nothing_is_awaited(called: str, way: str) -> None:
    @flow
    def parent() -> Any:
        return outcome(CALLS[way](CALLED[called]))

    assert parent() == 2
    assert [run.state.name for run in task_runs("parent").values()] == ["Completed"]


@pytest.mark.parametrize(("called", "way"), EVERY)
async def test_in_an_async_flow_everything_runs_and_what_is_async_is_awaited(called: str, way: str) -> None:
    @flow
    async def parent() -> Any:
        made = CALLS[way](CALLED[called])
        assert asyncio.iscoroutine(made) == CALLED[called].is_async
        return await outcome_async(made)

    assert await parent() == 2
    assert [run.state.name for run in task_runs("parent").values()] == ["Completed"]


@pytest.mark.parametrize("called", FLOWS)
def test_in_plain_code_a_flow_runs_and_an_async_one_is_a_coroutine(called: str) -> None:
    made: Any = FLOWS[called](1)
    assert (asyncio.run(made) if asyncio.iscoroutine(made) else made) == 2


@pytest.mark.parametrize("called", FLOWS)
async def test_in_async_code_a_flow_runs(called: str) -> None:
    assert await outcome_async(FLOWS[called](1)) == 2


@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("called", TASKS)
def test_outside_a_flow_a_task_says_how_to_call_it(called: str, way: str) -> None:
    with pytest.raises(MissingContext, match=r"outside a flow; call it within a function decorated.*\.fn\("):
        CALLS[way](TASKS[called])


@pytest.mark.parametrize("outer", ["sync", "async"])
@pytest.mark.parametrize(("called", "way"), EVERY)
def test_within_a_task_everything_says_how_to_do_it(outer: str, called: str, way: str) -> None:
    @task
    def sync_outer() -> None:
        CALLS[way](CALLED[called])

    @task
    async def async_outer() -> None:
        CALLS[way](CALLED[called])

    @flow
    def parent() -> Any:
        return (sync_outer if outer == "sync" else async_outer).submit().result()

    said = "call the flow from a flow" if called in FLOWS else r"\.fn\("
    with pytest.raises(NestedTask, match=f"was called from within a task.*{said}"):
        parent()


@pytest.mark.parametrize("called", TASKS)
def test_in_a_thread_that_a_flow_starts_a_task_needs_the_flow_s_context(called: str) -> None:
    @flow
    def parent() -> Any:
        with ThreadPoolExecutor(1) as pool:
            with pytest.raises(MissingContext, match=r"copy_context\(\)\.run"):
                pool.submit(TASKS[called], 1).result()
            return pool.submit(contextvars.copy_context().run, TASKS[called], 1).result()

    assert parent() == 2
    assert list(task_runs("parent")) == [f"{TASKS[called].name}-0"]


@pytest.mark.parametrize("called", ["sync flow", "sync task"])
async def test_in_a_thread_of_an_async_flow_what_is_sync_runs_beside_the_loop(called: str) -> None:
    @flow
    async def parent() -> Any:
        return await asyncio.gather(*(asyncio.to_thread(CALLED[called], x) for x in range(3)))

    assert await parent() == [1, 2, 3]
    assert len(task_runs("parent")) == 3


def test_a_flow_in_a_thread_without_context_is_a_run_of_its_own() -> None:
    results: list[Any] = []

    @flow
    def parent() -> None:
        thread = threading.Thread(target=lambda: results.append(sync_flow(1)))
        thread.start()
        thread.join()

    parent()
    assert results == [2]
    assert task_runs("parent") == {}
    assert last_flow_run("sync_flow").parent_task_run_id == ""


async def test_a_flow_that_is_not_awaited_is_named_in_the_warning() -> None:
    coroutine: Any = async_flow(1)
    assert coroutine.__qualname__ == "async_flow"
    coroutine.close()


@pytest.mark.parametrize("inner", FLOWS)
@pytest.mark.parametrize("outer", ["sync", "async"])
def test_the_tracking_run_leads_to_the_subflow_and_back(outer: str, inner: str) -> None:
    seen: list[str] = []

    @flow
    def child() -> str:
        context = FlowRunContext.get()
        assert context is not None
        seen.append(context.flow_run_id)
        return context.flow_run_id

    @flow
    async def async_child() -> str:
        return child.fn()

    called: Any = child if inner == "sync flow" else async_child

    @flow
    def parent() -> Any:
        return called()

    @flow(name="parent")
    async def async_parent() -> Any:
        return await outcome_async(called())

    child_id = parent() if outer == "sync" else asyncio.run(async_parent())
    assert seen == [child_id]
    (tracking,) = task_runs("parent").values()
    assert tracking.tracks_subflow
    with get_client() as client:
        states = client.read_task_run_states(tracking.id)
        assert client.read_flow_run(child_id).parent_task_run_id == tracking.id
    assert [state.name for state in states] == ["Pending", "Running", "Completed"]
    assert {state.details.child_flow_run_id for state in states[1:]} == {child_id}
    assert tracking.state.details.child_flow_run_id == child_id
