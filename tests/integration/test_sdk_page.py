"""The examples of the page that users come from, with our import line."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from clearway import flow, get_client, tags, task, unmapped
from clearway.exceptions import LimitNotFound, NestedTask
from clearway.tasks import task_input_hash
from integration.sdk_runs import history, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


def test_calling_a_task_from_a_flow(capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def my_task() -> None:
        print("Hello, I'm a task")

    @flow
    def my_flow() -> None:
        my_task()

    my_flow()
    assert capsys.readouterr().out == "Hello, I'm a task\n"
    assert task_runs("my_flow")["my_task-0"].state.is_completed()


def test_calling_a_task_s_function_from_another_task(capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def my_first_task(msg: str) -> None:
        print(f"Hello, {msg}")

    @task
    def my_second_task(msg: str) -> None:
        my_first_task.fn(msg)

    @task
    def wrong(msg: str) -> None:
        my_first_task(msg)

    @flow
    def nested() -> None:
        my_second_task("Trillian")
        with pytest.raises(NestedTask, match=r"my_first_task\.fn\(\.\.\.\)"):
            wrong("Trillian")

    with pytest.raises(NestedTask):
        nested()
    assert capsys.readouterr().out == "Hello, Trillian\n"
    assert list(task_runs("nested")) == ["my_second_task-0", "wrong-0"]


def test_a_task_with_a_name_a_description_and_tags() -> None:
    @task(name="hello-task", description="This task says hello.", tags=["test"], version="2")
    def my_task() -> None: ...

    @flow
    def described() -> None:
        my_task()

    described()
    run = task_runs("described")["hello-task-0"]
    assert (run.tags, run.task_version, run.task_key) == (("test",), "2", my_task.task_key)


def test_tags_as_a_context() -> None:
    @task(tags=["own"])
    def my_task() -> None: ...

    @flow
    def tagged() -> None:
        with tags("test"):
            my_task()
        my_task()

    tagged()
    runs = task_runs("tagged")
    assert [runs["my_task-0"].tags, runs["my_task-1"].tags] == [("own", "test"), ("own",)]


def test_retries_do_not_create_new_task_runs() -> None:
    attempts = itertools.count(1)

    @task(retries=3)
    def get_page(url: str) -> str:
        if next(attempts) < 3:
            raise ConnectionError(url)
        return url

    @flow
    def pages() -> str:
        return get_page("http://localhost")

    assert pages() == "http://localhost"
    (run,) = task_runs("pages").values()
    assert run.run_count == 3
    assert history(run.id) == [
        "Running",
        "AwaitingRetry",
        "Retrying",
        "AwaitingRetry",
        "Retrying",
        "Completed",
    ]


def test_caching_by_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    @task(cache_key_fn=task_input_hash, cache_expiration=timedelta(days=1))
    def hello_task(name_input: str) -> str:
        print("Saying hello")
        return "hello " + name_input

    @flow
    def hello_flow(name_input: str) -> str:
        return hello_task(name_input)

    assert hello_flow("a") == hello_flow("a") == "hello a"
    assert capsys.readouterr().out == "Saying hello\n"
    assert hello_flow("b") == "hello b"
    assert capsys.readouterr().out == "Saying hello\n"


def test_caching_by_a_static_key(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    def static_cache_key(context: Any, parameters: dict[str, Any]) -> str:
        del context, parameters
        return f"static cache key {request.node.name}"

    @task(cache_key_fn=static_cache_key)
    def cached_task() -> int:
        print("running an expensive operation")
        return 42

    @flow
    def test_caching() -> list[int]:
        return [cached_task(), cached_task(), cached_task()]

    for _ in range(3):
        assert test_caching() == [42, 42, 42]
    assert capsys.readouterr().out == "running an expensive operation\n"
    assert {run.state.name for run in task_runs("test_caching").values()} == {"Cached"}


def test_caching_within_a_flow_run() -> None:
    calls = []

    def cache_within_flow_run(context: Any, parameters: dict[str, Any]) -> str:
        return f"{context.flow_run_id}-{task_input_hash(context, parameters)}"

    @task(cache_key_fn=cache_within_flow_run)
    def cached_task(x: int) -> int:
        calls.append(x)
        return x

    @flow
    def within() -> None:
        for x in (1, 1, 2):
            cached_task(x)

    within()
    within()
    assert calls == [1, 2, 1, 2]


def test_map_over_data_and_futures(capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def print_nums(nums: list[int]) -> None:
        for n in nums:
            print(n)

    @task
    def square_num(num: int) -> int:
        return num**2

    @flow
    def map_flow(nums: list[int]) -> None:
        print_nums(nums)
        squared_nums = square_num.map(nums)
        print_nums(squared_nums)  # type: ignore[arg-type]  # futures stand for their results

    map_flow([1, 2, 3])
    assert capsys.readouterr().out.split() == ["1", "2", "3", "1", "4", "9"]
    runs = task_runs("map_flow")
    mapped = tuple(runs[f"square_num-{number}"].id for number in range(3))
    assert runs["print_nums-1"].task_inputs == {"nums": mapped}


def test_map_with_a_static_value() -> None:
    @task
    def add_together(x: int, y: int) -> int:
        return x + y

    @flow
    def sum_it(numbers: list[int], static_value: int) -> Any:
        return add_together.map(numbers, static_value)

    assert [state.result() for state in sum_it([1, 2, 3], 5)] == [6, 7, 8]


def test_map_with_an_unmapped_iterable() -> None:
    @task
    def sum_plus(x: int, static_iterable: list[int]) -> int:
        return x + sum(static_iterable)

    @flow
    def sum_it(numbers: list[int], static_iterable: Any) -> Any:
        return sum_plus.map(numbers, static_iterable)

    assert [state.result() for state in sum_it([4, 5, 6], unmapped([1, 2, 3]))] == [10, 11, 12]

    @flow
    def annotated(numbers: list[int], static_iterable: list[int]) -> Any:
        return sum_plus.map(numbers, static_iterable)

    assert [state.result() for state in annotated(["4"], unmapped(("1", 2)))] == [7]  # type: ignore[list-item]


def test_async_tasks() -> None:
    printed: list[Any] = []

    @task
    async def print_values(values: Any) -> None:
        for value in values:
            await asyncio.sleep(0)
            printed.append(value)

    @flow
    async def async_flow() -> None:
        await print_values([1, 2])  # runs immediately
        coros = [print_values("abcd"), print_values("6789")]
        await asyncio.gather(*coros)

    asyncio.run(async_flow())
    assert printed[:2] == [1, 2]
    assert sorted(printed[2:]) == list("6789abcd")
    assert last_flow_run("async_flow").state.is_completed()


async def test_the_client() -> None:
    async with get_client() as client:
        limit_id = await client.create_concurrency_limit(tag="small_instance", concurrency_limit=10)
        limit = await client.read_concurrency_limit_by_tag(tag="small_instance")
        assert (limit.id, limit.concurrency_limit) == (limit_id, 10)
        assert "small_instance" in [limit.tag for limit in await client.read_concurrency_limits()]
        await client.delete_concurrency_limit_by_tag(tag="small_instance")
        with pytest.raises(LimitNotFound, match="small_instance"):
            await client.read_concurrency_limit_by_tag(tag="small_instance")
