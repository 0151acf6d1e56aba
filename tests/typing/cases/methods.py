"""Flows as methods, and parameters of any name."""

from typing import Any, assert_type

from clearway import State, Task, flow, task


class Store:
    size = 3

    @flow
    def count(self, more: int = 0) -> int:
        return self.size + more

    @flow(retries=1)
    async def count_async(self, more: int) -> int:
        return self.size + more

    @staticmethod
    @flow
    def half(number: int) -> float:
        return number / 2


class Larger(Store):
    @flow  # pyright takes the ParamSpec of a method, with its self, for invariant, as for any class with one
    def count(self, more: int = 0) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        assert_type(super().count(more), int)
        return super().count(more) + 1


def called(store: Store) -> None:
    assert_type(store.count(), int)
    assert_type(store.count(1), int)
    assert_type(store.count(return_state=True), State[int])
    assert_type(store.count.with_options(retries=2)(1), int)
    assert_type(Store.count(store, 1), int)
    assert_type(Store.half(3), float)
    assert_type(Larger().count(), int)
    store.count("a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def called_async(store: Store) -> None:
    assert_type(await store.count_async(1), int)


@task
def selfish(self: int, cls: int, name: str = "") -> int:
    return self + cls + len(name)


@flow
def selfish_flow(self: int, function: int = 0) -> int:
    assert_type(selfish(self=self, cls=1, name="a"), int)
    assert_type(selfish.submit(self=self, cls=1).result(), int)
    return function


assert_type(selfish_flow(self=1, function=2), int)
selfish_flow(cls=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def given_directly(number: int) -> int:
    return number


assert_type(task(given_directly, retries=2).fn(1), int)
assert_type(flow(given_directly, retries=2)(1), int)


def any_task(made: Task[..., Any]) -> None:
    made.with_options(retries=1, cache_expiration=None, on_failure=[print])
    made.with_options(retries="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
