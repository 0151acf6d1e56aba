"""Tasks that are methods of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from clearway import flow, get_run_context, task, task_input_hash
from clearway.exceptions import MissingContext, ParameterBindError
from integration.sdk_runs import task_runs

pytestmark = pytest.mark.usefixtures("service")

calls: list[str] = []


@dataclass
class Shop:
    """Something whose methods are tasks."""

    name: str

    @task
    def price(self, item: str, *, count: int = 1) -> str:
        """Say what it costs."""
        return f"{self.name}: {count} {item}"

    @task
    async def order(self, item: str) -> str:
        return f"{self.name} sends {item}"

    @task(cache_key_fn=task_input_hash)
    def rating(self, year: int) -> str:
        calls.append(self.name)
        return f"{self.name} {year}"

    @task
    @staticmethod
    def double(number: int) -> int:
        return 2 * number

    @task
    @classmethod
    def named(cls, name: str) -> str:
        return f"{cls.__name__} {name}"

    @staticmethod
    @task
    def half(number: int) -> float:
        return number / 2

    def __iter__(self) -> Any:
        raise AssertionError("mapped over")


@pytest.fixture
def shop() -> Shop:
    calls.clear()
    return Shop("corner")


def test_a_method_is_called_submitted_and_mapped(shop: Shop) -> None:
    @flow
    def shopping() -> list[str]:
        mapped = [future.result() for future in shop.price.map(["milk", "tea"])]
        return [shop.price("bread", count=2), shop.price.submit("salt").result(), *mapped]

    assert shopping() == ["corner: 2 bread", "corner: 1 salt", "corner: 1 milk", "corner: 1 tea"]
    assert set(task_runs("shopping")) == {f"price-{number}" for number in range(4)}


async def test_an_async_method(shop: Shop) -> None:
    @flow
    async def shopping() -> list[str]:
        future = await shop.order.submit("tea")
        return [await shop.order("milk"), await future.result()]

    assert await shopping() == ["corner sends milk", "corner sends tea"]


def test_static_and_class_methods(shop: Shop) -> None:
    @flow
    def shopping() -> list[Any]:
        mapped = [future.result() for future in Shop.double.map([1, 2])]
        return [shop.double(2), *mapped, shop.named("a"), Shop.named.submit("b").result(), shop.half(3)]

    assert shopping() == [4, 2, 4, "Shop a", "Shop b", 1.5]


def test_the_instance_is_part_of_what_a_cache_key_is_made_of() -> None:
    calls.clear()
    one, other = Shop("key one"), Shop("key other")

    @flow
    def shopping() -> list[str]:
        return [one.rating(1), one.rating(1), other.rating(1)]

    assert shopping() == ["key one 1", "key one 1", "key other 1"]
    assert calls == ["key one", "key other"]


def test_a_method_has_its_task_s_attributes_and_options(shop: Shop) -> None:
    assert (shop.price.name, shop.price.description) == ("price", "Say what it costs.")
    assert shop.price.task_key == Shop.price.task_key
    assert shop.price.fn("tea") == "corner: 1 tea"
    louder = shop.price.with_options(name="louder", retries=2)

    @flow
    def shopping() -> str:
        return louder("tea")

    assert shopping() == "corner: 1 tea"
    (run,) = task_runs("shopping").values()
    assert (run.name, run.retries) == ("louder-0", 2)


def test_a_method_of_the_class_itself_needs_its_instance(shop: Shop) -> None:
    @flow
    def shopping() -> str:
        return Shop.price(shop, "tea")

    @flow
    def forgetting() -> str:
        return Shop.price("tea")  # type: ignore[call-arg,arg-type]

    assert shopping() == "corner: 1 tea"
    with pytest.raises(ParameterBindError, match=r"price\(self, .*missing a required argument: 'item'"):
        forgetting()


def test_a_method_outside_a_flow_says_to_use_fn(shop: Shop) -> None:
    with pytest.raises(MissingContext, match=r"price\.fn\(\.\.\.\)"):
        shop.price("tea")


def test_a_method_may_be_retried() -> None:
    class Flaky:
        @task(retries=1)
        def work(self) -> int:
            if get_run_context().run_count == 1:
                raise ConnectionError
            return 42

    @flow
    def working() -> int:
        return Flaky().work()

    assert working() == 42


def test_two_classes_may_have_methods_of_one_name() -> None:
    class One:
        @task
        def work(self) -> int:
            return 1

    class Other:
        @task
        def work(self) -> int:
            return 2

    @flow
    def working() -> list[int]:
        return [One().work(), Other().work()]

    assert working() == [1, 2]
    assert One.work.task_key != Other.work.task_key
