"""Sync tasks: what calls of them return."""

from pathlib import Path
from typing import assert_type

from clearway import State, Task, TaskFuture, allow_failure, exponential_backoff, flow, task
from clearway.schemas import TaskRun


@task
def count(word: str, *, times: int = 1) -> int:
    return len(word) * times


@task(name="halved", retries=3, retry_delay_seconds=2, tags=["a"])
def half(number: int) -> float:
    return number / 2


assert_type(count.fn("a"), int)
assert_type(count.name, str)
assert_type(half.retries, int)


def not_crashed(owner: Task[..., object], run: TaskRun, state: State[object]) -> bool:
    return owner.name == run.name or not state.is_crashed()


@task(
    retries=2,
    retry_delay_seconds=exponential_backoff(1),
    retry_jitter_factor=0.5,
    retry_condition_fn=not_crashed,
    refresh_cache=True,
    persist_result=False,
    result_storage=Path("results"),
)
def told(number: int) -> int:
    return number


class Shop:
    @task
    def price(self, item: str, *, count: int = 1) -> float:
        return len(item) * count / 2

    @task
    async def order(self, item: str) -> bytes:
        return item.encode()


def renamed() -> None:
    again = half.with_options(name="again", retries=1)
    assert_type(again.submit(3), TaskFuture[float])
    assert_type(again(3), float)


@flow
def calls() -> None:
    assert_type(count("a"), int)
    assert_type(count("a", times=2), int)
    assert_type(half(3), float)
    assert_type(count("a", return_state=True), State[int])
    assert_type(count("a", return_state=True).result(), int)
    assert_type(count("a", wait_for=[half.submit(1)]), int)
    assert_type(count("a", wait_for=None, return_state=False), int)


@flow
def submits() -> None:
    future = count.submit("a", times=2)
    assert_type(future, TaskFuture[int])
    assert_type(future.result(), int)
    assert_type(future.result(timeout=3), int)
    assert_type(future.result(raise_on_failure=False), int | BaseException)
    assert_type(future.wait(), State[int] | None)
    assert_type(future.wait(5.0), State[int] | None)
    assert_type(future.get_state(), State[int])
    assert_type(future.get_state().is_completed(), bool)
    assert_type(half.submit(future), TaskFuture[float])
    assert_type(half.submit(3, wait_for=[future]), TaskFuture[float])
    assert_type(half.submit(3, wait_for=[allow_failure(future)]), TaskFuture[float])
    assert_type(half.submit(3, return_state=True), State[float])


@flow
def maps() -> None:
    futures = count.map(["a", "b"])
    assert_type(futures, list[TaskFuture[int]])
    assert_type([future.result() for future in futures], list[int])
    assert_type(half.map(futures), list[TaskFuture[float]])
    assert_type(count.map(["a"], return_state=True), list[State[int]])


class Shelf:
    @staticmethod
    @task
    def size(books: list[str]) -> int:
        return len(books)


@flow
def methods() -> None:
    assert_type(Shelf.size(["a"]), int)
    assert_type(Shelf.size.submit(["a"]), TaskFuture[int])


@flow
def methods_of_instances(shop: Shop) -> None:
    assert_type(shop.price("tea", count=2), float)
    assert_type(shop.price.submit("tea"), TaskFuture[float])
    assert_type(shop.price.map(["tea"]), list[TaskFuture[float]])
    assert_type(shop.price.fn("tea"), float)
    assert_type(Shop.price(shop, "tea"), float)
