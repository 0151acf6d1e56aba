"""Which earlier run a call of a flow's retry takes over."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clearway import Completed, Failed, Pending
from clearway._execution.flow.replay import Call, Earlier, Replay
from clearway._execution.flow.variants import Variants
from clearway._execution.run_key import RunKey

NAMES = st.lists(st.sampled_from("abc"), max_size=8)


def call(name: str) -> Call:
    return Call("task", None, name)


def made(
    replay: Replay, number: int, names: list[str], failing: frozenset[int] = frozenset()
) -> list[Earlier]:
    """Make calls in an attempt; return their runs."""
    replay.begin(number)
    runs = []
    for place, name in enumerate(names):
        run = replay.claim(number, place, call(name))
        if run is None:
            run = Earlier(replay.new_key("task", place).of(name), f"{number}/{place}{name}")
            replay.use(run.key)
            state = Failed() if place in failing else Completed()
            replay.ended(number, place, call(name), run, state)
        runs.append(run)
    return runs


def attempt(
    replay: Replay, number: int, names: list[str], failing: frozenset[int] = frozenset()
) -> list[str]:
    """Make calls in an attempt; return the ids of their runs."""
    return [run.run_id for run in made(replay, number, names, failing)]


@given(NAMES, st.frozensets(st.integers(0, 7)), NAMES, NAMES)
def test_runs_are_reused_for_equal_calls_once_in_each_attempt(
    first: list[str], failing: frozenset[int], second: list[str], third: list[str]
) -> None:
    replay = Replay()
    attempt(replay, 1, first, failing)
    for number, names in ((2, second), (3, third)):
        ids = attempt(replay, number, names)
        assert [run_id[-1] for run_id in ids] == names
        assert len(set(ids)) == len(ids)
    assert attempt(replay, 4, third) == ids  # all of them completed


@given(NAMES, st.frozensets(st.integers(0, 7)))
def test_calls_in_the_same_order_find_their_own(names: list[str], failing: frozenset[int]) -> None:
    replay = Replay()
    first = attempt(replay, 1, names, failing)
    second = attempt(replay, 2, names)
    for place in range(len(names)):
        assert (first[place] == second[place]) == (place not in failing)


@given(st.permutations(range(6)))
def test_calls_in_another_order_find_their_own(order: list[int]) -> None:
    replay = Replay()
    names = "abcdef"
    first = attempt(replay, 1, list(names))
    assert attempt(replay, 2, [names[place] for place in order]) == [first[place] for place in order]


@given(st.lists(NAMES, max_size=4), st.frozensets(st.integers(0, 7)))
def test_no_two_runs_have_one_name(attempts: list[list[str]], failing: frozenset[int]) -> None:
    replay = Replay()
    runs = {run for number, names in enumerate(attempts, 1) for run in made(replay, number, names, failing)}
    assert len({run.key.label for run in runs}) == len({run.run_id for run in runs}) == len(runs)


def test_a_call_that_timed_out_with_its_attempt_takes_nothing_from_the_next() -> None:
    replay = Replay()
    attempt(replay, 1, ["a"])
    replay.begin(2)
    assert replay.claim(1, 0, call("a")) is None
    assert replay.claim(2, 0, call("a")) is not None


def test_a_run_that_never_started_is_started_by_the_call_with_its_number_only() -> None:
    replay = Replay()
    replay.begin(1)
    waiting = Earlier(RunKey("task", 1), "waiting")
    replay.ended(1, 1, call(""), waiting, Pending(name="NotReady"))
    replay.begin(2)
    assert replay.claim(2, 0, call("a")) is None
    assert replay.claim(2, 1, call("a")) == waiting
    assert replay.claim(2, 1, call("a")) is None


def test_a_run_that_was_dropped_is_not_offered_again() -> None:
    replay = Replay()
    attempt(replay, 1, ["a"])
    replay.begin(2)
    claimed = replay.claim(2, 0, call("a"))
    assert claimed is not None
    replay.drop(claimed.run_id)
    replay.begin(3)
    assert replay.claim(3, 0, call("a")) is None


def test_only_tasks_with_completed_runs_that_cannot_be_compared_repeat() -> None:
    replay = Replay()
    replay.begin(1)
    replay.ended(1, 0, Call("failed", None, ""), Earlier(RunKey("failed", 0), "1"), Failed())
    replay.ended(1, 0, Call("completed", None, ""), Earlier(RunKey("completed", 0), "2"), Completed())
    replay.begin(2)
    assert not replay.repeats("failed")
    assert replay.repeats("completed")
    assert replay.claim(2, 0, Call("completed", None, "")) is None


def recursive() -> Any:
    def fall(n: int) -> int:
        return n if n == 0 else fall(n - 1)

    return fall


def holding(value: Any) -> Any:
    def get() -> Any:
        return value

    return get


def test_functions_are_compared_by_code_and_by_what_they_hold() -> None:
    variants = Variants()
    assert variants.of(holding(1)) == variants.of(holding(1))
    assert variants.of(holding(1)) != variants.of(holding(2))
    assert variants.of(holding(holding(1))) == variants.of(holding(holding(1)))
    assert variants.of(holding(holding(1))) != variants.of(holding(holding(2)))
    assert variants.of(recursive()) == variants.of(recursive())
    assert variants.of(recursive()) != variants.of(holding(1))


def test_what_cannot_be_compared_equals_itself_only() -> None:
    variants, one = Variants(), (x for x in "a")
    assert variants.of(holding(one)) == variants.of(holding(one))
    assert variants.of(holding(one)) != variants.of(holding(x for x in "a"))


def test_a_shared_variable_counts_as_it_was_first_seen() -> None:
    def make() -> Any:
        return lambda: noted

    noted = [1]
    variants = Variants()
    before = variants.of(make())
    noted.append(2)
    assert variants.of(make()) == before
