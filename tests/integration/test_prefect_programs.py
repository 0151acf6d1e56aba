"""Programs that were written for Prefect 2 run here when the name in their imports is changed."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("service")

SYNC = """
from datetime import timedelta

from prefect import flow, task, tags, unmapped, get_run_logger, runtime
from prefect.context import TaskRunContext, get_run_context
from prefect.states import Completed, Failed
from prefect.task_runners import ConcurrentTaskRunner, SequentialTaskRunner
from prefect.tasks import exponential_backoff, task_input_hash

attempts = []
hooks = []


def remember(task, task_run, state):
    hooks.append((task.name, state.name))


@task(name="Fetch a page", description="Asks a server.", tags=["network"], version="7",
      retries=2, retry_delay_seconds=exponential_backoff(backoff_factor=0.01), retry_jitter_factor=0.5)
def fetch(url):
    attempts.append(url)
    get_run_logger().info("asking %s", url)
    if len(attempts) < 3:
        raise ConnectionError(url)
    return f"<h1>{url}</h1>"


@task(cache_key_fn=task_input_hash, cache_expiration=timedelta(days=1))
def length(text: str) -> int:
    return len(text)


@task(on_completion=[remember], task_run_name="add-{x}")
def add(x, y):
    return x + y


@task(on_failure=[remember])
def refuse():
    raise ValueError("no")


@task
def check(found):
    if found:
        return Completed(message="all good")
    return Failed(message="nothing was found")


@task
def where():
    context = get_run_context()
    assert isinstance(context, TaskRunContext)
    return runtime.flow_run.name, runtime.task_run.tags


@flow(name="inner", task_runner=SequentialTaskRunner())
def inner(numbers: list[int], offset: int):
    futures = add.map(numbers, unmapped(offset))
    return [future.result() for future in futures]


@flow(name="outer", description="Calls all.", version="2", retries=0, flow_run_name="outer-{url}",
      task_runner=ConcurrentTaskRunner(), log_prints=True, validate_parameters=True)
def outer(url: str, numbers: list[int] = [1, 2, 3]):
    print("begins")
    page = fetch.submit(url)
    assert page.wait() is not None
    assert page.get_state().is_completed()
    sizes = [length(page.result()), length.submit(page).result()]
    refused = refuse(return_state=True)
    assert refused.is_failed()
    try:
        refused.result()
    except ValueError as error:
        assert str(error) == "no"
    later = add.submit(1, 2, wait_for=[page])
    with tags("checked", "twice"):
        place = where()
    assert check(True, return_state=True).message == "all good"
    renamed = add.with_options(name="renamed", retries=1)
    return Completed(data=(sizes, inner(numbers, 10), later.result(), place, renamed(1, 1), add.fn(2, 2)))


result = outer("/a", ["1", 2])
"""

ASYNC = """
import asyncio

from prefect import flow, task
from prefect.client import get_client


@task(retries=1)
async def double(x):
    await asyncio.sleep(0)
    return 2 * x


@task
def triple(x):
    return 3 * x


@flow
async def child(x):
    return await double(x)


@flow(name="async parent")
async def parent(xs):
    gathered = await asyncio.gather(*[double(x) for x in xs])
    future = await double.submit(xs[0])
    mapped = await double.map(xs)
    return gathered, await future.result(), [await m.result() for m in mapped], triple(1), await child(5)


async def main():
    async with get_client() as client:
        limit_id = await client.create_concurrency_limit(tag="small_instance", concurrency_limit=10)
        limit = await client.read_concurrency_limit_by_tag(tag="small_instance")
        assert limit.concurrency_limit == 10
        assert limit.tag in [limit.tag for limit in await client.read_concurrency_limits(limit=100, offset=0)]
        await client.delete_concurrency_limit_by_tag(tag="small_instance")
    return await parent([1, 2])
"""


def run(program: str, folder: Path) -> dict[str, Any]:
    path = folder / "program.py"
    path.write_text(program.replace("from prefect", "from clearway"))
    return runpy.run_path(str(path))


def test_a_sync_program_runs(tmp_path: Path) -> None:
    found = run(SYNC, tmp_path)
    sizes, inner, later, place, renamed, own = found["result"]
    assert (sizes, inner, later, renamed, own) == ([11, 11], [11, 12], 3, 2, 4)
    assert place == ("outer-/a", ["checked", "twice"])
    assert len(found["attempts"]) == 3
    assert found["hooks"].count(("refuse", "Failed")) == 1
    assert ("add", "Completed") in found["hooks"]


def test_an_async_program_runs(tmp_path: Path) -> None:
    found = run(ASYNC, tmp_path)
    assert asyncio.run(found["main"]()) == ([2, 4], 2, [2, 4], 3, 10)
