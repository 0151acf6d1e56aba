"""Functions that return a state made by hand: a call returns the result that is in it."""

import asyncio
from typing import assert_type

from clearway import Completed, State, TaskFuture, flow, task


@task
def check(number: int) -> State[int]:
    return Completed(number, message="checked")


@task
async def check_async(number: int) -> State[int]:
    return Completed(number)


@flow
def checks(number: int) -> State[str]:
    assert_type(check(number), int)
    assert_type(check(number, return_state=True), State[int])
    check("a")  # type: ignore[call-overload]  # pyright: ignore
    assert_type(check.submit(number), TaskFuture[int])
    assert_type(check.submit(number, return_state=True), State[int])
    assert_type(check.map([number]), list[TaskFuture[int]])
    return Completed("all are good")


@flow
async def checks_async(number: int) -> State[str]:
    assert_type(await check_async(number), int)
    return Completed("all are good")


assert_type(checks(3), str)
assert_type(checks(3, return_state=True), State[str])
assert_type(asyncio.run(checks_async(3)), str)
