"""A program that is stopped past its lease and goes on: the name of a flow is its argument."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from typing import Any

from clearway import flow, task
from clearway.context import is_cancelled
from clearway.exceptions import LostRun

started = threading.Semaphore(0)
told = threading.Event()
_STEP = 0.01


def say(line: str) -> None:
    """Tell the test something."""
    sys.stdout.write(line + "\n")  # in one piece, as several threads do so
    sys.stdout.flush()


def until_cancelled(what: str) -> None:
    """Work until it is told to stop."""
    while not is_cancelled():
        threading.Event().wait(_STEP)
    say(f"{what} was told")


@task
def scan() -> str:
    started.release()
    until_cancelled("the task in a thread")
    told.set()
    return "counts no more"


@task
async def wait() -> None:
    started.release()
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        say("the awaiting task was cancelled")
        raise


@task
def never() -> None:
    say("must not run")


@flow
def main_thread() -> None:
    futures: list[Any] = [scan.submit(), wait.submit()]
    waits: Any = never.submit(wait_for=futures)
    for _ in futures:
        started.acquire()
    say("ready")
    until_cancelled("the flow")
    try:
        never()
    except LostRun as error:
        say(f"refused: {error}")
    for future in (*futures, waits):
        say(f"state: {future.wait().name}")
    told.wait()  # its thread would end with the process


@task(tags=["narrow"])
def hold() -> None:
    say("ready")
    until_cancelled("the task that held the slot")
    told.set()


@task(tags=["narrow"])
def follow() -> None:
    say("must not run")


@flow
def queued() -> None:
    held: Any = hold.submit()
    waits: Any = follow.submit()
    for future in (held, waits):
        say(f"state: {future.wait().name}")
    told.wait()  # its thread would end with the process


@flow
def direct() -> None:
    threading.Thread(target=lambda: started.acquire() and say("ready")).start()
    try:
        scan()
    except LostRun as error:
        say(f"raised: {error}")
        raise


@flow
async def asynchronous() -> None:
    async def ready() -> None:
        for _ in range(2):
            await asyncio.to_thread(started.acquire)
        say("ready")

    await wait.submit()
    try:
        await asyncio.gather(wait(), ready(), asyncio.sleep(600))
    except asyncio.CancelledError:
        say("the flow was cancelled")
        raise


async def beside() -> None:
    """Run the async flow, and say whether what awaits it was cancelled too."""
    running: Any = asynchronous(return_state=True)
    say(f"the flow is {(await running).name}")
    await asyncio.sleep(0)
    say("the program goes on")


def main() -> None:
    """Run the flow that the argument names."""
    name = sys.argv[1]
    running = beside() if name == "asynchronous" else globals()[name]()
    if inspect.iscoroutine(running):
        asyncio.run(running)


if __name__ == "__main__":
    main()
