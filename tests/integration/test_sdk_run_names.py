"""Names that users give to the runs of flows and tasks."""
# ruff: noqa: ARG001 - parameters are there for the names

from __future__ import annotations

import pytest

from clearway import flow, runtime, task
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@task(task_run_name="double {x}")
def double(x: int) -> int:
    return 2 * x


def test_a_template_is_filled_with_the_parameters_and_the_results_of_futures() -> None:
    @flow(flow_run_name="work on {x:02d}")
    def named(x: int) -> int:
        first = double.submit(x)
        assert double(first) == 4 * x
        return double.submit(first).result()

    assert named(3) == 12
    assert last_flow_run("named").name == "work on 03"
    assert sorted(task_runs("named")) == ["double 3", "double 6"]


def test_each_run_of_a_map_has_a_name_of_its_own() -> None:
    @flow
    def named() -> None:
        double.map([1, 2, 3])

    named()
    assert sorted(task_runs("named")) == ["double 1", "double 2", "double 3"]


def test_a_function_makes_the_name_within_the_run() -> None:
    def task_run_name() -> str:
        parameters = runtime.task_run.parameters
        return f"{runtime.flow_run.name} > {runtime.task_run.task_name} {parameters['x']}"

    def flow_run_name() -> str:
        return f"{runtime.flow_run.flow_name} of {runtime.flow_run.parameters['x']}"

    @task(task_run_name=task_run_name)
    def work(x: int) -> str | None:
        return runtime.task_run.name

    @flow(flow_run_name=flow_run_name)
    def named(x: int) -> str | None:
        return work(x)

    assert named(1) == "named of 1 > work 1"
    assert list(task_runs("named")) == ["named of 1 > work 1"]
    assert last_flow_run("named").name == "named of 1"


async def test_async_runs_are_named_too() -> None:
    @task(task_run_name="add {x}")
    async def add(x: int) -> str | None:
        return runtime.task_run.name

    @flow(flow_run_name="adding {x}")
    async def adding(x: int) -> list[str | None]:
        future = await add.submit(x)
        return [await future.result(), await add(x + 1), runtime.flow_run.name]

    assert await adding(1) == ["add 1", "add 2", "adding 1"]


def test_a_subflow_s_run_is_named() -> None:
    @flow(flow_run_name="child of {x}")
    def child(x: int) -> str | None:
        return runtime.flow_run.name

    @flow
    def parent() -> str | None:
        return child(7)

    assert parent() == "child of 7"
    assert last_flow_run("child").name == "child of 7"


@pytest.mark.parametrize("submitted", [False, True])
def test_a_task_whose_name_cannot_be_made_fails(submitted: bool) -> None:
    @task(task_run_name=lambda: 5)  # type: ignore[call-overload, untyped-decorator]
    def work() -> None:
        pytest.fail("its code ran")

    @flow
    def named() -> str:
        state = work.submit(return_state=True) if submitted else work(return_state=True)
        with pytest.raises(TypeError, match="task_run_name of the task 'work' returned 5"):
            state.result()
        return str(state.message)

    assert named() == (
        "Task run encountered an exception in its task_run_name: "
        "TypeError: task_run_name of the task 'work' returned 5; it must return a string"
    )
    assert task_runs("named")["work-0"].state.name == "Failed"


def test_a_flow_whose_name_cannot_be_made_is_not_started() -> None:
    @flow(flow_run_name="{x.missing}")
    def unnamed(x: int) -> None:
        pytest.fail("its code ran")

    with pytest.raises(AttributeError, match="missing"):
        unnamed(1)


def test_a_flow_s_retry_keeps_the_names() -> None:
    calls: list[int] = []

    @task(task_run_name="work on {x}")
    def work(x: int) -> None:
        calls.append(x)
        if len(calls) == 1:
            raise ValueError("once")

    @flow(retries=1, flow_run_name="named {x}")
    def named(x: int) -> None:
        work(x)

    named(5)
    assert calls == [5, 5]
    assert last_flow_run("named").name == "named 5"
    assert set(task_runs("named")) == {"work on 5"}
