"""Promises: decisions sent to clients are in the database unchanged, and repeated identically."""

from __future__ import annotations

from collections.abc import Iterator

from faults.storm.checker.violation import Violation
from faults.storm.evidence import Evidence, Told

_CRASHED, _COMPLETED, _SCHEDULED, _RUNNING = 7, 4, 1, 3
_SAME_MICROSECOND = 2e-6


def check_promises(evidence: Evidence) -> Iterator[Violation]:
    """Yield where the database and the clients disagree."""
    yield from _check_recorded(evidence)
    yield from _check_repeated(evidence.told)
    yield from _check_asked(evidence)
    yield from _check_results(evidence)


def _check_recorded(evidence: Evidence) -> Iterator[Violation]:
    states = {state.id: state for state in evidence.states}
    aborts = {abort.proposal: abort for abort in evidence.aborts}
    for told in evidence.told:
        state_id, type_, name, at = told.state
        if told.answer == "abort":
            abort = aborts.get(told.proposal)
            if abort is None:
                yield Violation("a decision that was told is lost", f"{told}")
                continue
            if (abort.run, abort.reason, abort.state_id) != (told.run, told.reason, state_id):
                yield Violation("a decision is not what was told", f"{told} is recorded as {abort}")
        elif state_id != told.proposal:
            yield Violation("a decision is not what was told", f"{told} has the state of another proposal")
        recorded = states.get(state_id)
        if recorded is None:
            yield Violation("a decision that was told is lost", f"{told}")
        elif (recorded.run, recorded.type, recorded.name) != (told.run, type_, name) or (
            abs(recorded.time - at) > _SAME_MICROSECOND
        ):
            yield Violation("a decision is not what was told", f"{told} is recorded as {recorded}")
        elif told.result and told.result != recorded.result:
            yield Violation(
                "a decision is not what was told", f"the result of {told} differs from {recorded}"
            )


def _check_repeated(all_told: list[Told]) -> Iterator[Violation]:
    first: dict[str, Told] = {}
    for told in all_told:
        before = first.setdefault(told.proposal, told)
        if before._replace(client="") != told._replace(client=""):
            yield Violation("a repeated proposal got another decision", f"{before}, then {told}")


def _check_asked(evidence: Evidence) -> Iterator[Violation]:
    """Check that runs of recording clients moved only as proposed, leases and cache aside."""
    asked = {ask.proposal: ask for ask in evidence.asked}
    strict = {ask.client for ask in evidence.asked}
    runs = {run.id: run for run in evidence.runs}
    for state in evidence.states:
        run = runs.get(state.run)
        if run is None or run.client not in strict:
            continue
        ask = asked.get(state.id)
        if ask is None:
            # The service itself creates only the first state of a waiting run, and the end of a lost one.
            if (
                not (state.ordinal == 1 and state.type not in (_RUNNING, _COMPLETED))
                and state.type != _CRASHED
            ):
                yield Violation("a state that was never proposed", f"{state}")
        elif ask.run and ask.run != state.run:
            yield Violation("a proposal moved another run", f"{ask} led to {state}")
        elif ask.type != state.type and (ask.type, state.type) not in (
            (_RUNNING, _COMPLETED),
            (5, _SCHEDULED),
        ):
            yield Violation("a state that was never proposed", f"{ask} led to {state}")


def _check_results(evidence: Evidence) -> Iterator[Violation]:
    """Check that a run has the result of its client, or one computed for its cache key."""
    given = {ask.proposal: ask.result for ask in evidence.asked if ask.result}
    computed: set[tuple[str, str]] = set()
    # Runs that waited for a key get its result in the transaction that completes the key.
    for state in sorted(evidence.states, key=lambda state: (state.time, state.name == "Cached")):
        if state.id in given and state.type == _COMPLETED and state.result != given[state.id]:
            yield Violation("a result was changed", f"{state} was given {given[state.id]}")
        if state.key and state.type == _COMPLETED:
            if state.name != "Cached":
                computed.add((state.key, state.result))
            elif (state.key, state.result) not in computed:
                yield Violation("a cached result that was never computed", f"{state}")
