"""Limits of log lines, by a clock that stands still."""

from __future__ import annotations

from clearway_service.logs.line_limits import LineLimiter


class Clock:
    """Monotonic seconds that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_line_of_a_kind_is_written_and_the_next_one_says_how_many_were_not() -> None:
    clock = Clock()
    limiter = LineLimiter(10.0, clock)
    assert limiter.admit("a") == 0
    assert [limiter.admit("a") for _ in range(7)] == [None] * 7
    clock.now += 9.9
    assert limiter.admit("a") is None
    clock.now += 0.1
    assert limiter.admit("a") == 8
    clock.now += 10
    assert limiter.admit("a") == 0


def test_kinds_do_not_limit_each_other() -> None:
    limiter = LineLimiter(10.0, Clock())
    assert [limiter.admit(kind) for kind in ("a", "b", "a", ("a", 1))] == [0, 0, None, 0]


def test_what_no_later_line_told_of_is_told_once() -> None:
    limiter = LineLimiter(10.0, Clock())
    for kind in "aabbb":
        limiter.admit(kind)
    assert (limiter.left_out(), limiter.left_out()) == (3, 0)


def test_very_many_kinds_are_not_all_remembered() -> None:
    limiter = LineLimiter(10.0, Clock())
    for kind in range(5_000):
        assert limiter.admit(kind) == 0
    assert len(limiter._kinds) < 2_000
    assert limiter.admit(4_999) is None
