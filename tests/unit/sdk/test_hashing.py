from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clearway.hashing import function_fingerprint, stable_digest, task_input_hash


def add(x: int, y: int) -> int:
    return x + y


def key(arguments: dict[str, Any], fn: Callable[..., Any] = add, task_key: str = "add-1") -> str | None:
    context: Any = SimpleNamespace(task=SimpleNamespace(name="add", task_key=task_key, fn=fn))
    return task_input_hash(context, arguments)


def test_equal_inputs_have_an_equal_key() -> None:
    assert key({"x": 1, "y": [2, {"a": None}]}) == key({"x": 1, "y": [2, {"a": None}]})


def test_the_order_of_arguments_and_of_dictionaries_does_not_matter() -> None:
    assert key({"x": {"a": 1, "b": 2}, "y": 0}) == key({"y": 0, "x": {"b": 2, "a": 1}})


@pytest.mark.parametrize(
    "other",
    [{"x": 2}, {"y": 1}, {"x": 1.0}, {"x": True}, {"x": "1"}, {"x": [1]}, {"x": (1,)}, {"x": None}, {}],
)
def test_other_inputs_have_another_key(other: dict[str, Any]) -> None:
    assert key({"x": 1}) != key(other)


def test_another_task_has_another_key() -> None:
    assert key({"x": 1}) != key({"x": 1}, task_key="other")


def test_a_key_fits_into_a_state() -> None:
    found = key({"x": "long" * 10_000})
    assert found is not None
    assert len(found) == 64


@dataclass
class Point:
    x: int


def test_what_json_cannot_hold_is_pickled() -> None:
    assert key({"x": Point(1)}) == key({"x": Point(1)})
    assert key({"x": Point(1)}) != key({"x": Point(2)})


def test_an_argument_that_nothing_can_hold_gives_no_key_and_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "clearway"):
        assert key({"x": 1, "connection": threading.Lock()}) is None
    assert "add is not cached" in caplog.text
    assert "'connection'" in caplog.text


SCRIPT = """
import sys; sys.path.insert(0, {folder!r})
from test_hashing import key, in_a_set, Point
print(key({{"x": 1, "y": {{"b": 1, "a": 2}}}}, in_a_set))
"""


def in_a_set(word: str) -> bool:
    return word in {"one", "two", "three", "four"}


def test_the_key_is_the_same_in_every_process() -> None:
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    keys = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1", "2")
    }
    assert len(keys) == 1
    assert len(keys.pop()) == 64


def from_source(tmp_path: Any, name: str, source: str) -> Callable[..., Any]:
    """Return the function ``f`` of a module that is in a file."""
    path = tmp_path / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    namespace: dict[str, Any] = {}
    exec(compile(source, str(path), "exec"), namespace)
    function: Callable[..., Any] = namespace["f"]
    return function


def test_a_changed_function_has_another_fingerprint(tmp_path: Any) -> None:
    one = from_source(tmp_path, "one", "def f(x):\n    return x + 1\n")
    two = from_source(tmp_path, "two", "def f(x):\n    return x + 2\n")
    assert function_fingerprint(one) != function_fingerprint(two)


def test_decorators_and_what_is_around_a_function_do_not_count(tmp_path: Any) -> None:
    one = from_source(tmp_path, "one", "def f(x):\n    return x\n")
    two = from_source(tmp_path, "two", "def d(g):\n    return g\n\n\n@d\n@d\ndef f(x):\n    return x\n")
    assert function_fingerprint(one) == function_fingerprint(two)


def test_a_function_without_source_has_the_fingerprint_of_its_code() -> None:
    namespace: dict[str, Any] = {}
    exec("def f(x): return x in {'a', 'b'}\ndef g(x): return x in {'a', 'c'}", namespace)
    assert function_fingerprint(namespace["f"]) == function_fingerprint(namespace["f"])
    assert function_fingerprint(namespace["f"]) != function_fingerprint(namespace["g"])


class Adder:
    def __call__(self, x: int) -> int:
        return x + 1

    def method(self, x: int) -> int:
        return x + 2


def test_all_kinds_of_callables_have_a_fingerprint() -> None:
    adder = Adder()
    prints = {
        function_fingerprint(function)
        for function in (add, functools.partial(add, 1), adder, adder.method, lambda x: x, len, int)
    }
    assert len(prints) == 6  # a partial is the function that it calls: what it binds is carried
    assert all(len(found) == 64 for found in prints)


def test_texts_side_by_side_are_not_one_text() -> None:
    assert stable_digest("a", "bc") != stable_digest("ab", "c")
    assert stable_digest("a") != stable_digest("a", "")
