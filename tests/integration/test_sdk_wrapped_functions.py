"""Functions behind decorators, and callables that are no functions: how their arguments reach them."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from clearway import ProcessPoolTaskRunner, flow, get_run_context, task, unmapped
from clearway.exceptions import ParameterBindError
from integration.sdk_runs import task_runs

pytestmark = pytest.mark.usefixtures("service")

Call = Callable[..., Any]


def renamed(fn: Call) -> Call:
    """Wrap a function in one with a parameter of another name."""

    @functools.wraps(fn)
    def wrapper(value: Any) -> Any:
        return fn(value)

    return wrapper


def renamed_async(fn: Call) -> Call:
    @functools.wraps(fn)
    async def wrapper(value: Any) -> Any:
        return await fn(value)

    return wrapper


def seeing(fn: Call) -> Call:
    """Wrap a function in one that tells how it was called."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs, fn(*args, **kwargs)

    return wrapper


class Seeing:
    """A decorator that is a class."""

    def __init__(self, fn: Call) -> None:
        functools.update_wrapper(self, fn)
        self._fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs, self._fn(*args, **kwargs)


@renamed
def load(path: str, mode: str = "r") -> str:
    return f"{path} {mode}"


@renamed_async
async def load_async(path: str, mode: str = "r") -> str:
    return f"{path} {mode}"


def every_kind(a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> tuple[Any, ...]:
    return a, b, rest, c, more


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, 5), {}),
    ((1,), {"b": 5}),
    ((), {"b": 5, "a": 1}),
    ((1, 5, 6, 7), {"c": 8, "z": 9}),
    ((1,), {"c": 8, "z": 9}),
]


