"""Sync tasks: what calls of them return."""

from typing import assert_type

from clearway import State, TaskFuture, flow, task


@task
def count(word: str, *, times: int = 1) -> int:
    return len(word) * times


@task(name="halved", retries=3, retry_delay_seconds=2, tags=["a"])
def half(number: int) -> float:
    return number / 2


assert_type(count.fn("a"), int)
assert_type(count.name, str)
assert_type(half.retries, int)


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
