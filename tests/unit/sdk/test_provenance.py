from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from clearway import task
from clearway._execution.inputs.provenance import Provenance
from clearway._execution.inputs.run_inputs import RunInputs


@dataclass
class Table:
    rows: int = 0


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize("result", [[1], {"a": 1}, {1}, (1, "a"), Table(), object()])
def test_an_object_that_is_passed_on_is_known_by_its_maker(result: Any) -> None:
    provenance = Provenance()
    provenance.note(result, "maker")
    assert provenance.of(result) == "maker"
    assert provenance.of([1]) == ""


@pytest.mark.parametrize(
    "result",
    [None, True, 5, 10**6, 2.5, "text" * 100, b"bytes", (), ..., int, Colour.RED, gc, frozenset()],
)
def test_what_others_may_have_too_is_not_tracked(result: Any) -> None:
    provenance = Provenance()
    provenance.note(result, "maker")
    assert provenance.of(result) == ""


def test_what_a_result_holds_directly_is_known_too() -> None:
    first, second, inner = Table(), {"a": 1}, [1]
    provenance = Provenance()
    provenance.note((first, second, [inner]), "maker")
    assert [provenance.of(one) for one in (first, second, inner)] == ["maker", "maker", ""]
    rows = [[1] for _ in range(17)]
    provenance.note(rows, "large")
    assert (provenance.of(rows), provenance.of(rows[0])) == ("large", "")


def test_the_last_maker_counts() -> None:
    provenance = Provenance()
    value: list[int] = [1]
    provenance.note(value, "first")
    provenance.note(value, "second")
    assert provenance.of(value) == "second"


def test_a_result_is_not_kept_alive() -> None:
    provenance = Provenance()
    table = Table()
    gone = weakref.ref(table)
    provenance.note(table, "maker")
    del table
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("members", [0, 1, 16])
def test_what_nobody_else_holds_is_let_go_in_a_loop(members: int) -> None:
    provenance = Provenance()
    kept: list[list[Any]] = [[0] for _ in range(40)]
    for number, value in enumerate(kept):
        provenance.note(value, str(number))
    for _ in range(200):
        result: Any = [[0] for _ in range(members)]
        provenance.note(result, "loop")
        assert provenance.of(result) == "loop"
    assert len(provenance._held) <= 40 + 3 * (members + 1)
    assert [provenance.of(value) for value in kept] == [str(number) for number in range(40)]


def test_memory_is_bounded() -> None:
    provenance = Provenance()
    held = [[number] for number in range(1_000)]
    weak = [Table(number) for number in range(11_000)]
    for value in (*held, *weak):
        provenance.note(value, "maker")
    assert len(provenance._held) <= 256
    assert len(provenance._weak) <= 10_000
    assert (provenance.of(held[-1]), provenance.of(weak[-1])) == ("maker", "maker")


def test_results_are_recorded_as_inputs_wherever_they_stand() -> None:
    provenance = Provenance()
    table, rows = Table(), [1, 2]
    provenance.note(table, "t")
    provenance.note(rows, "r")
    inputs = RunInputs({"x": {"deep": [table]}, "y": rows, "z": [3]}, [rows], provenance)
    assert {given.parameter: list(given.task_run_ids) for given in inputs.recorded()} == {
        "x": ["t"],
        "y": ["r"],
        "wait_for": ["r"],
    }
    assert not inputs.to_resolve
    assert inputs.failure() is None


def test_a_task_is_an_object_as_others() -> None:
    @task
    def work() -> None: ...

    provenance = Provenance()
    provenance.note(work, "maker")
    assert provenance.of(work) == "maker"
