"""Histories: without gaps, in order, and with valid transitions only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from faults.storm.checker.violation import Violation
from faults.storm.evidence import Evidence, RunRow, StateRow

_SCHEDULED, _PENDING, _RUNNING, _COMPLETED, _FAILED, _CANCELLED, _CRASHED = range(1, 8)
_TERMINAL = (_COMPLETED, _FAILED, _CANCELLED, _CRASHED)
# The valid transitions; nothing follows a terminal state. Running follows Running only if another client
# takes over a run after a lease expired; ``leases`` checks that it had a reason to expire.
_NEXT = {
    _SCHEDULED: {_PENDING, _RUNNING, _COMPLETED, _CANCELLED, _CRASHED},
    _PENDING: {_SCHEDULED, _PENDING, _RUNNING, *_TERMINAL},
    _RUNNING: {_SCHEDULED, *_TERMINAL},
}
_CLOCK_SECONDS = 0.01


def check_histories(evidence: Evidence) -> Iterator[Violation]:
    """Yield the violations in the histories of runs."""
    histories: dict[str, list[StateRow]] = defaultdict(list)
    for state in evidence.states:
        histories[state.run].append(state)
    runs = {run.id: run for run in evidence.runs}
    for id_ in histories.keys() - runs.keys():
        yield Violation("a history without a run", id_)
    for run in evidence.runs:
        history = sorted(histories[run.id], key=lambda state: state.ordinal)
        yield from _check_run(run, history)
        if run.kind == "task":
            yield from _check_steps(history)
    for id_, count in Counter(state.id for state in evidence.states).items():
        if count > 1:
            yield Violation("a state that is there twice", id_)
    yield from _check_limits(evidence, histories)


def _check_run(run: RunRow, history: list[StateRow]) -> Iterator[Violation]:
    ordinals = [state.ordinal for state in history]
    if not history or ordinals != list(range(1, len(history) + 1)):
        yield Violation("a history with gaps", f"{run} has {ordinals}")
        return
    last = history[-1]
    if (run.ordinal, run.state_id, run.state_type) != (last.ordinal, last.id, last.type):
        yield Violation("a run is not in its last state", f"{run}, and its history ends with {last}")
    times = [state.time for state in history]
    if times != sorted(times):
        yield Violation("a history that goes back in time", f"{run} has {times}")
    for state in history[:-1]:
        if state.type in _TERMINAL:
            yield Violation("a run left a terminal state", f"{state} of {run}")
    if run.run_count != (entered := sum(state.type == _RUNNING for state in history)):
        yield Violation("a run count that is wrong", f"{run} entered Running {entered} times")
    retried = sum(state.name == "AwaitingRetry" for state in history)
    if retried > run.retries:
        yield Violation("a run was retried too often", f"{run} was retried {retried} times")


def _check_steps(history: list[StateRow]) -> Iterator[Violation]:
    for before, after in pairwise(history):
        taken_over = before.type == after.type == _RUNNING and after.name == "Rerunning"
        if before.type not in _TERMINAL and after.type not in _NEXT[before.type] and not taken_over:
            yield Violation("a step that no run may take", f"{before} was followed by {after}")
        early = before.scheduled is not None and after.time < before.scheduled - _CLOCK_SECONDS
        if before.type == _SCHEDULED and after.type in (_PENDING, _RUNNING) and early:
            yield Violation("a run began before its time", f"{before} was followed by {after}")


def _check_limits(evidence: Evidence, histories: dict[str, list[StateRow]]) -> Iterator[Violation]:
    """Check that by the histories, never more runs of a tag were Running at once than its limit."""
    for tag, limit in evidence.limits.items():
        changes: list[tuple[float, int, str]] = []
        for run in evidence.runs:
            if run.kind != "task" or tag not in run.tags:
                continue
            running = False
            for state in sorted(histories[run.id], key=lambda state: state.ordinal):
                if (state.type == _RUNNING) != running:
                    running = not running
                    # Leaving and entering in the same microsecond happen in one transaction.
                    changes.append((state.time, 1 if running else -1, run.id))
        running_now: set[str] = set()
        for at, change, id_ in sorted(changes):
            (running_now.add if change > 0 else running_now.discard)(id_)
            if len(running_now) > limit:
                yield Violation(
                    "a limit was exceeded by the histories", f"{tag} ({limit}) at {at}: {sorted(running_now)}"
                )
                break
