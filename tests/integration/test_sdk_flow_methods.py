"""Flows that are methods of classes."""

from __future__ import annotations

import abc
import inspect
from dataclasses import dataclass
from typing import Any

import pytest

from clearway import flow, get_run_context, task
from clearway.exceptions import ParameterBindError, ParameterTypeError
from integration.sdk_runs import last_flow_run

pytestmark = pytest.mark.usefixtures("service")


@dataclass
class Store:
    """Something whose methods are flows."""

    size: int

    @flow
    def count(self, more: int = 0, *, factor: int = 1) -> int:
        """Count what there is."""
        return (self.size + more) * factor

    @flow
    async def count_async(self, more: int = 0) -> int:
        return self.size + more

    @flow(name="doubled")
    def twice(self) -> int:
        return self.double() + self.count()

    @task
    def double(self) -> int:
        return 2 * self.size

    @flow
    @classmethod
    def named(cls, name: str) -> str:
        return f"{cls.__name__} {name}"

    @flow
    @staticmethod
    def half(number: int) -> float:
        return number / 2

    @staticmethod
    @flow
    def third(number: int) -> float:
        return number / 3


class Larger(Store):
    """A class whose methods call those of the one that it is derived from."""

    @flow
    def count(self, more: int = 0, *, factor: int = 1) -> int:
        return 100 + super().count(more, factor=factor)  # type: ignore[no-any-return]


def test_a_method_is_called_with_its_instance() -> None:
    store = Store(3)
    assert store.count() == 3
    assert store.count("4", factor=2) == 14  # type: ignore[arg-type]
    state = store.count(return_state=True)
    assert (state.name, state.result()) == ("Completed", 3)
    assert last_flow_run("count").flow_name == "count"


async def test_an_async_method() -> None:
    assert await Store(3).count_async(4) == 7
    assert (await Store(3).count_async(return_state=True)).result() == 3


def test_static_and_class_methods() -> None:
    assert (Store.named("a"), Store(1).named("b"), Larger.named("c")) == ("Store a", "Store b", "Larger c")
    assert (Store.half(3), Store(1).half(3), Store.third(3), Store(1).third(6)) == (1.5, 1.5, 1.0, 2.0)


def test_a_method_calls_tasks_and_flows_of_its_instance() -> None:
    assert Store(3).twice() == 9
    assert last_flow_run("doubled").state.is_completed()


def test_methods_are_inherited_and_overridden() -> None:
    assert Larger(3).count(4, factor=2) == 114
    assert Larger(3).twice() == 6 + 103


def test_an_abstract_method() -> None:
    class Shape(abc.ABC):
        @flow
        @abc.abstractmethod
        def area(self) -> int: ...

    class Square(Shape):
        @flow
        def area(self) -> int:
            return 4

    with pytest.raises(TypeError, match="abstract"):
        Shape()  # type: ignore[abstract]
    assert Square().area() == 4


def test_a_method_of_the_class_itself_needs_its_instance() -> None:
    assert Store.count(Store(3)) == 3
    with pytest.raises(ParameterBindError, match=r"count\(self, .*missing a required argument: 'self'"):
        Store.count()  # type: ignore[call-arg]


def test_a_method_checks_its_arguments() -> None:
    with pytest.raises(ParameterTypeError, match="more='x'"):
        Store(3).count("x")  # type: ignore[arg-type]


def test_a_method_has_its_flow_s_attributes_and_options() -> None:
    store = Store(3)
    assert (store.count.name, store.count.description) == ("count", "Count what there is.")
    assert store.count.__doc__ == "Count what there is."
    assert store.count.fn(1) == 4
    assert str(inspect.signature(store.count)) == "(more: 'int' = 0, *, factor: 'int' = 1) -> 'int'"
    louder = store.count.with_options(name="louder", retries=2)
    assert (louder(), louder.retries, store.count.retries) == (3, 2, 0)
    assert last_flow_run("louder").state.is_completed()
    assert Store.named.with_options(name="other")("a") == "Store a"
    assert Store.half.with_options(name="other")(1) == 0.5


def test_a_method_is_the_same_as_itself() -> None:
    store = Store(3)
    assert store.count == store.count
    assert store.double == store.double
    assert len({store.count, store.count}) == 1
    assert store.count != Store(3).count


def test_a_hook_of_a_method() -> None:
    seen: list[Any] = []

    class Told:
        @flow
        def work(self) -> int:
            return 1

        @work.on_completion
        def tell(self, flow_run: Any, state: Any) -> None:
            seen.append((flow_run.flow_name, state.name))

    assert Told().work() == 1
    assert seen == [("work", "Completed")]


def test_a_method_may_be_retried_and_changes_its_instance() -> None:
    class Flaky:
        calls = 0

        @flow(retries=1)
        def work(self) -> int:
            self.calls += 1
            if get_run_context().run_count == 1:
                raise ConnectionError
            return self.calls

    flaky = Flaky()
    assert flaky.work() == 2
    assert flaky.calls == 2


def test_a_method_is_a_subflow() -> None:
    store = Store(3)

    @flow
    def parent() -> Any:
        return store.count(1), store.count(return_state=True)

    first, state = parent()
    assert (first, state.result()) == (4, 3)
    assert last_flow_run("count").parent_task_run_id
