"""Calls that block the event loop of an async flow, and wait for what code on it holds."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from clearway import flow, get_client, task
from clearway.exceptions import Deadlock
from clearway.task_runners import SequentialTaskRunner, ThreadPoolTaskRunner
from integration.sdk_runs import SECONDS, set_limit, slots, task_runs

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def tag() -> str:
    return f"one-{uuid4()}"


@asynccontextmanager
async def held(tag: str, runs: int = 1) -> AsyncIterator[None]:
    """Have async task runs of the same event loop hold slots of a tag."""
    release = asyncio.Event()
    began = asyncio.Semaphore(0)

    @task(tags=[tag])
    async def holds() -> None:
        began.release()
        await release.wait()

    futures = [await holds.submit() for _ in range(runs)]
    for _ in futures:
        await began.acquire()
    yield
    release.set()
    for future in futures:
        await future.result()


def wanting(tag: str) -> Any:
    @task(tags=[tag])
    def wants(n: int = 1) -> int:
        return n

    return wants


def in_subflow(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def called(wants: Any) -> Any:
        @flow
        def child() -> Any:
            return call(wants)

        return child()

    return called


def through_async_subflow(wants: Any) -> Any:
    @flow
    async def grandchild() -> Any:
        return await asyncio.to_thread(wants)

    @flow
    def child() -> Any:
        return grandchild()

    return child()


def through_another(wants: Any) -> Any:
    @task
    def after(n: int) -> int:
        return n

    return after.submit(wants.submit()).result()


def many(wants: Any) -> Any:
    """Submit more than wait at the service at once, and wait for one that is held back."""
    return wants.map(range(40))[-1].result()


WAYS: dict[str, Callable[[Any], Any]] = {
    "call": lambda wants: wants(),
    "state": lambda wants: wants(return_state=True),
    "result": lambda wants: wants.submit().result(),
    "wait": lambda wants: wants.submit().wait(SECONDS),
    "map": lambda wants: [future.result() for future in wants.map([1, 2])],
    "submitted state": lambda wants: wants.submit(return_state=True),
    "upstream": through_another,
    "held back": many,
    "subflow": in_subflow(lambda wants: wants()),
    "subflow's result": in_subflow(lambda wants: wants.submit().result()),
    "subflow's end": in_subflow(lambda wants: wants.submit() and None),
    "async subflow": through_async_subflow,
}


@pytest.mark.filterwarnings("ignore:the future of the task run")
@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_waits_for_a_slot_of_its_own_loop_is_refused(way: str, tag: str) -> None:
    set_limit(tag, 1)

    @flow
    async def blocked() -> str:
        async with held(tag):
            with pytest.raises(Deadlock) as refused:
                WAYS[way](wanting(tag))
        return str(refused.value)

    message = await asyncio.wait_for(blocked(), SECONDS)
    assert re.search(
        rf"'wants-\d+' waits for a slot of the tag '{tag}', held by the async task run 'holds-0'", message
    )
    assert "needs the event loop" in message
    assert slots(tag) == ()


async def test_all_that_hold_the_slots_are_named(tag: str) -> None:
    set_limit(tag, 4)

    @flow
    async def blocked() -> str:
        async with held(tag, 4):
            with pytest.raises(Deadlock) as refused:
                wanting(tag)()
        return str(refused.value)

    expected = "held by the async task runs 'holds-0', 'holds-1', 'holds-2' and 1 more, which needs"
    assert expected in await asyncio.wait_for(blocked(), SECONDS)


@pytest.mark.parametrize("limit", [1, 2])
async def test_a_slot_that_a_thread_gives_back_is_waited_for(limit: int, tag: str) -> None:
    set_limit(tag, limit)
    began, release = threading.Event(), threading.Event()

    @task(tags=[tag])
    def thread() -> None:
        began.set()
        release.wait(SECONDS)

    @flow
    async def blocked() -> int:
        thread.submit()
        await asyncio.to_thread(began.wait)
        if limit == 1:
            threading.Thread(target=release_when_waited_for, args=(tag, release)).start()
            return int(wanting(tag)())
        async with held(tag):
            threading.Thread(target=release_when_waited_for, args=(tag, release)).start()
            return int(wanting(tag)())

    assert await blocked() == 1


def release_when_waited_for(tag: str, release: threading.Event) -> None:
    with get_client() as client:
        while not client.read_concurrency_limit_by_tag(tag).waiting:
            pass
    release.wait(0.3)  # longer than until it is asked for the first time what holds the slot
    release.set()


@pytest.mark.parametrize("way", ["call", "result", "subflow"])
@pytest.mark.parametrize("refresh", [False, True], ids=["cache", "refresh"])
async def test_a_call_that_waits_for_a_key_that_its_own_loop_computes_is_refused(
    way: str, refresh: bool
) -> None:
    key = f"key-{uuid4()}"
    began, release = asyncio.Event(), asyncio.Event()

    @task(cache_key_fn=lambda *_: key, refresh_cache=refresh)
    async def computes() -> int:
        began.set()
        await release.wait()
        return 5

    @task(cache_key_fn=lambda *_: key)
    def wants() -> int:
        return 6

    @flow
    async def blocked() -> tuple[str, int]:
        future = await computes.submit()
        await began.wait()
        with pytest.raises(Deadlock) as refused:
            WAYS[way](wants)
        release.set()
        await future.result()
        return str(refused.value), wants()

    message, result = await asyncio.wait_for(blocked(), SECONDS)
    assert "'wants-0' waits for its cache key, which the async task run 'computes-0' computes" in message
    assert result == 5


async def test_a_call_that_waits_for_a_permit_that_its_own_loop_has_is_refused() -> None:
    began, release = asyncio.Event(), asyncio.Event()

    @task
    async def holds() -> None:
        began.set()
        await release.wait()

    @task
    def wants() -> int:
        return 1

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    async def blocked() -> str:
        await holds.submit()
        await began.wait()
        with pytest.raises(Deadlock) as refused:
            wants.submit().result()
        release.set()
        return str(refused.value)

    message = await asyncio.wait_for(blocked(), SECONDS)
    assert (
        "'wants-0' waits for a permit of the flow's task runner, held by the async task run 'holds-0'"
        in message
    )


@pytest.mark.parametrize("runner", [None, SequentialTaskRunner()], ids=["concurrent", "sequential"])
async def test_a_call_beside_a_gathered_coroutine_that_holds_its_slot_is_refused(
    runner: Any, tag: str
) -> None:
    set_limit(tag, 1)
    began = asyncio.Event()

    @task(tags=[tag])
    async def holds() -> int:
        began.set()
        await asyncio.sleep(0.01)
        return 1

    async def call() -> int:
        await began.wait()
        return int(wanting(tag)())

    @flow(task_runner=runner)
    async def blocked() -> list[Any]:
        holding = holds() if runner is None else holds.submit()
        return await asyncio.gather(holding, call(), return_exceptions=True)

    results = await asyncio.wait_for(blocked(), SECONDS)
    assert isinstance(results[1], Deadlock)


async def test_a_flow_that_does_not_catch_it_fails_and_ends_what_it_began(tag: str) -> None:
    set_limit(tag, 1)
    began = asyncio.Event()

    @task(tags=[tag])
    async def holds() -> None:
        began.set()
        await asyncio.sleep(0.01)

    @flow
    async def blocked() -> Any:
        await holds.submit()
        await began.wait()
        return wanting(tag).submit().result()

    with pytest.raises(Deadlock):
        await asyncio.wait_for(blocked(), SECONDS)
    assert {name: run.state.name for name, run in task_runs("blocked").items()} == {
        "holds-0": "Completed",
        "wants-0": "Completed",
    }
    assert slots(tag) == ()


def test_a_sync_flow_waits_for_the_loop_beside_it(tag: str) -> None:
    set_limit(tag, 1)

    @task(tags=[tag])
    async def holds() -> int:
        await asyncio.sleep(0.2)
        return 1

    @flow
    def waiting() -> int:
        future = holds.submit()
        return int(wanting(tag)()) + int(future.result())

    assert waiting() == 2
