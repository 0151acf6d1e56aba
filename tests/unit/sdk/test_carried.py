"""What the function of a task carries is a part of its cache key, in whatever kind of callable."""

from __future__ import annotations

import functools
import logging
import operator
import pickle
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cloudpickle
import pytest

from clearway.hashing import task_input_hash


def key(fn: Callable[..., Any]) -> str | None:
    context: Any = SimpleNamespace(task=SimpleNamespace(name="work", task_key="work", fn=fn))
    return task_input_hash(context, {"x": 1})


def scaled(factor: Any, x: Any) -> Any:
    return factor * x


class Scaler:
    def __init__(self, factor: Any) -> None:
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        return self.factor * x

    def method(self, x: Any) -> Any:
        return self.factor * x

    @classmethod
    def made(cls, x: Any) -> Any:
        return cls(x)


class OtherScaler(Scaler):
    pass


def closing(factor: Any) -> Any:
    def scale(x: Any) -> Any:
        return factor * x

    return scale


def decorated(factor: Any) -> Any:
    """Return a function that a decorator with an argument of its own has wrapped."""

    def plain(x: Any) -> Any:
        return x

    @functools.wraps(plain)
    def wrapper(x: Any) -> Any:
        return factor * plain(x)

    return wrapper


def wrapped_otherwise(factor: Any) -> Any:
    def plain(x: Any) -> Any:
        return x

    @functools.wraps(plain)
    def wrapper(x: Any) -> Any:
        return factor + plain(x)

    return wrapper


def of_helper(factor: Any) -> Any:
    helper = closing(factor)

    def scale(x: Any) -> Any:
        return helper(x)

    return scale


def in_object(factor: Any) -> Any:
    scaler = Scaler(factor)

    def scale(x: Any) -> Any:
        return scaler.method(x)

    return scale


def dispatching(factor: Any) -> Any:
    @functools.singledispatch
    def scale(x: Any) -> Any:
        return x

    scale.register(int, closing(factor))
    return scale


KINDS: dict[str, Callable[[Any], Any]] = {
    "partial": lambda factor: functools.partial(scaled, factor),
    "partial of a keyword": lambda factor: functools.partial(scaled, x=factor),
    "partial of a method": lambda factor: functools.partial(Scaler(factor).method),
    "object": Scaler,
    "bound method": lambda factor: Scaler(factor).method,
    "bound class method": lambda factor: (Scaler if factor == 2 else OtherScaler).made,
    "closure": closing,
    "closure of a list": lambda factor: closing([factor]),
    "closure of an object": in_object,
    "closure of a function": of_helper,
    "decorator": decorated,
    "cached function": lambda factor: functools.lru_cache(closing(factor)),
    "singledispatch": dispatching,
    "itemgetter": operator.itemgetter,
    "bound built-in": lambda factor: str(factor).join,
    "class": lambda factor: Scaler if factor == 2 else OtherScaler,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_function_carries_counts(kind: str) -> None:
    make = KINDS[kind]
    assert key(make(2)) == key(make(2)) is not None
    assert key(make(2)) != key(make(3))


def test_the_code_of_a_wrapper_counts() -> None:
    assert key(decorated(2)) != key(wrapped_otherwise(2))


def test_the_kinds_differ() -> None:
    keys = {key(make(2)) for make in KINDS.values()}
    assert len(keys) == len(KINDS)


def test_a_function_that_notes_its_calls_has_one_key() -> None:
    calls: list[int] = []
    count = 0
    lock, event = threading.Lock(), threading.Event()
    log = logging.getLogger("tests")

    def work(x: int) -> int:
        nonlocal count
        with lock:
            calls.append(x)
            count += 1
        event.set()
        log.debug("%s", x)
        return x

    first = key(work)
    work(1)
    assert calls
    assert first == key(work) is not None


def test_a_variable_that_was_given_another_value_makes_another_key() -> None:
    factor: Any = 2

    def work(x: Any) -> Any:
        return x, factor

    keys = [key(work)]
    factor = 3
    keys.append(key(work))
    factor = [2]
    keys.append(key(work))
    factor = [3]
    keys.append(key(work))
    assert len({*keys}) == 4


def test_the_state_of_an_instance_counts_as_it_is_now() -> None:
    scaler = Scaler(2)
    before = key(scaler), key(scaler.method)
    scaler.factor = 3
    after = key(scaler), key(scaler.method)
    assert before[0] != after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    "make", [KINDS["partial"], Scaler, KINDS["bound method"], KINDS["closure of an object"]]
)
def test_there_is_no_key_if_what_is_carried_cannot_be_read(
    make: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "clearway"):
        assert key(make(number for number in range(3))) is None
    assert "work is not cached: what its function carries" in caplog.text
    assert "cannot pickle 'generator' object" in caplog.text


def test_what_was_seen_of_a_closure_does_not_travel() -> None:
    work = closing([2])
    key(work)
    copied = cloudpickle.loads(cloudpickle.dumps(work))
    assert copied(3) == [2, 2, 2]
    assert pickle.loads(pickle.dumps(work.__clearway_closure__)).__dict__ == {"_texts": {}}


def test_a_recursive_function_has_a_key() -> None:
    def factorial(x: int) -> int:
        return 1 if x < 2 else x * factorial(x - 1)

    assert key(factorial) == key(factorial) is not None
