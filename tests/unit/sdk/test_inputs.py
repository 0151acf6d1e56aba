from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest

from clearway import Completed, Failed, State, TaskFuture
from clearway._engine.inputs import find_upstreams, replace_upstreams
from clearway._engine.run_inputs import RunInputs
from clearway.futures import Future
from clearway.states import StateDetails, StateType

Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is used too


@dataclass
class Job:
    name: str
    given: Any = None


@dataclass(frozen=True, slots=True)
class Frozen:
    given: Any
    made: int = field(init=False, default=7)


class Nothing:
    def state_now(self) -> State[Any]:
        raise AssertionError

    own_loop = waits_for = state_now


def done(value: Any, run_id: str = "id") -> TaskFuture[Any]:
    future: TaskFuture[Any] = TaskFuture(run_id, f"run-{run_id}", Nothing())  # type: ignore[arg-type]
    future.settle(Completed(value))
    return future


def result(upstream: Future[Any] | State[Any]) -> Any:
    return (upstream.current_state() if isinstance(upstream, Future) else upstream).result()


A, B = done(1, "a"), Completed(2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (A, 1),
        (B, 2),
        ([A, 3, B], [1, 3, 2]),
        ((A, B), (1, 2)),
        ({A}, {1}),
        (frozenset({A}), frozenset({1})),
        ({"a": A, "n": {"b": [B]}}, {"a": 1, "n": {"b": [2]}}),
        (Point(A, 5), Point(1, 5)),
        (Job("j", [A]), Job("j", [1])),
        (Frozen(A), Frozen(1)),
        (OrderedDict(a=A), OrderedDict(a=1)),
    ],
)
def test_results_take_the_place_of_futures_and_states(value: Any, expected: Any) -> None:
    assert find_upstreams(value)
    replaced = replace_upstreams(value, result)
    assert replaced == expected
    assert type(replaced) is type(expected)


def test_subclasses_of_containers_stay_what_they_are() -> None:
    given: defaultdict[str, Any] = defaultdict(list, a=A)
    replaced = replace_upstreams(given, result)
    assert replaced == {"a": 1}
    assert replaced["new"] == []
    assert given["a"] is A


@pytest.mark.parametrize(
    "value",
    [5, "text", [1, 2, [3]], {"a": {"b": 1}}, (1, (2,)), Job("j", [1]), object(), range(3), None, Job],
)
def test_what_holds_none_is_passed_on_as_it_is(value: Any) -> None:
    assert find_upstreams(value) == []
    assert replace_upstreams(value, result) is value


def test_only_what_holds_one_is_copied() -> None:
    untouched = [1, 2]
    given = [untouched, A]
    replaced = replace_upstreams(given, result)
    assert replaced == [[1, 2], 1]
    assert replaced[0] is untouched
    assert given[1] is A


def test_a_list_that_holds_itself_ends() -> None:
    cyclic: list[Any] = [A]
    cyclic.append(cyclic)
    assert find_upstreams(cyclic) == [A]
    assert replace_upstreams(cyclic, result)[0] == 1


def test_generators_are_not_used_up() -> None:
    numbers = (number for number in range(3))
    assert find_upstreams(numbers) == []
    assert list(numbers) == [0, 1, 2]


def test_inputs_are_recorded_by_parameter_each_run_once() -> None:
    of_run: State[Any] = State(StateType.COMPLETED, details=StateDetails(task_run_id="s"))
    inputs = RunInputs({"x": [A, A, of_run], "y": 5, "z": B}, wait_for=[A])
    recorded = {given.parameter: list(given.task_run_ids) for given in inputs.recorded()}
    assert recorded == {"x": ["a", "s"], "wait_for": ["a"]}
    assert inputs.failure() == ""
    assert inputs.resolved({"x": [A], "y": 5, "z": B}) == {"x": [1], "y": 5, "z": 2}


def test_what_did_not_complete_is_named() -> None:
    failed: TaskFuture[Any] = TaskFuture("f", "load-0", Nothing())  # type: ignore[arg-type]
    failed.settle(Failed(ValueError("bad"), message="bad news"))
    assert RunInputs({"x": [A, failed]}, None).failure() == (
        "the upstream task run 'load-0' did not complete: it is Failed('bad news')"
    )
    assert "the upstream state" in RunInputs({}, [Failed()]).failure()


def test_no_inputs_are_false() -> None:
    assert not RunInputs({"x": 1}, None)
    assert not RunInputs({}, [])
    assert RunInputs({}, A)  # one alone is as good as a list of it


def test_wait_for_must_be_something_to_go_over() -> None:
    with pytest.raises(TypeError, match="wait_for is 5"):
        RunInputs({}, 5)
