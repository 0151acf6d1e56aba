from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from clearway import Completed, Failed, Pending, State, TaskFuture, allow_failure, quote, unmapped
from clearway._execution.inputs.found import Found, replace_upstreams
from clearway._execution.inputs.run_inputs import RunInputs
from clearway.exceptions import UpstreamTaskError
from clearway.futures import Future
from clearway.results import StoredResult
from clearway.run_errors import RunError, RunErrorKind
from clearway.states import StateDetails, StateType
from clearway.v1.state_pb2 import Data

Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is used too


@dataclass
class Job:
    name: str
    given: Any = None


@dataclass(frozen=True, slots=True)
class Frozen:
    given: Any
    made: int = field(init=False, default=7)


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True, extra="allow")

    name: str
    given: Any = None


class Nothing:
    def state_now(self) -> State[Any]:
        raise AssertionError

    own_loop = held_up_on = waits_for = state_now


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
        ({A: "one", "two": B}, {1: "one", "two": 2}),
        ({(A, "k"): [B]}, {(1, "k"): [2]}),
        (Model(name="m", given=[A]), Model(name="m", given=[1])),
        (Model(name="m", more=A), Model(name="m", more=1)),
        (Model.model_construct(name=A), Model.model_construct(name=1)),
    ],
)
def test_results_take_the_place_of_futures_and_states(value: Any, expected: Any) -> None:
    assert Found(value).upstreams
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
    [5, "text", [1, 2, [3]], {"a": {"b": 1}}, (1, (2,)), Job("j", [1]), Model(name="m"), object(), None, Job],
)
def test_what_holds_none_is_passed_on_as_it_is(value: Any) -> None:
    assert not Found(value)
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
    assert Found(cyclic).upstreams == [A]
    assert replace_upstreams(cyclic, result)[0] == 1


def test_the_order_of_a_dictionary_stays_when_a_key_is_replaced() -> None:
    assert list(replace_upstreams({"a": 1, A: 2, "b": 3}, result)) == ["a", 1, "b"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (allow_failure(A), 1),
        ([allow_failure([A]), B], [[1], 2]),
        (unmapped(A), 1),
        (quote(A), A),
        (quote([A]), [A]),
        ({"a": quote(A), "b": B}, {"a": A, "b": 2}),
        (allow_failure(quote(A)), A),
        (quote(5), 5),
    ],
)
def test_annotations_are_taken_off(value: Any, expected: Any) -> None:
    assert Found(value).annotated
    assert replace_upstreams(value, result) == expected


def test_annotations_of_what_is_returned_are_left_alone() -> None:
    value = [quote(A), A]
    assert replace_upstreams(value, result, unwrap=False) == [quote(A), 1]


def test_what_is_quoted_is_not_looked_at() -> None:
    given = [A]
    quoted = quote([given])
    assert Found(quoted).upstreams == []
    assert replace_upstreams(quoted, result)[0] is given
    assert quoted.unquote() is quoted.unwrap()


@pytest.mark.parametrize("state", [Failed(ValueError("bad")), Failed(message="bad")])
def test_what_may_have_failed_is_no_failure_and_gives_its_exception(state: State[Any]) -> None:
    inputs = RunInputs({"x": [allow_failure(state), A]}, [allow_failure(state)])
    assert inputs.failure() is None
    (exception, value) = inputs.resolved({"x": [allow_failure(state), A]})["x"]
    assert (type(exception), str(exception), value) == (
        type(state.result(raise_on_failure=False)),
        "bad",
        1,
    )


def failure_of(parameters: dict[str, Any]) -> RunError:
    failure = RunInputs(parameters, None).failure()
    assert failure is not None
    return failure


def not_ready(why: RunError, name: str = "NotReady") -> State[Any]:
    """Return the state of a run that did not start, as the process has it that was to run it."""
    error = UpstreamTaskError(f"the task run did not start: {why.message}")
    error.error = why
    return Pending(name=name, message=why.message).with_data(error)


def read_elsewhere(why: RunError) -> State[Any]:
    """Return the same state as other processes have it from the service."""
    return Pending(name="NotReady", message=why.message).with_data(
        StoredResult.from_proto(Data(error=why.to_proto()))
    )


def test_only_what_failed_may_have_failed() -> None:
    crashed: State[Any] = State(StateType.CRASHED)
    for not_failed in (crashed, Pending(name="NotReady")):
        assert RunInputs({"x": allow_failure(not_failed)}, None).failure()
    failed = Failed()
    assert RunInputs({"x": [allow_failure(failed), failed]}, None).failure()
    assert RunInputs({"x": allow_failure(failed), "y": failed}, None).failure()


