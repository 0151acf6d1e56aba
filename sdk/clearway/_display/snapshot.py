"""What a person wants to know about the running flows at one moment."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from clearway._states.phase import Phase
from clearway._transport.outage import current_outage

if TYPE_CHECKING:
    from clearway._display.subjects import DrawnAttempt, DrawnTaskRun
    from clearway.states import State

    # A run, and when it entered the state in which it waits for its scheduled time; None while it runs.
    Observed: TypeAlias = tuple[DrawnTaskRun, datetime | None]


@dataclass(slots=True)
class Counts:
    """How task runs and subflows ended.

    Attributes:
        completed: Those that completed, cached ones included.
        cached: Those that took their result from the cache.
        failed: Those that ended otherwise, or never started.
        retries: How many retries were scheduled.
    """

    completed: int = 0
    cached: int = 0
    failed: int = 0
    retries: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.completed + other.completed,
            self.cached + other.cached,
            self.failed + other.failed,
            self.retries + other.retries,
        )

    @staticmethod
    def of(scope: DrawnAttempt) -> Counts:
        """Return the counts of one attempt of a flow run."""
        failed = scope.failures
        return Counts(scope.total - failed, scope.cached, failed, scope.retries)


@dataclass(slots=True)
class Snapshot:
    """What runs and what waits.

    Attributes:
        title: The flow run's name.
        seconds: How long it has been running.
        ended: What has ended.
        running: Task runs whose code runs, the longest first: the name, and for how many seconds.
        waiting: How many task runs wait, by what they wait for.
        retrying: Task runs to be retried, the next first: the name, and in how many seconds.
        server: The outage of the server, in words; empty if it can be reached.
    """

    title: str
    seconds: float
    ended: Counts
    running: list[tuple[str, float]] = field(default_factory=list)
    waiting: Counter[str] = field(default_factory=Counter)
    retrying: list[tuple[str, float]] = field(default_factory=list)
    server: str = ""


class Observer:
    """Looks at task runs from time to time, to know how long each has been running or waiting for a retry."""

    def __init__(self) -> None:
        self._since: dict[Observed, float] = {}

    def look(self, snapshot: Snapshot, scopes: Iterable[DrawnAttempt]) -> None:
        """Fill in what runs and what waits."""
        now = time.monotonic()
        outage = current_outage()
        snapshot.server = "" if outage is None else str(outage)
        since: dict[Observed, float] = {}
        for scope in scopes:
            for run in scope.open_runs():
                phase = run.phase
                if phase is Phase.RUNNING:
                    began = since[run, None] = self._since.get((run, None), now)
                    snapshot.running.append((run.name, now - began))
                elif phase is Phase.RESTING:
                    state = run.state_now()
                    began = since[run, state.timestamp] = self._since.get((run, state.timestamp), now)
                    snapshot.retrying.append((run.name, max(0.0, _delay(state) - (now - began))))
                elif phase in (Phase.NEW, Phase.PROPOSED):
                    snapshot.waiting[_why(run, phase, is_away=outage is not None)] += 1
        self._since = since
        snapshot.running.sort(key=lambda item: -item[1])
        snapshot.retrying.sort(key=lambda item: item[1])


def _why(run: DrawnTaskRun, phase: Phase, *, is_away: bool) -> str:
    if phase is Phase.PROPOSED:
        tags = run.waits_for_slots
        if is_away:  # whatever it was told to wait for before
            return "for the server"
        if not tags:
            return "for the service"
        return f"for a slot of {' and '.join(repr(tag) for tag in tags)}"
    return "for an upstream run" if run.waits_for() else "for a thread"


def _delay(state: State[Any]) -> float:
    """Return how long a Scheduled run waits; both times are the service's, so this clock does not matter."""
    at = state.details.scheduled_time
    return 0.0 if at is None else (at - state.timestamp).total_seconds()