def called(way: str, made: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a task, submit it, or map it over lists of one."""
    if way == "called":
        return made(*args, **kwargs)
    if way == "submitted":
        return made.submit(*args, **kwargs).result()
    mapped = {name: [value] for name, value in kwargs.items()}
    return made.map(*([arg] for arg in args), **mapped)[0].result()


WAYS = ["called", "submitted", "mapped"]


@pytest.mark.parametrize("way", WAYS)
def test_a_decorator_with_other_names_is_given_what_is_given_by_position(way: str) -> None:
    @flow
    def loading() -> Any:
        return called(way, task(load), "abc")

    assert loading() == "abc r"
    assert list(task_runs("loading")) == ["load-0"]


def test_a_decorator_with_other_names_is_given_by_position_what_the_caller_names() -> None:
    @flow
    def loading() -> Any:
        return task(load)(path="abc"), task(load).submit(path="d").result()

    assert loading() == ("abc r", "d r")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("decorator", [seeing, Seeing, functools.partial])
@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_a_decorator_sees_the_call_as_it_was_made(
    way: str, decorator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    see = decorator(every_kind)

    @flow
    def seen() -> Any:
        return called(way, task(see, name="see"), *args, **kwargs)

    assert seen() == see(*args, **kwargs)


def test_futures_take_the_place_of_arguments_behind_a_decorator() -> None:
    @task
    def one() -> int:
        return 1

    @flow
    def seen() -> Any:
        see = task(seeing(every_kind))
        return see(one.submit(), b=one.submit()), see.map([one.submit()], unmapped([2]))[0].result()

    assert seen() == (seeing(every_kind)(1, b=1), seeing(every_kind)(1, [2]))


def test_defaults_are_among_the_parameters_of_a_run_though_the_call_leaves_them_out() -> None:
    @task
    @seeing
    def see(a: int, b: int = 2) -> Any:  # noqa: ARG001 - its parameters are looked at
        return dict(get_run_context().parameters)

    @flow
    def seen() -> Any:
        return see(1)

    assert seen() == ((1,), {}, {"a": 1, "b": 2})


async def test_async_functions_behind_a_decorator() -> None:
    made = task(load_async)

    @flow
    async def loading() -> Any:
        future = await made.submit("b")
        mapped = await made.map(["c"])
        return await made("a"), await future.result(), await mapped[0].result()

    assert await loading() == ("a r", "b r", "c r")
    assert await flow(load_async)("d") == "d r"


def test_a_retry_is_called_as_the_first_time() -> None:
    @task(retries=1)
    @seeing
    def work(a: int, b: int = 2) -> int:
        if get_run_context().run_count == 1:
            raise ValueError(a)
        return a + b

    @flow(retries=1)
    @seeing
    def working(a: int, b: int = 2) -> Any:
        if get_run_context().run_count == 1:
            raise ValueError(a)
        return work(a), b

    assert working(1) == ((1,), {}, (((1,), {}, 3), 2))


def test_a_flow_and_its_subflows_are_called_as_tasks_are() -> None:
    @flow
    @seeing
    def child(a: int, *rest: int, b: int = 2) -> Any:
        return a, rest, b

    @flow
    @renamed
    def parent(path: str) -> Any:
        return path, child("1", 2), child(a=1)

    assert parent("a") == ("a", ((1, 2), {}, (1, (2,), 2)), ((), {"a": 1}, (1, (), 2)))
    assert parent(path="b")[0] == "b"


def test_what_does_not_fit_is_said_before_the_run() -> None:
    @task
    @seeing
    def narrow(path: str) -> str:
        return path

    @flow
    def calling() -> Any:
        return narrow(1, 2, 3)

    with pytest.raises(ParameterBindError, match=r"narrow.*too many positional arguments"):
        calling()


def test_a_decorator_that_adds_an_argument_says_what_it_takes() -> None:
    def connected(fn: Call) -> Call:
        @functools.wraps(fn)
        def wrapper(*args: Any) -> Any:
            return fn("connection", *args)

        return wrapper

    def query(connection: str, sql: str) -> str:
        return f"{connection}: {sql}"

    silent, telling = connected(query), connected(query)
    telling.__signature__ = inspect.signature(lambda sql: sql)  # type: ignore[attr-defined]

    @flow
    def querying(fn: Any) -> Any:
        return called("called", task(fn), "select"), called("mapped", task(fn), "select")

    assert querying(telling) == ("connection: select", "connection: select")
    expected = r"missing .*'sql'; if a decorator .* set the wrapper's __signature__"
    with pytest.raises(ParameterBindError, match=expected):
        querying(silent)


@functools.singledispatch
def kind(value: object) -> str:  # noqa: ARG001 - only its class counts
    return "object"


@kind.register
def _(value: int) -> str:  # noqa: ARG001 - as above
    return "int"


@functools.lru_cache
def cached(value: int) -> int:
    return value


@pytest.mark.parametrize("way", WAYS)
def test_a_function_that_dispatches_on_its_first_argument(way: str) -> None:
    made = task(kind)

    @flow
    def dispatching() -> Any:
        return called(way, made, 1), called(way, made, "a")

    assert dispatching() == ("int", "object")
    assert made.dispatch(int)(1) == "int"  # type: ignore[attr-defined]


def test_a_function_with_a_cache_has_one_entry_for_one_call() -> None:
    cached.cache_clear()

    @flow
    def caching() -> Any:
        return cached(5), task(cached)(5)

    assert caching() == (5, 5)
    assert cached.cache_info().hits == 1


def test_worker_processes_call_as_this_one() -> None:
    tasks = [task(load), task(seeing(every_kind)), task(kind), task(load_async), task(int)]

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def working() -> Any:
        args: list[Any] = ["abc", 1, 2, "d", "7"]
        return [made.submit(arg).result() for made, arg in zip(tasks, args, strict=True)]

    assert working() == ["abc r", seeing(every_kind)(1), "int", "d r", 7]


class Scale:
    """An object that can be called."""

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.submit = "an attribute of its own"

    def __call__(self, x: int, y: int = 1) -> int:
        return self.factor * x + y


@dataclass
class Row:
    """A class with parts that tasks have too."""

    name: str
    tags: int = 3

    def map(self) -> str:
        return self.name


ANY_CALLABLE: list[tuple[Any, tuple[Any, ...], Any]] = [
    (int, ("5",), 5),
    (int, ("ff", 16), 255),
    (dict, ([("a", 1)],), {"a": 1}),
    (operator.itemgetter(0), ([7, 8],), 7),
    (operator.attrgetter("real"), (2,), 2),
    (operator.methodcaller("upper"), ("a",), "A"),
    (max, (1, 2), 2),
    (len, ("abc",), 3),
    (str.upper, ("a",), "A"),
    ("-".join, (["a", "b"],), "a-b"),
    (Scale(3), (2,), 7),
    (functools.partial(Scale(3), y=5), (2,), 11),
    (functools.partial(every_kind, 1, c=4), (5,), (1, 5, (), 4, {})),
    (Row, ("a",), Row("a", 3)),
]


@pytest.mark.parametrize(("fn", "args", "expected"), ANY_CALLABLE)
@pytest.mark.parametrize("way", WAYS)
def test_any_callable_makes_a_task(way: str, fn: Any, args: tuple[Any, ...], expected: Any) -> None:
    made = task(fn)

    @flow
    def calling() -> Any:
        return called(way, made, *args)

    assert calling() == expected
    assert made.name == getattr(fn, "__name__", type(fn).__name__)
    assert made.with_options(name="other").fn is fn


@pytest.mark.parametrize(("fn", "args", "expected"), ANY_CALLABLE)
def test_any_callable_makes_a_flow(fn: Any, args: tuple[Any, ...], expected: Any) -> None:
    assert flow(fn)(*args) == expected


def test_a_class_whose_instances_are_called_by_async_code_is_not_async_itself() -> None:
    class Waits:
        def __init__(self, n: int) -> None:
            self.n = n

        async def __call__(self) -> int:
            return self.n

    @flow
    def calling() -> Any:
        return task(Waits)(3).n, task(Waits(4))(), task(functools.partial(Waits(5)), name="partial")()

    assert calling() == (3, 4, 5)
