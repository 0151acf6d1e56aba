"""Flows: what calls of them return."""

from typing import assert_type

from clearway import State, flow, tags


@flow
def total(numbers: list[int], start: int = 0) -> int:
    return sum(numbers, start)


@flow(
    name="named",
    description="d",
    version="1",
    retries=2,
    retry_delay_seconds=[1.5, 3],
    retry_jitter_factor=0.5,
)
def named(word: str) -> str:
    return word


assert_type(total([1]), int)
assert_type(total([1], start=2), int)
assert_type(total([1], return_state=True), State[int])
assert_type(total([1], return_state=True).result(), int)
assert_type(total.fn([1]), int)
assert_type(total.name, str)
assert_type(named("a"), str)
assert_type(named.with_options(retries=1)("a"), str)


@flow
def parent() -> int:
    with tags("a", "b") as in_force:
        assert_type(in_force, frozenset[str])
        assert_type(named("a"), str)
    return total([1])
