from __future__ import annotations

import sys
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from clearway._execution.admission import Gate


class Run:
    """A run that counts the permits that it was given."""

    def __init__(self, *tags: str, then: Callable[[], None] | None = None) -> None:
        self.tags = frozenset(tags)
        self.permits = 0
        self._then = then

    def go_on(self) -> None:
        self.permits += 1
        if self._then is not None:
            self._then()


def test_a_gate_lets_in_as_many_as_it_has_permits_and_the_rest_in_order() -> None:
    gate = Gate(2)
    runs = [Run() for _ in range(4)]
    assert [gate.enter(run) for run in runs] == [True, True, False, False]
    gate.leave()
    assert [run.permits for run in runs] == [0, 0, 1, 0]
    gate.leave()
    assert [run.permits for run in runs] == [0, 0, 1, 1]


def test_a_run_that_waits_at_the_service_lets_another_start() -> None:
    gate = Gate(1)
    waits, other = Run("full"), Run()
    assert gate.enter(waits)
    assert not gate.enter(other)
    gate.wait_at_service(waits)
    assert other.permits == 1


def test_a_granted_run_goes_on_above_the_number_of_permits() -> None:
    gate = Gate(1)
    waits, second, third = Run("full"), Run(), Run()
    gate.enter(waits)
    gate.wait_at_service(waits)
    assert gate.enter(second)
    gate.granted(waits, keep=True)
    assert not gate.enter(third)
    gate.leave()
    assert third.permits == 0
    gate.leave()
    assert third.permits == 1


def test_of_the_runs_with_the_same_tags_only_so_many_wait_at_the_service() -> None:
    gate = Gate(2)
    tagged = [Run("full") for _ in range(5)]
    proposed = []
    for run in tagged:
        if gate.enter(run):
            proposed.append(run)
            gate.wait_at_service(run)
    assert len(proposed) == 2
    other = Run("free")
    assert gate.enter(other) or other.permits == 1
    gate.granted(proposed[0], keep=True)
    gate.leave()
    assert sum(run.permits for run in tagged) == 1


def test_one_that_was_held_back_follows_each_that_goes_on() -> None:
    gate = Gate(3)
    runs = [Run("full") for _ in range(12)]
    asked = [run for run in runs if gate.enter(run)]
    for run in asked:  # each answer lets another ask, before it is known that that one waits too
        gate.wait_at_service(run)
    asked += [run for run in runs if run.permits]
    for run in asked[3:]:
        gate.wait_at_service(run)
    assert len(asked) == 5
    let_in = []
    for run in asked:
        gate.granted(run, keep=False)
        let_in.append(sum(run.permits for run in runs) - 2)
    assert let_in == [0, 0, 1, 2, 3]


def test_runs_that_were_held_back_go_on_when_those_before_them_need_not_wait() -> None:
    gate = Gate(1)
    runs = [Run("t") for _ in range(4)]
    assert gate.enter(runs[0])
    gate.wait_at_service(runs[0])
    assert not any(gate.enter(run) for run in runs[1:])
    gate.granted(runs[0], keep=True)  # the limit was lifted: from now on nobody waits
    for _ in runs:
        gate.leave()
    assert [run.permits for run in runs[1:]] == [1, 1, 1]


def test_letting_in_very_many_in_a_row_does_not_recurse() -> None:
    gate = Gate(1)
    assert gate.enter(Run())
    runs = [Run(then=gate.leave) for _ in range(sys.getrecursionlimit() * 2)]
    for run in runs:
        gate.enter(run)
    gate.leave()
    assert all(run.permits == 1 for run in runs)


def test_a_closed_gate_lets_nobody_in() -> None:
    gate = Gate(1)
    first, second = Run(), Run()
    gate.enter(first)
    gate.enter(second)
    gate.close()
    gate.leave()
    assert second.permits == 0
    assert not gate.enter(Run())


class World:
    """Runs that work, wait at the service, and end, in any order."""

    def __init__(self, capacity: int, tags: list[str]) -> None:
        self.gate = Gate(capacity)
        self.runs = [Run(*filter(None, [tag])) for tag in tags]
        self.working: list[Run] = []
        self.waiting: list[Run] = []
        self._seen: set[Run] = set()
        for run in self.runs:
            if self.gate.enter(run):
                run.permits += 1
            self._look()

    def _look(self) -> None:
        for run in self.runs:
            if run.permits and run not in self._seen:
                self._seen.add(run)
                self.working.append(run)

    def grant(self, choice: int) -> None:
        """Let one that waits go on."""
        run = self.waiting.pop(choice % len(self.waiting))
        self.working.append(run)
        self.gate.granted(run, keep=True)
        self._look()

    def end(self, choice: int) -> None:
        """Let one that works end."""
        self.working.pop(choice % len(self.working))
        self.gate.leave()
        self._look()

    def wait(self, choice: int) -> None:
        """Let one that works be told to wait."""
        run = self.working.pop(choice % len(self.working))
        self.waiting.append(run)
        self.gate.wait_at_service(run)
        self._look()


@given(
    capacity=st.integers(1, 4),
    tags=st.lists(st.sampled_from(["", "a", "b"]), max_size=30),
    choices=st.lists(st.tuples(st.sampled_from("gew"), st.integers(0, 1_000)), max_size=200),
)
def test_nobody_is_forgotten_and_nobody_is_let_in_twice(
    capacity: int, tags: list[str], choices: list[tuple[str, int]]
) -> None:
    world = World(capacity, tags)
    for kind, choice in choices:
        if kind == "g" and world.waiting:
            world.grant(choice)
        elif kind == "w" and world.working:
            world.wait(choice)
        elif world.working:
            world.end(choice)
    while world.waiting or world.working:
        if world.waiting:
            world.grant(0)
        else:
            world.end(0)
    assert [run.permits for run in world.runs] == [1] * len(world.runs)
