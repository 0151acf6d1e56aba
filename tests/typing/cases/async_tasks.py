"""Async tasks and flows: what is to be awaited, and what comes of it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, assert_type

from clearway import AsyncTaskFuture, State, TaskFuture, flow, task


@task(retries=1)
async def fetch(url: str) -> bytes:
    return url.encode()


@task
def size(body: bytes) -> int:
    return len(body)


@flow
async def crawl(urls: list[str]) -> int:
    assert_type(await fetch("a"), bytes)
    assert_type(await fetch("a", return_state=True), State[bytes])
    bodies = await asyncio.gather(*(fetch(url) for url in urls))
    assert_type(bodies, list[bytes])

    future = await fetch.submit("a")
    assert_type(future, AsyncTaskFuture[bytes])
    assert_type(await future.result(), bytes)
    assert_type(await future.result(raise_on_failure=False), bytes | BaseException)
    assert_type(await future.wait(), State[bytes] | None)
    assert_type(await future.get_state(), State[bytes])
    assert_type(await fetch.submit("a", return_state=True), State[bytes])

    futures = await fetch.map(urls)
    assert_type(futures, list[AsyncTaskFuture[bytes]])
    assert_type(await fetch.map(urls, return_state=True), list[State[bytes]])

    assert_type(size(b""), int)
    assert_type(size.submit(future), TaskFuture[int])
    return sum(map(len, bodies))


running: Coroutine[Any, Any, int] = crawl(["a"])
assert_type(asyncio.run(crawl(["a"])), int)


async def called() -> None:
    assert_type(await crawl(["a"]), int)
    assert_type(await crawl(["a"], return_state=True), State[int])
    assert_type((await crawl(["a"], return_state=True)).result(), int)
