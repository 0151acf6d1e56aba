"""States, and the client."""

from typing import assert_type

from clearway import Completed, Failed, State, get_client
from clearway.schemas import ConcurrencyLimit, FlowRun, TaskRun


def read(state: State[int]) -> None:
    assert_type(state.result(), int)
    assert_type(state.result(raise_on_failure=True), int)
    assert_type(state.result(raise_on_failure=False), int | BaseException)
    assert_type(state.is_completed(), bool)
    assert_type(state.name, str)


assert_type(Completed(), State[None])
assert_type(Completed(3), State[int])
assert_type(Completed(data="a", message="done"), State[str])
assert_type(Failed(message="no").is_failed(), bool)


def ask() -> None:
    with get_client() as client:
        assert_type(client.create_concurrency_limit(tag="database", concurrency_limit=10), str)
        assert_type(client.read_concurrency_limit_by_tag("database"), ConcurrencyLimit)
        assert_type(client.read_flow_runs(limit=3), list[FlowRun])


async def ask_async() -> None:
    async with get_client() as client:
        assert_type(await client.create_concurrency_limit(tag="database", concurrency_limit=10), str)
        assert_type(await client.read_concurrency_limits(), list[ConcurrencyLimit])
        assert_type(await client.read_task_runs(limit=None), list[TaskRun])
