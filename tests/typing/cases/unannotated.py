"""Functions without annotations. Of those pyright knows nothing, which it says in ways of its own, so it is not asked."""

from typing import Any, assert_type

from clearway import State, TaskFuture, flow, task


@task
def echo(word):  # type: ignore[no-untyped-def]
    return word


@flow
def calls(word):  # type: ignore[no-untyped-def]
    return word


assert_type(calls("a", return_state=True), State[Any])


@flow
def submits() -> None:
    assert_type(echo.submit(1), TaskFuture[Any])
    assert_type(echo.map([1]), list[TaskFuture[Any]])
    assert_type(echo(1, return_state=True), State[Any])