def test_generators_are_not_used_up() -> None:
    numbers = (number for number in range(3))
    assert not Found(numbers)
    assert list(numbers) == [0, 1, 2]


def test_inputs_are_recorded_by_parameter_each_run_once() -> None:
    of_run: State[Any] = State(StateType.COMPLETED, details=StateDetails(task_run_id="s"))
    inputs = RunInputs({"x": [A, A, of_run], "y": 5, "z": B}, wait_for=[A])
    recorded = {given.parameter: list(given.task_run_ids) for given in inputs.recorded()}
    assert recorded == {"x": ["a", "s"], "wait_for": ["a"]}
    assert inputs.failure() is None
    assert inputs.resolved({"x": [A], "y": 5, "z": B}) == {"x": [1], "y": 5, "z": 2}


def test_what_did_not_complete_is_named() -> None:
    failed: TaskFuture[Any] = TaskFuture("f", "load-0", Nothing())  # type: ignore[arg-type]
    failed.settle(Failed(ValueError("bad"), message="bad news"))
    failure = failure_of({"x": [A, failed]})
    assert failure.message == "the upstream task run 'load-0' did not complete: it is Failed('bad news')"
    assert (failure.type, failure.kind) == ("clearway.exceptions.UpstreamTaskError", RunErrorKind.UPSTREAM)
    assert failure.cause is not None
    assert (failure.cause.title, failure.cause.kind) == ("ValueError: bad", RunErrorKind.APPLICATION)
    in_wait_for = RunInputs({}, [Failed()]).failure()
    assert in_wait_for is not None
    assert "the upstream state" in in_wait_for.message


def test_of_runs_that_were_not_ready_the_first_that_failed_is_named() -> None:
    upstream: TaskFuture[Any] = TaskFuture("f", "load-0", Nothing())  # type: ignore[arg-type]
    upstream.settle(Failed(KeyError("k"), message="it's bad"))
    for number in range(40):
        why = failure_of({"x": upstream})
        upstream = TaskFuture("f", f"next-{number}", Nothing())  # type: ignore[arg-type]
        upstream.settle(not_ready(why) if number % 2 else read_elsewhere(why))
    failure = failure_of({"x": upstream})
    assert failure.message == (
        "the upstream task run 'next-39' did not complete: it is NotReady, since "
        "the upstream task run 'load-0' did not complete: it is Failed(\"it's bad\")"
    )
    assert failure.cause is not None
    assert failure.cause.message == (
        "the upstream task run 'load-0' did not complete: it is Failed(\"it's bad\")"
    )
    assert failure.cause.cause is not None
    assert failure.cause.cause.title == "KeyError: 'k'"
    assert failure.cause.cause.cause is None


def test_why_a_run_is_not_ready_is_read_from_its_error_and_not_from_its_name_or_message() -> None:
    said = Pending(
        name="NotReady",
        message="the upstream task run 'x' did not complete: it is NotReady, since that is what it says",
    )
    assert failure_of({"x": said}).message == f"the upstream state did not complete: it is {said}"
    renamed = not_ready(failure_of({"x": Failed(message="bad")}), name="Another")
    assert failure_of({"x": renamed}).message == (
        "the upstream state did not complete: it is NotReady, since "
        "the upstream state did not complete: it is Failed('bad')"
    )


def test_the_error_of_a_run_that_is_not_ready_is_small() -> None:
    huge = ExceptionGroup("g" * 5_000, [ValueError("x" * 5_000)] * 16)
    huge.__cause__ = KeyError("k" * 5_000)
    for failure in (
        one := failure_of({"x": Failed(huge, message="m" * 10_000)}),
        failure_of({"x": not_ready(one)}),
    ):
        assert failure.to_proto().ByteSize() < 4_000


def test_a_run_that_is_not_ready_raises_alike_wherever_it_is_read() -> None:
    why = failure_of({"x": Failed(message="bad")})
    for state in (not_ready(why), read_elsewhere(why)):
        with pytest.raises(UpstreamTaskError, match=r"did not start: .* it is Failed\('bad'\)") as caught:
            state.result()
        assert caught.value.error == state.error == why


def test_no_inputs_are_false() -> None:
    assert not RunInputs({"x": 1}, None)
    assert not RunInputs({}, [])
    assert RunInputs({}, A)  # one alone is as good as a list of it


def test_wait_for_must_be_something_to_go_over() -> None:
    with pytest.raises(TypeError, match="wait_for is 5"):
        RunInputs({}, 5)
