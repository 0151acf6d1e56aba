"""Parameters may have any name but ``return_state`` and ``wait_for``: also those that our own code uses."""

from __future__ import annotations

from typing import Any

import pytest

from clearway import ProcessPoolTaskRunner, flow, runtime, task, task_input_hash, unmapped

pytestmark = pytest.mark.usefixtures("service")

NAMES = (
    *("self", "cls", "function", "fn", "func", "name", "args", "kwargs", "parameters", "task", "flow", "run"),
    *("state", "call", "method", "instance", "owner", "options", "context", "value", "signature", "timeout"),
    *("key", "shape", "result", "tags", "retries", "arguments", "iterable", "callable", "obj", "bound"),
)


def made(source: str) -> Any:
    """Return the function that is defined by a line of source."""
    space: dict[str, Any] = {}
    exec(source, space)
    return next(value for name, value in space.items() if name.startswith("all_names"))


PLAIN = made(f"def all_names({', '.join(NAMES)}): return [{', '.join(NAMES)}]")
ASYNC = made(f"async def all_names_async({', '.join(NAMES)}): return [{', '.join(NAMES)}]")
GIVEN = {name: number for number, name in enumerate(NAMES)}
VALUES = list(GIVEN.values())


def collect(**given: Any) -> dict[str, Any]:
    return given


def test_a_task_takes_them_by_keyword() -> None:
    named = task(PLAIN, task_run_name="run {self} of {cls}", cache_key_fn=task_input_hash)

    @flow
    def calling() -> Any:
        lists = {name: [value] for name, value in GIVEN.items()}
        return [
            named(**GIVEN),
            named.submit(**GIVEN).result(),
            named.map(**lists)[0].result(),
            named.map(**{**lists, "self": unmapped(0)})[0].result(),
        ]

    assert calling() == [VALUES] * 4


def test_a_task_collects_them_by_keyword() -> None:
    @flow
    def calling() -> Any:
        each = task(collect)
        return each(**GIVEN), each.submit(**GIVEN).result(), each.map(self=[5])[0].result()

    assert calling() == (GIVEN, GIVEN, {"self": 5})


async def test_an_async_task_takes_them_by_keyword() -> None:
    @flow
    async def calling() -> Any:
        future = await task(ASYNC).submit(**GIVEN)
        return await task(ASYNC)(**GIVEN), await future.result()

    assert await calling() == (VALUES, VALUES)


def test_a_flow_takes_and_collects_them_by_keyword() -> None:
    @flow
    def calling() -> Any:
        return flow(PLAIN)(**GIVEN), flow(collect)(**GIVEN)

    assert calling() == (VALUES, GIVEN)
    assert flow(PLAIN, flow_run_name="{self} {cls}")(**GIVEN) == VALUES
    assert flow(PLAIN)(return_state=True, **GIVEN).result() == VALUES


async def test_an_async_flow_takes_them_by_keyword() -> None:
    assert await flow(ASYNC)(**GIVEN) == VALUES


def test_a_method_takes_them_by_keyword() -> None:
    class Shop:
        @task
        def price(this, self: int, cls: int) -> tuple[int, int]:  # noqa: N805 - a name is free
            return self, cls

        @flow
        def total(this, self: int, **more: int) -> tuple[int, dict[str, int]]:  # noqa: N805 - as above
            return self, more

    @flow
    def calling(shop: Shop) -> Any:
        return (
            shop.price(self=1, cls=2),
            shop.price.submit(self=1, cls=2).result(),
            shop.price.map(self=[1], cls=[2])[0].result(),
            shop.total(self=1, owner=2),
        )

    assert calling(Shop()) == ((1, 2), (1, 2), (1, 2), (1, {"owner": 2}))


def test_they_cross_to_worker_processes_and_are_known_at_run_time() -> None:
    @task
    def parameters_of_run(self: int, function: int) -> Any:
        return self, function, runtime.task_run.parameters

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def calling() -> Any:
        return parameters_of_run.submit(self=1, function=2).result(), task(PLAIN).submit(**GIVEN).result()

    assert calling() == ((1, 2, {"self": 1, "function": 2}), VALUES)
