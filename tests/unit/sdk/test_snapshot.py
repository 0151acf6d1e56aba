"""What a person is shown of runs that wait for their retry."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clearway._display.snapshot import Counts, Observer, Snapshot
from clearway._states.phase import Phase
from clearway.states import AwaitingRetry, State


@dataclass(eq=False)
class Resting:
    """A task run that waits for its retry, in a flow run of its own, as far as an observer looks at it."""

    state: State[Any]
    name: str = "flaky-0"
    phase: Phase = Phase.RESTING

    def state_now(self) -> State[Any]:
        return self.state

    def open_runs(self) -> list[Resting]:
        return [self]


@pytest.mark.parametrize("hours", [-3, 0, 3], ids=["behind", "alike", "ahead"])
def test_the_rest_of_a_delay_does_not_depend_on_how_clocks_are_set(
    monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    ticks, observer = 100.0, Observer()
    monkeypatch.setattr(time, "monotonic", lambda: ticks)

    def rest(run: Any) -> float:
        snapshot = Snapshot("a flow", 0.0, Counts(), waiting=Counter())
        observer.look(snapshot, [run])
        ((name, left),) = snapshot.retrying
        assert name == "flaky-0"
        return left

    entered = datetime.now(UTC) + timedelta(hours=hours)  # by the service's clock
    run = Resting(replace(AwaitingRetry(entered + timedelta(seconds=60)), timestamp=entered))
    assert rest(run) == 60
    ticks += 45
    assert rest(run) == 15
    ticks += 45
    assert rest(run) == 0
    again = entered + timedelta(seconds=91)
    run.state = replace(AwaitingRetry(again + timedelta(seconds=30)), timestamp=again)
    assert rest(run) == 30
