from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from clearway import AsyncTaskFuture, Completed, Failed, Pending, State, TaskFuture
from clearway.exceptions import Deadlock
from clearway.futures import Future


class Run:
    """A run that is under way."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None = None, waits_for: list[Future[Any]] | None = None
    ) -> None:
        self._loop = loop
        self._waits_for = waits_for or []

    def state_now(self) -> State[Any]:
        return Pending()

    def own_loop(self) -> asyncio.AbstractEventLoop | None:
        return self._loop

    def held_up_on(self, loop: asyncio.AbstractEventLoop) -> str:
        del loop
        return ""

    def waits_for(self) -> list[Future[Any]]:
        return self._waits_for


def test_a_future_that_is_not_done_tells_the_state_of_its_run() -> None:
    future: TaskFuture[int] = TaskFuture("id", "add-0", Run())
    assert not future.is_done()
    assert future.get_state().is_pending()
    assert future.wait(0) is None
    assert repr(future) == "<TaskFuture 'add-0': not done>"
    with pytest.raises(TimeoutError, match=r"'add-0' is not done after 0\.01 s; it is Pending"):
        future.result(0.01)


def test_a_future_wakes_all_who_wait() -> None:
    future: TaskFuture[int] = TaskFuture("id", "add-0", Run())
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(future.result())) for _ in range(5)]
    for thread in threads:
        thread.start()
    future.settle(Completed(7))
    for thread in threads:
        thread.join(10)
    assert results == [7] * 5
    assert future.is_done()
    state = future.wait()
    assert state is not None
    assert state.result() == 7


def test_only_the_first_end_counts() -> None:
    future: TaskFuture[int] = TaskFuture("id", "add-0", Run())
    future.settle(Completed(1))
    future.settle(Completed(2))
    assert future.result() == 1


def test_a_failed_run_raises_its_exception_or_returns_it() -> None:
    error = ValueError("bad")
    future: TaskFuture[int] = TaskFuture("id", "add-0", Run())
    future.settle(Failed(error))
    with pytest.raises(ValueError, match="bad") as caught:
        future.result()
    assert caught.value is error
    assert future.result(raise_on_failure=False) is error


def test_who_gave_up_waiting_is_not_called() -> None:
    future: TaskFuture[int] = TaskFuture("id", "add-0", Run())
    for _ in range(3):
        future.wait(0.001)
    assert future._callbacks == []


async def test_an_async_future_is_awaited() -> None:
    future: AsyncTaskFuture[int] = AsyncTaskFuture("id", "add-0", Run())
    assert (await future.get_state()).is_pending()
    assert await future.wait(0.001) is None
    with pytest.raises(TimeoutError, match="add-0"):
        await future.result(0.001)
    assert future._callbacks == []
    waiting = asyncio.create_task(future.result())
    await asyncio.sleep(0)
    threading.Thread(target=future.settle, args=(Completed(3),)).start()
    assert await waiting == 3
    assert await future.result() == 3


async def test_cancelling_who_waits_leaves_the_run_alone() -> None:
    future: AsyncTaskFuture[int] = AsyncTaskFuture("id", "add-0", Run())
    waiting = asyncio.create_task(future.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert future._callbacks == []
    future.settle(Completed(3))
    assert await future.result() == 3


async def test_blocking_the_loop_that_a_run_needs_is_refused() -> None:
    loop = asyncio.get_running_loop()
    upstream: AsyncTaskFuture[int] = AsyncTaskFuture("id", "fetch-0", Run(loop))
    future: TaskFuture[int] = TaskFuture("id", "add-0", Run(waits_for=[upstream]))
    with pytest.raises(Deadlock, match="'add-0' here would never end: the async task run 'fetch-0'"):
        future.result()
    upstream.settle(Completed(1))
    threading.Thread(target=future.settle, args=(Completed(2),)).start()
    assert future.result() == 2


@pytest.mark.parametrize("kind", [TaskFuture, AsyncTaskFuture])
@pytest.mark.parametrize(
    "used",
    [bool, lambda future: not future, lambda future: 1 if future else 0, lambda future: any([future])],
)
def test_the_truth_value_of_a_future_is_warned_of_at_the_users_line(kind: Any, used: Any) -> None:
    future: Future[int] = kind("id", "add-0", Run())
    with pytest.warns(
        UserWarning, match=r"'add-0' was used as a truth value, .* use its result\(\)"
    ) as warned:
        used(future)
    assert [each.filename for each in warned] == [__file__]
    future.settle(Completed(0))
    with pytest.warns(UserWarning, match="always True"):
        assert future
