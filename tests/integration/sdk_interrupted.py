"""A program that is interrupted: the name of a flow is its argument. It prints ``ready`` when it may be."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
from typing import Any

import psutil

from clearway import flow, get_client, tags, task
from clearway.task_runners import ProcessPoolTaskRunner

started = threading.Semaphore(0)


@task
def block() -> None:
    started.release()
    time.sleep(60)


@task
async def wait() -> None:
    started.release()
    await asyncio.sleep(60)


@task
def elsewhere() -> None:
    time.sleep(60)


def ready(running: int, waiting: int = 0) -> None:
    """Say that the flow may be interrupted, when so many tasks run and so many wait for a slot."""
    for _ in range(running):
        started.acquire()
    with get_client() as client:
        while client.read_concurrency_limit_by_tag("interrupted").waiting < waiting:
            time.sleep(0.001)
    print("ready", flush=True)


@flow
def direct() -> None:
    threading.Thread(target=ready, args=(1,)).start()
    block()


@flow
def submitted() -> None:
    futures: list[Any] = [block.submit(), wait.submit()]
    with tags("interrupted"):
        futures += [block.submit() for _ in range(5)]
    futures.append(block.submit(wait_for=futures))
    threading.Thread(target=ready, args=(3, 4)).start()
    futures[0].result()


@flow
def draining() -> None:
    block.submit()
    threading.Thread(target=ready, args=(1,)).start()


@flow
def nested() -> None:
    direct()


@flow
async def asynchronous() -> None:
    await wait.submit()
    with tags("interrupted"):
        for _ in range(5):
            block.submit()
    threading.Thread(target=ready, args=(3, 4)).start()
    await wait()


@task
def want() -> None:
    pass


def occupied() -> None:
    """Hold the slot in another thread, and say that the flow may be interrupted when another run waits."""
    threading.Thread(target=ready, args=(1, 1)).start()
    with tags("interrupted"):
        block.submit()
    while True:
        with get_client() as client:
            if client.read_concurrency_limit_by_tag("interrupted").active_slots:
                return


@flow
async def blocking_call() -> None:
    occupied()
    with tags("interrupted"):
        want()


@flow
async def blocking_result() -> None:
    occupied()
    with tags("interrupted"):
        want.submit().result()


@flow
async def blocking_subflow() -> None:
    occupied()

    @flow
    def child() -> None:
        want.submit()

    with tags("interrupted"):
        child()


@flow
async def blocking_code() -> None:
    threading.Thread(target=ready, args=(1,)).start()
    block()


@flow
def beside() -> None:
    child: Any = asynchronous
    child()


@flow
def retrying() -> None:
    @task(retries=1, retry_delay_seconds=60)
    def flaky() -> None:
        started.release()
        raise ValueError("bad")

    future = flaky.submit()
    started.acquire()
    while future.get_state().name != "AwaitingRetry":
        time.sleep(0.001)
    print("ready", flush=True)
    future.result()


@flow
def catching() -> None:
    threading.Thread(target=ready, args=(1,)).start()
    try:
        block()
    except KeyboardInterrupt:
        print("caught", flush=True)
        raise


def ready_with_worker() -> None:
    """Say that the flow may be interrupted, when it has started a worker process."""
    while not psutil.Process().children():
        time.sleep(0.001)
    print("ready", flush=True)


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def starting() -> None:
    """Interrupt the flow's whole process group as soon as it has a worker process."""
    threading.Thread(target=ready_with_worker, daemon=True).start()
    elsewhere.submit().result()


def main() -> None:
    """Run the flow that the argument names."""
    with get_client() as client:
        client.create_concurrency_limit(tag="interrupted", concurrency_limit=1)
    running = globals()[sys.argv[1]]()
    if inspect.iscoroutine(running):
        asyncio.run(running)


if __name__ == "__main__":
    main()
