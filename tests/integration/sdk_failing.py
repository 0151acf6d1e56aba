"""A program whose flow fails: how is its first argument."""

from __future__ import annotations

import asyncio
import sys

from clearway import flow, task


def helper(key: str) -> str:
    return {"a": "b"}[key]


@task
def load(key: str) -> str:
    try:
        return helper(key)
    except KeyError as error:
        raise ValueError(f"no such ключ: {key}") from error


@task
async def fetch(key: str) -> str:
    await asyncio.sleep(0)
    return load.fn(key)


@flow
def direct() -> None:
    load("x")


@flow
def submitted() -> None:
    load.submit("x").result()


@flow
def nested() -> None:
    direct()


@flow
def beside() -> None:
    fetch("x")


@flow
async def asynchronous() -> None:
    await fetch("x")


@flow
async def awaited() -> None:
    await (await fetch.submit("x")).result()


def main() -> None:
    """Run the flow that the argument names, or a task outside any flow."""
    name = sys.argv[1]
    if name == "outside":
        load("x")
    elif name in ("asynchronous", "awaited"):
        asyncio.run(globals()[name]())
    else:
        globals()[name]()


if __name__ == "__main__":
    main()
