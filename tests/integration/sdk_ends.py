"""A program whose flow ends in the way that its argument names, and what its user sees of that."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from clearway import Cancelled, Failed, flow, get_client, task
from clearway.task_runners import ProcessPoolTaskRunner


@task(retries=2, retry_delay_seconds=0.0123456)
def flaky() -> None:
    raise ValueError("bad row\nin the second line")


@task
def odd(number: int) -> int:
    if number % 2:
        raise ValueError(f"odd: {number}")
    return number


@task
def one_of(number: int) -> Any:
    if number < 3:
        return number
    if number == 3:
        raise ValueError("failed")
    return Cancelled(message="not wanted")


@task
def dies() -> None:
    os._exit(3)


@task(cache_key_fn=lambda _context, _parameters: 1 / 0)
def without_key() -> None:
    """Do nothing."""


@flow
def retried() -> None:
    flaky()


@flow
def mapped() -> list[Any]:
    return odd.map(range(5))


@flow
def kinds() -> None:
    futures = one_of.map(range(5))
    odd.submit(0, wait_for=futures).wait()


@flow
def keyless() -> None:
    without_key()


@flow
def failing() -> None:
    raise KeyError("of the flow")


@flow(retries=1, retry_delay_seconds=0.0123456)
def failing_twice() -> None:
    raise KeyError("of the flow")


@flow
def parent() -> None:
    odd(2)
    failing()


@flow
async def failing_async() -> None:
    raise KeyError("of the flow")


@flow
def by_hand() -> Any:
    return Failed(message="no data today")


@flow
def completing() -> int:
    return odd(2)


@flow(task_runner=ProcessPoolTaskRunner)
def worker() -> None:
    dies.submit().result()


def main() -> None:
    """Do what the arguments say."""
    name, *rest = sys.argv[1:]
    if name == "client":
        with get_client() as client:
            client.read_flow_runs()
    elif name == "async_client":
        asyncio.run(_ask())
    elif name == "failing_async":
        asyncio.run(failing_async())
    else:
        globals()[name](**dict.fromkeys(rest, True))


async def _ask() -> None:
    async with get_client() as client:
        await client.read_flow_runs()


if __name__ == "__main__":
    main()
