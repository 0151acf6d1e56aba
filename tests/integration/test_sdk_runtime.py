"""What code can ask about the run that it belongs to, and the tags of runs."""
# ruff: noqa: ARG001 - parameters are there to be looked up

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import clearway
from clearway import FlowRunContext, TaskRunContext, flow, get_run_context, runtime, tags, task
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


def looked_up(module: Any) -> dict[str, Any]:
    return {name: getattr(module, name) for name in dir(module)}


@pytest.mark.parametrize("submitted", [False, True])
def test_in_a_task_the_context_is_complete_and_runtime_says_the_same(submitted: bool) -> None:
    @task(tags=["mine"])
    def look(x: int, y: int = 2) -> tuple[Any, ...]:
        return (
            TaskRunContext.get(),
            get_run_context(),
            looked_up(runtime.task_run),
            looked_up(runtime.flow_run),
        )

    @flow(version="7")
    def looking(z: int) -> Any:
        with tags("around"):
            return (look.submit(1).result() if submitted else look(1)), FlowRunContext.get()

    before = datetime.now(UTC)
    (context, innermost, task_run, flow_run), flow_context = looking(3)
    after = datetime.now(UTC)
    run, known = last_flow_run("looking"), task_runs("looking")["look-0"]
    assert innermost is context
    assert (context.task_run_id, context.flow_run_id, context.task) == (known.id, run.id, look)
    assert (context.run_count, context.parameters) == (1, {"x": 1, "y": 2})
    assert context.tags == {"mine", "around"}
    assert before <= flow_context.start_time <= context.start_time <= after
    assert task_run == {
        "id": known.id,
        "name": "look-0",
        "task_name": "look",
        "tags": ["around", "mine"],
        "parameters": {"x": 1, "y": 2},
        "run_count": 1,
        "start_time": context.start_time,
    }
    assert flow_run == {
        "id": run.id,
        "name": run.name,
        "flow_name": "looking",
        "flow_version": "7",
        "tags": [],
        "parameters": {"z": 3},
        "run_count": 1,
        "start_time": flow_context.start_time,
        "scheduled_start_time": flow_context.scheduled_start_time,
        "parent_flow_run_id": None,
        "root_flow_run_id": run.id,
    }
    assert before <= flow_context.scheduled_start_time <= flow_context.start_time


def test_in_a_flow_the_context_is_the_flow_s() -> None:
    @flow
    def looking() -> None:
        context = get_run_context()
        assert isinstance(context, FlowRunContext)
        assert context is FlowRunContext.get()
        assert clearway.context.get_run_context() is context
        assert runtime.task_run.id is None

    looking()


def test_a_subflow_knows_its_parent_and_the_root() -> None:
    seen: list[tuple[str | None, str | None, str | None]] = []

    def note() -> None:
        run = runtime.flow_run
        seen.append((run.id, run.parent_flow_run_id, run.root_flow_run_id))

    @flow
    def grandchild() -> None:
        note()

    @flow
    def child() -> None:
        note()
        grandchild()

    @flow
    def parent() -> None:
        note()
        child()

    parent()
    (root, *_), (second, *_), (third, *_) = seen
    assert seen == [(root, None, root), (second, root, root), (third, second, root)]
    assert len({root, second, third}) == 3


def test_retries_are_counted() -> None:
    counts: list[tuple[int, int]] = []

    @task(retries=1)
    def flaky() -> None:
        counts.append((runtime.flow_run.run_count, runtime.task_run.run_count))
        if runtime.task_run.run_count == 1:
            raise ValueError("once")

    @flow
    def counting() -> None:
        flaky()

    counting()
    assert counts == [(1, 1), (1, 2)]


def test_tags_are_given_to_flows_subflows_and_their_tasks() -> None:
    @task(tags=["own"])
    def work() -> list[str]:
        return runtime.task_run.tags

    @flow
    def child() -> tuple[list[str], list[str]]:
        with tags("innermost"):
            return runtime.flow_run.tags, work()

    @flow
    def parent() -> Any:
        with tags("inner"):
            return runtime.flow_run.tags, work(), child(), work.submit().result()

    with tags("outer", "other"):
        found = parent()
    assert found == (
        ["other", "outer"],
        ["inner", "other", "outer", "own"],
        (["inner", "other", "outer"], ["inner", "innermost", "other", "outer", "own"]),
        ["inner", "other", "outer", "own"],
    )
    assert last_flow_run("parent").tags == ("other", "outer")
    assert last_flow_run("child").tags == ("inner", "other", "outer")
    assert task_runs("child")["work-0"].tags == ("inner", "innermost", "other", "outer", "own")
    assert task_runs("parent")["child-0"].tags == ("inner", "other", "outer")


async def test_tags_of_coroutines_that_take_turns_stay_apart() -> None:
    import asyncio  # noqa: PLC0415

    @task
    async def look(both: asyncio.Barrier) -> list[str]:
        await both.wait()
        return runtime.task_run.tags

    async def tagged(tag: str, both: asyncio.Barrier) -> list[str]:
        with tags(tag):
            return await look(both)

    @flow
    async def looking() -> list[list[str]]:
        both = asyncio.Barrier(2)
        return await asyncio.gather(tagged("a", both), tagged("b", both))

    assert await looking() == [["a"], ["b"]]
