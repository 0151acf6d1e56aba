"""The engine's two clocks: what a jump of the wall clock does to them, and what is logged of it."""

from __future__ import annotations

import logging

import pytest

from clearway_service.core.moment import Moment
from clearway_service.engine.clock import Clock
from support.facts import NOW, SECOND

HOUR = 3600 * SECOND


class Machine:
    """A machine whose clocks a test moves.

    Attributes:
        wall: Its wall clock.
        ticks: Its monotonic counter.
        asleep: How long it has slept, which the counter leaves out.
    """

    def __init__(self) -> None:
        self.wall, self.ticks, self.asleep = NOW, 5 * SECOND, 0
        self.clock = Clock(lambda: self.wall, lambda: self.ticks, "boot", lambda: self.ticks + self.asleep)

    def run(self, microseconds: int, rate: float = 1.0) -> None:
        """Let time pass, with a wall clock that runs at a rate of its own."""
        self.ticks += microseconds
        self.wall += round(microseconds * rate)

    def sleep(self, microseconds: int) -> None:
        """Suspend the machine."""
        self.asleep += microseconds
        self.wall += microseconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("jump", [3 * HOUR, -3 * HOUR], ids=["forward", "back"])
def test_the_wall_clock_follows_a_jump_and_the_steady_clock_does_not(machine: Machine, jump: int) -> None:
    machine.clock.anchor = 100 * SECOND
    before = machine.clock.read()
    machine.run(2 * SECOND)
    machine.wall += jump
    assert machine.clock.read() == Moment(NOW + 2 * SECOND + jump, before.steady + 2 * SECOND)
    assert machine.clock() == NOW + 2 * SECOND + jump
    assert machine.clock.read().wall_time(before.steady) == machine.wall - 2 * SECOND


def test_times_of_the_wall_clock_differ_by_the_time_that_passed(machine: Machine) -> None:
    first = machine.clock.read()
    for number in range(1, 100):
        machine.run(SECOND)
        machine.wall += (-1) ** number * 300  # the two clocks are not read at the same moment
        read = machine.clock.read()
        assert read.now - first.now == read.steady - first.steady
        assert abs(read.now - machine.wall) <= 1_000
    machine.run(SECOND, 1.01)
    assert machine.clock() == machine.wall


@pytest.mark.parametrize(
    ("jump", "said"),
    [
        (3 * HOUR, "forward by 10800.0 s"),
        (-3 * HOUR, "back by 10800.0 s"),
        (1_200_000, "forward by 1.2 s"),
        (-1_200_000, "back by 1.2 s"),
    ],
)
def test_a_jump_of_more_than_a_second_is_said_once(
    machine: Machine, caplog: pytest.LogCaptureFixture, jump: int, said: str
) -> None:
    for _ in range(3):
        machine.run(SECOND)
        machine.clock.notice()
    machine.wall += jump
    for _ in range(5):
        machine.run(SECOND)
        machine.clock.notice()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"the wall clock jumped {said}" in record.getMessage()


@pytest.mark.parametrize("rate", [1.0001, 0.9999, 1.0005], ids=["100 ppm", "-100 ppm", "500 ppm"])
@pytest.mark.parametrize("looks", [1, 10, 600], ids=["each second", "each 10 s", "each 10 minutes"])
def test_a_clock_that_drifts_is_nothing_to_speak_of(
    machine: Machine, caplog: pytest.LogCaptureFixture, rate: float, looks: int
) -> None:
    for _ in range(24 * 3600 // looks):
        machine.run(looks * SECOND, rate)
        machine.clock.notice()
    assert abs(machine.wall - machine.ticks - (NOW - 5 * SECOND)) > 8 * SECOND
    assert caplog.records == []


def test_a_machine_that_slept_has_a_wall_clock_that_did_not_jump(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    before = machine.clock.steady()
    machine.run(SECOND)
    machine.sleep(8 * HOUR)
    machine.run(SECOND)
    machine.clock.notice()
    assert caplog.records == []
    assert machine.clock.steady() - before == 2 * SECOND, "what holds a lease slept too"


def test_a_thread_that_was_put_aside_between_two_looks_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ticks, stall = 0, 0

    def wall() -> int:
        nonlocal ticks
        seen = NOW + ticks
        ticks += stall
        return seen

    clock = Clock(wall, lambda: ticks)
    ticks, stall = 5 * SECOND, 20 * SECOND
    clock.notice()
    stall = 0
    clock.notice()
    assert caplog.records == []


def test_a_clock_that_a_test_moves_is_both(caplog: pytest.LogCaptureFixture) -> None:
    now = NOW
    clock = Clock.moved_by(lambda: now)
    assert clock.read() == Moment(NOW, NOW)
    now += 24 * HOUR
    clock.notice()
    assert clock.read() == Moment(now, now)
    assert caplog.records == []


def test_the_steady_clock_of_the_machine_runs_with_its_wall_clock() -> None:
    clock = Clock.of_machine()
    first, second = clock.read(), clock.read()
    assert second.steady >= first.steady
    assert clock.timeline
