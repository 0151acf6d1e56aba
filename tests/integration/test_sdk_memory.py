"""A flow holds the results that its own code holds, and no others."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import dataclass, field

import pytest

from clearway import flow, task

pytestmark = pytest.mark.usefixtures("service")

MANY = 300


@dataclass(eq=False)
class Result:
    number: int
    body: list[int] = field(default_factory=lambda: [0] * 100)


def alive(made: weakref.WeakSet[Result]) -> int:
    """Return how many of the results are still in memory."""
    gc.collect()
    return len(made)


def test_mapped_results_are_let_go_with_their_futures() -> None:
    made: weakref.WeakSet[Result] = weakref.WeakSet()

    @task
    def make(number: int) -> Result:
        result = Result(number)
        made.add(result)
        return result

    @flow
    def summing() -> tuple[int, int, int]:
        futures = make.map(range(MANY))
        total = sum(future.result().number for future in futures)
        held = alive(made)
        del futures
        return total, held, alive(made)

    assert summing() == (sum(range(MANY)), MANY, 0)


def test_results_of_calls_are_let_go_with_what_holds_them() -> None:
    made: weakref.WeakSet[Result] = weakref.WeakSet()

    @task
    def make(number: int) -> Result:
        result = Result(number)
        made.add(result)
        return result

    @task
    def read(result: Result) -> int:
        return result.number

    @flow
    def chained() -> int:
        for number in range(20):
            read(make(number))
        return alive(made)

    assert chained() == 0


async def test_results_of_async_tasks_are_let_go_with_their_futures() -> None:
    made: weakref.WeakSet[Result] = weakref.WeakSet()

    @task
    async def make(number: int) -> Result:
        await asyncio.sleep(0)
        result = Result(number)
        made.add(result)
        return result

    @flow
    async def summing() -> tuple[int, int]:
        total = sum([(await future.result()).number for future in await make.map(range(MANY))])
        return total, alive(made)

    assert await summing() == (sum(range(MANY)), 0)
