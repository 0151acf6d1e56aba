from __future__ import annotations

import threading

import pytest

from clearway._execution.task.lifecycle import Lifecycle, RunInterrupted
from clearway._states.phase import Phase
from clearway.states import AwaitingRetry, Cancelled, Completed


def test_a_run_that_has_ended_goes_no_further() -> None:
    life = Lifecycle(threading.Lock())
    life.move(Phase.PROPOSED)
    assert life.finish(Cancelled()) is Phase.PROPOSED
    for phase in Phase:
        with pytest.raises(RunInterrupted):
            life.move(phase)
    with pytest.raises(RunInterrupted):
        life.begin_code()
    with pytest.raises(RunInterrupted):
        life.rest(AwaitingRetry())
    assert (life.phase, life.run_count) == (Phase.ENDED, 0)


def test_the_first_end_counts() -> None:
    life = Lifecycle(threading.Lock())
    first = Completed(1)
    assert life.end is None
    assert life.finish(first) is Phase.NEW
    assert life.finish(Cancelled()) is Phase.ENDED
    assert life.end is first


def test_of_threads_that_end_a_run_at_once_one_does() -> None:
    life = Lifecycle(threading.Lock())
    barrier = threading.Barrier(8)
    before: list[Phase] = []

    def end() -> None:
        barrier.wait()
        before.append(life.finish(Cancelled()))

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(phase.name for phase in before) == ["ENDED"] * 7 + ["NEW"]


def test_a_run_rests_until_its_code_begins_again() -> None:
    life = Lifecycle(threading.Lock())
    later = AwaitingRetry()
    life.begin_code()
    assert life.code_began
    life.rest(later)
    assert life.resting_in is later
    assert not life.code_began
    life.begin_code()
    assert life.resting_in is None
    assert life.run_count == 2
